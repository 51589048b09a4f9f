"""Signatures of families that are built of others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from inspect import Parameter, Signature, signature
from typing import Any, Generic, ParamSpec, TypeVar, final

from gen_core import Distribution

P = ParamSpec("P")
T = TypeVar("T")


@final
@dataclass(frozen=True)
class Signed(Generic[P, T]):
    """A function with the signature that `inspect` is to see."""

    function: Callable[P, T]
    __signature__: Signature = field(compare=False)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the function."""
        return self.function(*args, **kwargs)


def sample_signature(distribution: Distribution[..., Any]) -> Signature:
    """Return the signature of a distribution's sampler."""
    return signature(distribution.family.sample)


def prefixed(names: Sequence[str], rest: Signature | None = None) -> Signature:
    """Return a signature of positional parameters, followed by those of another one."""
    first = [Parameter(name, Parameter.POSITIONAL_ONLY) for name in names]
    return Signature([*first, *(rest.parameters.values() if rest else ())])


def argument_names(components: Sequence[Distribution[..., Any]]) -> tuple[str, ...]:
    """Return a parameter name for the arguments of each component: `normal`, `gamma`, `normal_2`."""
    names: list[str] = []
    for component in components:
        count = sum(known.name == component.name for known in components[: len(names)])
        names.append(f"{component.name}_{count + 1}" if count else component.name)
    return tuple(name if name.isidentifier() else f"arguments_{i}" for i, name in enumerate(names))

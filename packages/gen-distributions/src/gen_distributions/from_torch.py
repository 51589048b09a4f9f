"""Any class of `torch.distributions` as a generative function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from inspect import Signature, signature
from typing import Any, Generic, ParamSpec, cast, final

import torch
from torch import Tensor
from torch.distributions import Distribution as TorchDistribution
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from gen_core import Distribution, Requirement
from gen_distributions.convert import convert_value
from gen_distributions.enumeration import list_values
from gen_distributions.errors import ComponentError, NotEnumerableError
from gen_distributions.family import describe
from gen_distributions.signatures import Signed
from gen_distributions.tensors import promote

P = ParamSpec("P")


def from_torch(
    constructor: Callable[P, TorchDistribution],
    *,
    is_discrete: bool | None = None,
    event_dim: int | None = None,
) -> Distribution[P, Tensor]:
    """Return the generative function that draws from a class of `torch.distributions`.

    Its arguments are those of the class; values, dtypes included, are those that torch draws. Equal
    classes give equal generative functions.

    Args:
        constructor: The class, or a function that builds one.
        is_discrete: Whether the density is with respect to counting measure; for functions, and classes
            whose support does not say, such as `Independent` and `MixtureSameFamily`.
        event_dim: The number of event dimensions; likewise.

    Raises:
        ComponentError: The class does not say what it is, and neither do the keywords.
    """
    support = getattr(constructor, "support", None)
    if is_discrete is None:
        is_discrete = _declared(constructor, support, "is_discrete")
    if event_dim is None:
        event_dim = _declared(constructor, support, "event_dim")
    return Distribution(TorchFamily(constructor, is_discrete, event_dim))


def _declared(constructor: Callable[..., Any], support: Any, attribute: str) -> Any:
    try:
        return getattr(support, attribute)
    except (AttributeError, NotImplementedError):
        name = getattr(constructor, "__name__", repr(constructor))
        raise ComponentError(
            f"{name} does not say whether it is discrete, or how many event dimensions it has. "
            f"Write from_torch({name}, is_discrete=..., event_dim=...)."
        ) from None


@final
@dataclass(frozen=True)
class TorchFamily(Generic[P]):
    """The family of a class of `torch.distributions`."""

    constructor: Callable[P, TorchDistribution]
    is_discrete: bool
    event_dim: int

    invalid_is_nan = False
    can_stack = False
    """Not every class takes tensors for its integer parameters, as stacking makes them."""

    @property
    def name(self) -> str:
        """The name of the class."""
        return str(cast(Any, self.constructor).__name__)

    @property
    def has_rsample(self) -> bool:
        """Whether `sample` is differentiable in the parameters."""
        return getattr(self.constructor, "has_rsample", False) is True

    @property
    def is_enumerable(self) -> bool:
        """Whether `enumerate_support` works."""
        return getattr(self.constructor, "has_enumerate_support", False) is True

    @cached_property
    def arg_constraints(self) -> Mapping[str, Constraint]:
        """The constraint of each parameter, for those that the class itself declares."""
        declared = getattr(self.constructor, "arg_constraints", {})
        return declared if isinstance(declared, dict) else {}

    def event_shape(self, *args: P.args, **kwargs: P.kwargs) -> tuple[int, ...]:
        """Return torch's event shape."""
        return tuple(self._build(*args, **kwargs).event_shape) if self.event_dim else ()

    def support(self, *args: P.args, **kwargs: P.kwargs) -> Constraint:
        """Return the support of the distribution with these parameters."""
        return cast(Constraint, self._build(*args, **kwargs).support)

    @cached_property
    def sample(self) -> Callable[P, Tensor]:
        """Draw one value, differentiably where torch can."""
        return Signed(self._sample, self._signature)

    def _sample(self, *args: P.args, **kwargs: P.kwargs) -> Tensor:
        built = self._build(*args, **kwargs)
        return built.rsample() if self.has_rsample else built.sample()

    def log_prob(self, value: Tensor, /, *args: P.args, **kwargs: P.kwargs) -> Tensor:
        """Return torch's log density, one number an event; -inf off the support."""
        built = self._build(*args, **kwargs)
        log_prob = built.log_prob(value)
        support = cast(Constraint, built.support)
        if support.event_dim and not support.is_discrete:
            return log_prob  # torch's check is exact to 1e-6, which its own float32 draws miss
        return torch.where(support.check(value), log_prob, -torch.inf)

    def convert(self, value: object, /, *args: P.args, **kwargs: P.kwargs) -> Tensor:
        """Return a tensor as it is, and anything else as a tensor of the dtype that torch draws."""
        if isinstance(value, Tensor):
            return value
        dtype = self._build(*args, **kwargs).enumerate_support().dtype if self.is_enumerable else None
        return convert_value(self.name, value, dtype, (*args, *kwargs.values()))

    def enumerate_support(self, *args: P.args, **kwargs: P.kwargs) -> Sequence[Tensor]:
        """Return every value of the support."""
        if not self.is_enumerable:
            raise NotEnumerableError(self.name)
        built = self._build(*args, **kwargs)
        values = built.enumerate_support(expand=False)
        return list_values(self.name, [values.reshape(-1, *built.event_shape)], built.batch_shape)

    def requirements(self, *args: P.args, **kwargs: P.kwargs) -> Iterable[Requirement]:
        """Return one requirement for each parameter whose constraint does not depend on others."""
        given = self._signature.bind(*args, **kwargs).arguments
        return [
            Requirement(name, describe(constraint), constraint.check(promote(given[name])[0]))
            for name, constraint in self._build(*args, **kwargs).arg_constraints.items()
            if given.get(name) is not None and not constraints.is_dependent(constraint)
        ]

    @cached_property
    def _signature(self) -> Signature:
        return signature(self.constructor)

    def _build(self, *args: P.args, **kwargs: P.kwargs) -> TorchDistribution:
        bound = self._signature.bind(*args, **kwargs)
        bound.arguments["validate_args"] = False
        return self.constructor(*bound.args, **bound.kwargs)

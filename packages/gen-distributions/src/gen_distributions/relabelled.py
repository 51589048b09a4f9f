"""Finite distributions over labels: strings, enumeration members, any hashable objects."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, ParamSpec, TypeVar, cast, final

import torch
from torch import Tensor
from torch.distributions.constraints import Constraint

from gen_core import Distribution, Requirement
from gen_distributions.errors import ComponentError, ValueKindError
from gen_distributions.signatures import Signed, sample_signature

P = ParamSpec("P")
L = TypeVar("L", bound=Hashable)


def relabelled(base: Distribution[P, Tensor], labels: Sequence[L] | Mapping[int, L]) -> Distribution[P, L]:
    """Return the law of `labels[k]` for k from `base`, with the parameters of `base`.

    `weather = relabelled(categorical, ["sun", "rain"])` draws `"sun"` or `"rain"` in `weather([0.8, 0.2])`.
    Equal labels share their probability. Values are single labels, not tensors, so such choices cannot
    be batched.

    Args:
        base: A distribution over finitely many integers from 0, such as `categorical` or `bernoulli`.
        labels: The label of each of its values, in order, or by value.

    Raises:
        ComponentError: `base` cannot be enumerated, or a label is not hashable.
    """
    if not base.is_enumerable:
        raise ComponentError(
            f"relabelled({base.name}, ...) needs a distribution over finitely many integers, such as "
            f"`categorical`, `bernoulli` or `uniform_discrete`."
        )
    given: Any = labels
    pairs = given.items() if isinstance(given, Mapping) else enumerate(given)
    by_value = {int(value): label for value, label in pairs}
    for label in by_value.values():
        if not isinstance(label, Hashable) or isinstance(label, Tensor):
            raise ComponentError(f"relabelled({base.name}, ...) needs hashable labels, but got {label!r}.")
    return Distribution(Relabelled(base, tuple(by_value.items())))


@final
@dataclass(frozen=True)
class Relabelled(Generic[P, L]):
    """The probability of a label is the sum of those of its indices."""

    base: Distribution[P, Tensor]
    labels: tuple[tuple[int, L], ...]
    """The values of the base, each with its label."""

    is_discrete = True
    is_enumerable = True
    has_rsample = False
    can_stack = False
    invalid_is_nan = False
    event_dim = 0

    @property
    def name(self) -> str:
        """The base's name."""
        return f"relabelled({self.base.name})"

    def event_shape(self, *args: P.args, **kwargs: P.kwargs) -> tuple[int, ...]:
        """A label has no shape."""
        return ()

    @property
    def arg_constraints(self) -> Mapping[str, Constraint]:
        """As the base."""
        return self.base.family.arg_constraints

    def support(self, *args: P.args, **kwargs: P.kwargs) -> Constraint:
        """Return the set of the labels."""
        return LabelSet(tuple(self._values))

    @cached_property
    def sample(self) -> Callable[P, L]:
        """Draw a label."""
        return Signed(self._sample, sample_signature(self.base))

    def _sample(self, *args: P.args, **kwargs: P.kwargs) -> L:
        return self._label(self.base.family.sample(*args, **kwargs))

    def log_prob(self, value: L, /, *args: P.args, **kwargs: P.kwargs) -> Tensor:
        """Return the log probability of a label, -inf for what is none; shape `()`."""
        values = self._values.get(value, [])
        if not values:
            return torch.full((), -torch.inf)
        family = self.base.family
        scores = [family.log_prob(family.convert(k, *args, **kwargs), *args, **kwargs) for k in values]
        return scores[0] if len(scores) == 1 else torch.stack(scores).logsumexp(0)

    def convert(self, value: object, /, *args: P.args, **kwargs: P.kwargs) -> L:
        """Return the label itself."""
        plain = value.item() if isinstance(value, Tensor) and not value.dim() else value
        if not isinstance(plain, Hashable):
            raise ValueKindError(self.name, value, "one of its labels")
        return cast(L, plain)

    def enumerate_support(self, *args: P.args, **kwargs: P.kwargs) -> Sequence[L]:
        """Return the distinct labels that `base` can reach, in order."""
        values = self.base.enumerate_support(*args, **kwargs)
        return list(dict.fromkeys(self._label(value) for value in values))

    def requirements(self, *args: P.args, **kwargs: P.kwargs) -> Iterable[Requirement]:
        """Return what the base requires."""
        return self.base.family.requirements(*args, **kwargs)

    @cached_property
    def _values(self) -> dict[L, list[int]]:
        values: dict[L, list[int]] = {}
        for value, label in self.labels:
            values.setdefault(label, []).append(value)
        return values

    @cached_property
    def _labels(self) -> dict[int, L]:
        return dict(self.labels)

    def _label(self, value: Tensor) -> L:
        if value.dim():
            raise ComponentError(
                f"{self.name} draws one label, but its parameters have the batch shape {tuple(value.shape)}. "
                f"Visit it once for each label, at an address of its own."
            )
        try:
            return self._labels[int(value)]
        except KeyError:
            raise ComponentError(
                f"{self.name} has no label for {int(value)}, only for {list(self._labels)}."
            ) from None


@final
class LabelSet(Constraint):
    """A finite set of labels."""

    is_discrete = True

    def __init__(self, labels: tuple[Hashable, ...]) -> None:
        self.labels = labels
        super().__init__()

    def check(self, value: object) -> Tensor:
        """Return whether the value is one of the labels."""
        return torch.tensor(value in self.labels)

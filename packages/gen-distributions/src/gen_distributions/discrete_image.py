"""Discrete distributions whose values arithmetic has moved: `2 * k + 1` for k from a Poisson."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, ParamSpec, cast, final

import torch
from torch import Tensor
from torch.distributions.constraints import Constraint
from torch.distributions.transforms import Transform

from gen_core import Distribution, Requirement
from gen_distributions.convert import convert_value
from gen_distributions.mixture import distinct
from gen_distributions.signatures import Signed, sample_signature
from gen_distributions.tensors import all_rightmost, is_close, on_support

P = ParamSpec("P")

TOLERANCE = 1e-6
"""Relative. A value given by hand may be rounded otherwise than a drawn one."""


@final
@dataclass(frozen=True)
class DiscreteImage(Generic[P]):
    """The probability of y = transform(k) is that of the integer k; no slope is needed."""

    base: Distribution[P, Tensor]
    transform: Transform

    is_discrete = True
    has_rsample = False

    def __hash__(self) -> int:
        # Transforms compare by value but most have no hash.
        return hash((self.base, type(self.transform)))

    @property
    def name(self) -> str:
        """The base's name."""
        return f"image of {self.base.name}"

    @property
    def is_enumerable(self) -> bool:
        """As the base."""
        return self.base.is_enumerable

    @property
    def invalid_is_nan(self) -> bool:
        """False: requirements are always looked at."""
        return False

    @property
    def can_stack(self) -> bool:
        """As the base."""
        return self.base.family.can_stack

    @property
    def event_dim(self) -> int:
        """As the base."""
        return self.base.family.event_dim

    def event_shape(self, *args: P.args, **kwargs: P.kwargs) -> tuple[int, ...]:
        """As the base."""
        return self.base.family.event_shape(*args, **kwargs)

    @property
    def arg_constraints(self) -> Mapping[str, Constraint]:
        """As the base."""
        return self.base.family.arg_constraints

    def support(self, *args: P.args, **kwargs: P.kwargs) -> Constraint:
        """Return the image of the base's support."""
        return LatticeImage(self.base.support(*args, **kwargs), self.transform)

    @cached_property
    def sample(self) -> Callable[P, Tensor]:
        """Draw from the base and transform."""
        return Signed(self._sample, sample_signature(self.base))

    def _sample(self, *args: P.args, **kwargs: P.kwargs) -> Tensor:
        return self._forward(self.base.family.sample(*args, **kwargs))

    def log_prob(self, value: Tensor, /, *args: P.args, **kwargs: P.kwargs) -> Tensor:
        """Return the log probability of each event, -inf for what is not the image of an integer."""
        count, inside = preimage(self.transform, value)
        family = self.base.family
        log_prob = family.log_prob(family.convert(count, *args, **kwargs), *args, **kwargs)
        return on_support(all_rightmost(inside, self.event_dim), log_prob)

    def convert(self, value: object, /, *args: P.args, **kwargs: P.kwargs) -> Tensor:
        """Return a given value as a tensor of the dtype that is drawn."""
        drawn = self._forward(torch.zeros((), dtype=torch.int64)).dtype
        if drawn.is_floating_point:
            return convert_value(self.name, value, None, (*args, *kwargs.values()))
        return convert_value(self.name, value, drawn, ())

    def enumerate_support(self, *args: P.args, **kwargs: P.kwargs) -> Sequence[Tensor]:
        """Return the image of every value of the base."""
        return distinct(self._forward(value) for value in self.base.enumerate_support(*args, **kwargs))

    def requirements(self, *args: P.args, **kwargs: P.kwargs) -> Iterable[Requirement]:
        """Return what the base requires."""
        return self.base.family.requirements(*args, **kwargs)

    def _forward(self, count: Tensor) -> Tensor:
        return cast(Tensor, self.transform(count.long()))


def preimage(transform: Transform, value: Tensor) -> tuple[Tensor, Tensor]:
    """Return the integers that a transform carries to `value`, and where there are such."""
    wide = value if value.device.type == "mps" else value.double()
    rounded = cast(Tensor, transform.inv(wide)).round()
    count = torch.where(rounded.isfinite(), rounded, 0.0).long()
    image = cast(Tensor, transform(count)).to(wide.dtype)
    return count, is_close(image, wide, TOLERANCE)


@final
class LatticeImage(Constraint):
    """The image of a set of integers."""

    is_discrete = True

    def __init__(self, base: Constraint, transform: Transform) -> None:
        self.base = base
        self.transform = transform
        self.event_dim = base.event_dim
        super().__init__()

    def check(self, value: Tensor) -> Tensor:
        """Return where a value is the image of one of the integers."""
        count, inside = preimage(self.transform, value)
        in_base: Tensor = self.base.check(count)
        return all_rightmost(inside, self.event_dim) & in_base

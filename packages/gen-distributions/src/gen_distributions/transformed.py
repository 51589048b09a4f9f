"""Distributions carried through a bijection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, NamedTuple, ParamSpec, cast, final

import torch
from torch import Tensor
from torch.distributions import biject_to, transform_to
from torch.distributions.constraints import Constraint
from torch.distributions.transforms import ComposeTransform, Transform

from gen_core import Distribution, Requirement
from gen_distributions.errors import ComponentError, NotEnumerableError
from gen_distributions.signatures import Signed, sample_signature
from gen_distributions.tensors import all_rightmost, on_support, sum_rightmost

P = ParamSpec("P")


def transformed(base: Distribution[P, Tensor], transform: Transform) -> Distribution[P, Tensor]:
    """Return the law of `transform(x)` for x from `base`, with the parameters of `base`.

    `transformed(normal, ExpTransform())` is the log-normal. Several transforms compose:
    `transformed(normal, ComposeTransform([TanhTransform(), AffineTransform(2.0, 3.0)]))`.

    Args:
        base: A continuous distribution.
        transform: A bijection from its support, from `torch.distributions.transforms`.

    Raises:
        ComponentError: `base` is discrete (see `relabelled`), or the transform is no bijection of its events.
    """
    if base.is_discrete:
        raise ComponentError(
            f"transformed({base.name}, ...) needs a continuous distribution. To give names to the values "
            f"of a discrete one, use `relabelled` or `dist`."
        )
    if not transform.bijective:
        raise ComponentError(f"transformed({base.name}, ...) needs a bijection, and {transform} is none.")
    if transform.domain.event_dim > base.family.event_dim:
        raise ComponentError(
            f"transformed({base.name}, ...) needs a distribution over events of {transform.domain.event_dim} "
            f"dimensions for {transform}, such as `multivariate_normal` for vectors."
        )
    return Distribution(Transformed(base, transform))


@final
@dataclass(frozen=True)
class Transformed(Generic[P]):
    """Density p(x) / |det dy/dx| of y = transform(x), at x = transform^-1(y)."""

    base: Distribution[P, Tensor]
    transform: Transform

    is_discrete = False
    is_enumerable = False

    def __hash__(self) -> int:
        # Transforms compare by value but most have no hash.
        return hash((self.base, type(self.transform)))

    @property
    def name(self) -> str:
        """The base's name and the transform's."""
        return f"transformed({self.base.name}, {type(self.transform).__name__})"

    @property
    def has_rsample(self) -> bool:
        """As the base."""
        return self.base.has_rsample

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
        """The base's, as far as the transform leaves it."""
        domain, codomain = self.transform.domain, self.transform.codomain
        return self.base.family.event_dim - domain.event_dim + codomain.event_dim

    def event_shape(self, *args: P.args, **kwargs: P.kwargs) -> tuple[int, ...]:
        """Return the shape of the transform of one event."""
        if not self.event_dim:
            return ()
        base_shape = self.base.family.event_shape(*args, **kwargs)
        # An affine transform whose numbers vary over a batch adds that in front.
        return tuple(self.transform.forward_shape(base_shape))[-self.event_dim :]

    @property
    def arg_constraints(self) -> Mapping[str, Constraint]:
        """As the base."""
        return self.base.family.arg_constraints

    def support(self, *args: P.args, **kwargs: P.kwargs) -> Constraint:
        """Return the image of the base's support."""
        return Image(self.base.support(*args, **kwargs), self.transform)

    @cached_property
    def sample(self) -> Callable[P, Tensor]:
        """Draw from the base and transform."""
        return Signed(self._sample, sample_signature(self.base))

    def _sample(self, *args: P.args, **kwargs: P.kwargs) -> Tensor:
        return cast(Tensor, self.transform(self.base.family.sample(*args, **kwargs)))

    def log_prob(self, value: Tensor, /, *args: P.args, **kwargs: P.kwargs) -> Tensor:
        """Return the log density of each event, -inf outside the image."""
        point, log_slope, inside = pull_back(self.transform, value, self.event_dim)
        return on_support(inside, self.base.family.log_prob(point, *args, **kwargs) - log_slope)

    def convert(self, value: object, /, *args: P.args, **kwargs: P.kwargs) -> Tensor:
        """Return a given value as a tensor, as the base does."""
        return self.base.family.convert(value, *args, **kwargs)

    def enumerate_support(self, *args: P.args, **kwargs: P.kwargs) -> Sequence[Tensor]:
        """Raise: a continuous support cannot be listed."""
        raise NotEnumerableError(self.name)

    def requirements(self, *args: P.args, **kwargs: P.kwargs) -> Iterable[Requirement]:
        """Return what the base requires."""
        return self.base.family.requirements(*args, **kwargs)


class PulledBack(NamedTuple):
    """A value's preimage."""

    point: Tensor
    log_slope: Tensor
    """log |det dy/dx|, one number an event."""
    inside: Tensor
    """Whether the value has a preimage; where it has none, `point` is some other point."""


def pull_back(transform: Transform, value: Tensor, event_dim: int) -> PulledBack:
    """Return the preimage of events of `event_dim` dimensions, finite with finite gradients everywhere."""
    log_slope: Tensor = torch.zeros((), dtype=value.dtype, device=value.device)
    inside = torch.ones((), dtype=torch.bool, device=value.device)
    # Step by step: an inverse in the middle may have no value where the last one has.
    for step in reversed(_steps(transform)):
        codomain, domain = step.codomain, step.domain
        has_preimage: Tensor = codomain.check(value)
        mask = has_preimage.reshape((*has_preimage.shape, *[1] * codomain.event_dim))
        image = torch.where(mask, value, _anchor(step, value))
        inside = inside & all_rightmost(has_preimage, event_dim - codomain.event_dim)
        value = cast(Tensor, step.inv(image))
        slope = cast(Tensor, step.log_abs_det_jacobian(value, image))
        log_slope = log_slope + sum_rightmost(slope, event_dim - codomain.event_dim)
        event_dim += domain.event_dim - codomain.event_dim
    return PulledBack(value, log_slope, inside)


def _steps(transform: Transform) -> list[Transform]:
    if isinstance(transform, ComposeTransform):
        return [step for part in transform.parts for step in _steps(part)]
    return [transform]


def _anchor(step: Transform, value: Tensor) -> Tensor:
    """Return a point inside the codomain."""
    onto_domain = biject_to(step.domain)
    shape = onto_domain.inverse_shape(step.inverse_shape(value.shape))
    return cast(Tensor, step(onto_domain(value.new_zeros(shape))))


@final
class Image(Constraint):
    """The image of a set under a bijection."""

    def __init__(self, base: Constraint, transform: Transform) -> None:
        self.base = base
        self.transform = transform
        domain, codomain = transform.domain, transform.codomain
        self.event_dim = base.event_dim - domain.event_dim + codomain.event_dim
        super().__init__()

    def check(self, value: Tensor) -> Tensor:
        """Return whether each event is the image of a point of the base set."""
        point, _, inside = pull_back(self.transform, value, self.event_dim)
        in_base: Tensor = self.base.check(point)
        return inside & in_base

    def __repr__(self) -> str:
        return f"Image({self.base!r}, {self.transform!r})"


def _onto_image(image: Image) -> Transform:
    return ComposeTransform([biject_to(image.base), image.transform])


biject_to.register(Image, _onto_image)
transform_to.register(Image, _onto_image)

"""Mixtures of any number of components of one family."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Concatenate, Generic, ParamSpec, final

from torch import Tensor
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from gen_core import Distribution, Requirement
from gen_core.shapes import broadcast_shapes
from gen_distributions.categorical import draw_index, weights_requirement
from gen_distributions.mixture import distinct, log_mixture, pick_component, union
from gen_distributions.signatures import Signed, prefixed, sample_signature
from gen_distributions.tensors import VectorLike, nan_unless, promote

P = ParamSpec("P")


def homogeneous_mixture(
    component: Distribution[P, Tensor],
) -> Distribution[Concatenate[VectorLike, P], Tensor]:
    """Return the mixture of components of one family, with the parameters `weights` and those of `component`.

    The components lie along the last dimension of `weights` and the last batch dimension of the others, as in
    `torch.distributions.MixtureSameFamily`: K normals have `locs` of shape `[..., K]`, K multivariate normals
    of dimension d have `loc` `[..., K, d]` and `covariance_matrix` `[..., K, d, d]`. A parameter without that
    dimension is shared. The weights are normalised.

        mixture_of_normals = homogeneous_mixture(normal)
        mixture_of_normals([0.3, 0.7], torch.tensor([-1.0, 1.0]), 0.5)
    """
    return Distribution(HomogeneousMixture(component))


@final
@dataclass(frozen=True)
class HomogeneousMixture(Generic[P]):
    """Density sum_k weights[k] p(x; parameters[k]) / sum(weights)."""

    component: Distribution[P, Tensor]

    @property
    def name(self) -> str:
        """The component's name."""
        return f"homogeneous_mixture({self.component.name})"

    @property
    def is_discrete(self) -> bool:
        """As the component."""
        return self.component.is_discrete

    @property
    def has_rsample(self) -> bool:
        """Choosing a component is not differentiable."""
        return False

    @property
    def is_enumerable(self) -> bool:
        """Whether the component is, and its support does not depend on parameters."""
        return self.component.is_enumerable

    @property
    def invalid_is_nan(self) -> bool:
        """False: requirements are always looked at."""
        return False

    @property
    def can_stack(self) -> bool:
        """As the component."""
        return self.component.family.can_stack

    @property
    def event_dim(self) -> int:
        """As the component."""
        return self.component.family.event_dim

    def event_shape(self, weights: VectorLike, /, *args: P.args, **kwargs: P.kwargs) -> tuple[int, ...]:
        """As the component."""
        return self.component.family.event_shape(*args, **kwargs)

    @cached_property
    def arg_constraints(self) -> Mapping[str, Constraint]:
        """Those of the component, with one more event dimension, and of `weights`."""
        parameters = self.component.family.arg_constraints
        return {
            "weights": constraints.independent(constraints.nonnegative, 1),
            **{name: constraints.independent(c, 1) for name, c in parameters.items()},
        }

    def support(self, weights: VectorLike, /, *args: P.args, **kwargs: P.kwargs) -> Constraint:
        """Return the union of the components' supports."""
        return union([self.component.support(*a, **k) for a, k in self._each(weights, args, kwargs)])

    @cached_property
    def sample(self) -> Callable[Concatenate[VectorLike, P], Tensor]:
        """Draw a component and then from it."""
        return Signed(self._sample, prefixed(["weights"], sample_signature(self.component)))

    def _sample(self, weights: VectorLike, /, *args: P.args, **kwargs: P.kwargs) -> Tensor:
        (shares,) = promote(weights)
        shares = shares.detach()
        spread_args, spread_kwargs = self._spread(shares.shape[-1], args, kwargs)
        values = self.component.family.sample(*spread_args, **spread_kwargs).detach()
        batch = broadcast_shapes(shares.shape, values.shape[: values.dim() - self.event_dim])
        values = values.expand(*batch, *values.shape[values.dim() - self.event_dim :])
        return pick_component(values, draw_index(shares.expand(batch)), self.event_dim)

    def log_prob(self, value: Tensor, weights: VectorLike, /, *args: P.args, **kwargs: P.kwargs) -> Tensor:
        """Return the log density of each event."""
        (shares,) = promote(weights)
        log_probs = self.component.family.log_prob(value.unsqueeze(-1 - self.event_dim), *args, **kwargs)
        return nan_unless((shares >= 0).all(-1), log_mixture(shares, log_probs))

    def convert(self, value: object, weights: VectorLike, /, *args: P.args, **kwargs: P.kwargs) -> Tensor:
        """Return a given value as the component does."""
        return self.component.family.convert(value, *args, **kwargs)

    def enumerate_support(
        self, weights: VectorLike, /, *args: P.args, **kwargs: P.kwargs
    ) -> Sequence[Tensor]:
        """Return every value of every component."""
        each = self._each(weights, args, kwargs)
        return distinct(value for a, k in each for value in self.component.enumerate_support(*a, **k))

    def requirements(
        self, weights: VectorLike, /, *args: P.args, **kwargs: P.kwargs
    ) -> Iterable[Requirement]:
        """Return that the weights have a positive sum, and what the component requires."""
        (shares,) = promote(weights)
        yield weights_requirement("weights", shares)
        for parameter, must, holds in self.component.family.requirements(*args, **kwargs):
            if isinstance(holds, Tensor) and holds.dim():
                holds = holds.all(-1)
            yield Requirement(parameter, must, holds)

    def _spread(
        self, count: int, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Give every tensor parameter the dimension of the components, so that each has its own draw."""

        def spread(name: str, value: object) -> Any:
            if value is None or name not in parameters:
                return value
            (tensor,) = promote(value) if not isinstance(value, Tensor) else (value,)
            batch_dim = tensor.dim() - parameters[name].event_dim
            batch = broadcast_shapes(tensor.shape[:batch_dim], (count,))
            return tensor.expand(*batch, *tensor.shape[batch_dim:])

        parameters = self.component.family.arg_constraints
        return self._map(spread, args, kwargs)

    def _each(
        self, weights: VectorLike, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Sequence[tuple[tuple[Any, ...], dict[str, Any]]]:
        """Return the arguments of each component."""
        count = promote(weights)[0].shape[-1]
        spread_args, spread_kwargs = self._spread(count, args, kwargs)
        parameters = self.component.family.arg_constraints

        def select(k: int) -> Callable[[str, object], Any]:
            return lambda name, value: (
                value.select(value.dim() - parameters[name].event_dim - 1, k)
                if isinstance(value, Tensor) and name in parameters
                else value
            )

        return [self._map(select(k), spread_args, spread_kwargs) for k in range(count)]

    def _map(
        self, change: Callable[[str, object], Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        names = sample_signature(self.component).parameters
        changed = tuple(change(name, value) for name, value in zip(names, args, strict=False))
        return changed, {name: change(name, value) for name, value in kwargs.items()}

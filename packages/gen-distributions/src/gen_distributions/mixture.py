"""What the mixture distributions share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import final

import torch
from torch import Tensor
from torch.distributions.constraints import Constraint


def log_mixture(weights: Tensor, log_probs: Tensor) -> Tensor:
    """Return log(sum_k w_k exp(log_probs_k) / sum_k w_k) over the last dimension.

    The gradient is right where a weight is 0, and finite where a component's density is 0.
    """
    active = torch.where(weights > 0, log_probs, -torch.inf)
    largest = active.amax(-1, keepdim=True).detach()
    largest = torch.where(largest == -torch.inf, 0.0, largest)
    # A component of weight 0 may exceed the largest one that counts; only its gradient is used.
    ratios = (log_probs - largest).clamp(max=80.0).exp()
    return (weights * ratios).sum(-1).log() + largest.squeeze(-1) - weights.sum(-1).log()


def pick_component(values: Tensor, index: Tensor, event_dim: int) -> Tensor:
    """Return the value of one component for each index.

    Args:
        values: Shape `[*batch, num_components, *event]`.
        index: Shape `[*batch]`.
        event_dim: The number of event dimensions.
    """
    event_shape = values.shape[values.dim() - event_dim :]
    where = index.reshape(*index.shape, 1, *[1] * event_dim).expand(*index.shape, 1, *event_shape)
    return values.gather(-1 - event_dim, where).squeeze(-1 - event_dim)


def distinct(values: Iterable[Tensor]) -> list[Tensor]:
    """Return the values without repetitions, in order of first appearance."""
    found: dict[tuple[object, ...], Tensor] = {}
    for value in values:
        found.setdefault((tuple(value.shape), *value.flatten().tolist()), value)
    return list(found.values())


@final
class Union(Constraint):
    """The union of several sets."""

    def __init__(self, parts: Sequence[Constraint]) -> None:
        self.parts = tuple(parts)
        self.is_discrete = all(part.is_discrete for part in parts)
        self.event_dim = max(part.event_dim for part in parts)
        super().__init__()

    def check(self, value: Tensor) -> Tensor:
        """Return where a value is in one of the sets."""
        return torch.stack([part.check(value) for part in self.parts]).any(0)

    def __repr__(self) -> str:
        return f"Union({', '.join(map(repr, self.parts))})"


def union(parts: Sequence[Constraint]) -> Constraint:
    """Return the union of sets, which is the one set if all are the same."""
    return parts[0] if all(part is parts[0] for part in parts) else Union(parts)

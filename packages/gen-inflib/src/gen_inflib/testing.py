"""For authors of kernels: exact transition probabilities on finite models.

A kernel is run once for each sequence of what it can draw. Draws from finite distributions and decisions by
`accept_or_stay` can be gone through so, if the kernel reports each decision's `log_acceptance_ratio`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

import torch

from gen_core import Trace, drawing
from gen_core.draw import draw_sample
from gen_distributions import uniform
from gen_inflib.kernel import Kernel, Moves, kernel_name

State = frozenset[tuple[Any, Any]]
"""The choices of a trace, by address."""


class _Way(NamedTuple):
    """One way in which a kernel can go."""

    trace: Trace[Any]
    probability: float


def transitions(kernel: Kernel[Any], trace: Trace[Any]) -> dict[State, float]:
    """Return the probability of each trace that a kernel leads to from `trace`.

    Args:
        kernel: A plain kernel.
        trace: A trace of tensors with one element, all from finite distributions.
    """
    found: dict[State, float] = {}
    for path in _paths(kernel, trace):
        state = state_of(path.trace)
        found[state] = found.get(state, 0.0) + path.probability
    return found


def state_of(trace: Trace[Any]) -> State:
    """Return the choices of a trace as a hashable value."""
    return frozenset((path, value.item()) for path, value in trace.choices.leaves())


def check_invariance(kernel: Kernel[Any], traces: Sequence[Trace[Any]], *, tolerance: float = 1e-6) -> None:
    """Check that a kernel leaves the distribution proportional to exp(score) over `traces` as it is.

    Args:
        kernel: A plain kernel.
        traces: All traces that agree with the observations.
        tolerance: By how much a probability may differ.

    Raises:
        InvarianceError: It does not; names a trace.
    """
    before = probabilities(traces)
    after: dict[State, float] = dict.fromkeys(before, 0.0)
    for trace in traces:
        for state, probability in transitions(kernel, trace).items():
            after[state] = after.get(state, 0.0) + before[state_of(trace)] * probability
    for state, probability in after.items():
        if abs(probability - before.get(state, 0.0)) > tolerance:
            raise InvarianceError(kernel_name(kernel), sorted(state), before.get(state, 0.0), probability)


def check_reversal(
    kernel: Kernel[Any], backwards: Kernel[Any], traces: Sequence[Trace[Any]], *, tolerance: float = 1e-6
) -> None:
    """Check that p(t) kernel(t' | t) = p(t') backwards(t | t') for all `traces`, with p as above.

    Raises:
        InvarianceError: They differ; names both traces.
    """
    exact = probabilities(traces)
    there = {state_of(trace): transitions(kernel, trace) for trace in traces}
    back = {state_of(trace): transitions(backwards, trace) for trace in traces}
    for one, two in product(exact, exact):
        flow, return_flow = exact[one] * there[one].get(two, 0.0), exact[two] * back[two].get(one, 0.0)
        if abs(flow - return_flow) > tolerance:
            ways = f"{sorted(one)} to {sorted(two)}"
            raise InvarianceError(f"{kernel_name(kernel)} backwards", ways, flow, return_flow)


def probabilities(traces: Sequence[Trace[Any]]) -> dict[State, float]:
    """Return probabilities proportional to exp(score)."""
    weights = {state_of(trace): math.exp(float(trace.score)) for trace in traces}
    total = sum(weights.values())
    return {state: weight / total for state, weight in weights.items()}


class InvarianceError(AssertionError):
    """A kernel does not leave a distribution as it is."""

    def __init__(self, kernel: str, what: object, before: float, after: float) -> None:
        super().__init__(
            f"{kernel} does not leave the distribution as it is: the probability of {what} is {before:.6g} "
            f"before and {after:.6g} after."
        )


def _paths(kernel: Kernel[Any], trace: Trace[Any]) -> Iterator[_Way]:
    """Run the kernel once for each sequence of draws."""
    pending: list[list[int]] = [[]]
    while pending:
        script = pending.pop()
        draws = _Draws(script)
        with drawing(draws.draw):
            moved, info = kernel(trace)
        pending.extend(draws.others)
        probability = math.prod(draws.probabilities) * _of_decisions(info, draws.decisions)
        if probability:
            yield _Way(moved, probability)


class _Draws:
    """Draws by a script: the number of a value for each; what follows the script takes the first value."""

    def __init__(self, script: list[int]) -> None:
        self.script = script
        self.made: list[int] = []
        self.others: list[list[int]] = []
        self.probabilities: list[float] = []
        self.decisions: list[bool] = []

    def draw(self, distribution: Any, args: Any, kwargs: Any) -> Any:
        if distribution == uniform:
            # The only continuous draws are decisions to accept: 0 accepts whatever is possible.
            accepts = self._next(2) == 0
            self.decisions.append(accepts)
            like = draw_sample(distribution, args, kwargs)
            return torch.full_like(like, 0.0 if accepts else 1.0)
        every = distribution.enumerate_support(*args, **kwargs)
        chances = [float(distribution.log_prob(value, *args, **kwargs).exp()) for value in every]
        possible = [(value, chance) for value, chance in zip(every, chances, strict=True) if chance]
        value, chance = possible[self._next(len(possible))]
        self.probabilities.append(chance)
        return value

    def _next(self, num_values: int) -> int:
        position = len(self.made)
        if position < len(self.script):
            number = self.script[position]
        else:
            number = 0
            self.others += [[*self.made, other] for other in range(1, num_values)]
        self.made.append(number)
        return number


def _of_decisions(info: Any, decisions: list[bool]) -> float:
    """Return the probability of the decisions, from the ratios that the kernels report."""
    moves = [move.info for move in info.moves] if isinstance(info, Moves) else [info]
    ratios = [float(each.log_acceptance_ratio) for each in moves if hasattr(each, "log_acceptance_ratio")]
    assert len(ratios) == len(decisions)
    probability = 1.0
    for ratio, accepts in zip(ratios, decisions, strict=True):
        chance = math.exp(min(ratio, 0.0))
        probability *= chance if accepts else 1 - chance
    return probability

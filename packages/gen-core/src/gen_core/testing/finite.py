"""Finite models: the probability of every outcome, by enumeration of every run.

With p(t) the probability that simulate makes the choices t, every operation that draws from the internal
proposal gives back p: over the runs that lead to t',

    generate(u, x):        sum of probability * exp(weight) = p(t'; x)
    update(u, x'):         sum of p(t, r; x) * probability * exp(weight) = p(t'; x'), over all r too
    regenerate(S, x'):     sum of probability * exp(t'.project(addresses of t outside S)) = p(t'; x')
    assess(t', x):         sum of probability * exp(score) = p(t'; x)

where the probability of a run is that of all its draws, untraced ones (r) included. With these, the law of
update needs that every r can go with t, since those that cannot are never moved.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, final

from torch import Tensor

from gen_core.choicemap import ChoiceMap
from gen_core.testing.compare import close
from gen_core.testing.enumeration import EnumeratedRun, enumerate_runs
from gen_core.testing.law import Law

if TYPE_CHECKING:
    from gen_core.call import Call
    from gen_core.trace import Trace

State: TypeAlias = tuple[tuple[str, str], ...]
"""Choices, as something to group runs by."""


@final
@dataclass(frozen=True)
class Simulated:
    """What simulate does: every run of it, by the choices that it makes."""

    runs: dict[State, list[EnumeratedRun[Trace[Any]]]]

    @classmethod
    def of(cls, call: Call[Any]) -> Simulated:
        """Enumerate every run of `call`."""
        found: dict[State, list[EnumeratedRun[Trace[Any]]]] = defaultdict(list)
        for run in enumerate_runs(call.simulate):
            found[state_of(run.result.choices)].append(run)
        return cls(found)

    @property
    def traces(self) -> list[Trace[Any]]:
        """One trace for each of the choices that can be made."""
        return [runs[0].result for runs in self.runs.values()]

    def probability(self, state: State) -> float:
        """Return the probability of some choices."""
        return math.fsum(math.exp(run.log_prob) for run in self.runs.get(state, []))

    def agreeing(self, given: ChoiceMap) -> set[State]:
        """Return the states with these values, at the addresses that both have."""
        return {state for state, runs in self.runs.items() if _agree(runs[0].result.choices, given)}


@final
@dataclass(frozen=True)
class Flow:
    """Probability times a weight that should make it p, by the state that it led to."""

    eps: float
    sums: dict[State, float] = field(default_factory=lambda: defaultdict(float))

    def add(self, choices: ChoiceMap, log_term: float) -> None:
        """Add the exponential of a run's log probability and weight."""
        self.sums[state_of(choices)] += math.exp(log_term)

    def require(self, law: Law, simulated: Simulated, agreeing: ChoiceMap, operation: object) -> None:
        """Require p at the states that agree with some choices, and nothing elsewhere."""
        expected = simulated.agreeing(agreeing)
        for state in expected | set(self.sums):
            known = simulated.probability(state) if state in expected else 0.0
            found = self.sums.get(state, 0.0)
            if not close(found, known, self.eps):
                what = f"the weighted sum over the runs that lead to {dict(state)!r}"
                raise law.broken(operation, f"{what} is {found:.8g} and not {known:.8g}")


def state_of(choices: ChoiceMap) -> State:
    """Return the addresses and values."""
    return tuple(sorted((repr(path), repr(_plain(value))) for path, value in choices.leaves()))


def _agree(choices: ChoiceMap, given: ChoiceMap) -> bool:
    return all(_plain(given[path]) == _plain(value) for path, value in choices.leaves() if path in given)


def _plain(value: object) -> object:
    return value.tolist() if isinstance(value, Tensor) else value

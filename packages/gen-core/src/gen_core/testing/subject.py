"""What the laws are checked on: calls of one generative function, traces of them, and edits of these."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, final

import torch
from torch import Tensor

from gen_core.choicemap import ChoiceMap
from gen_core.testing.attempts import clash, constraints, selections
from gen_core.testing.compare import close, epsilon
from gen_core.testing.law import Law
from gen_core.testing.operation import Operation
from gen_core.testing.snapshot import Snapshot

if TYPE_CHECKING:
    from gen_core.call import Call
    from gen_core.diff import Diff
    from gen_core.results import Updated
    from gen_core.selection import Selection
    from gen_core.trace import Trace

T = TypeVar("T")

NUM_TRACES = 3
NUM_EDITS = 5
NUM_MOVES = 3


@final
@dataclass(frozen=True)
class Subject:
    """A generative function under test, and what its author says of it."""

    call: Call[Any]
    other_calls: tuple[Call[Any], ...]
    untraced: bool
    forward: bool
    differentiable: bool
    finite: bool
    share: float = 1.0
    """How much of what could be tried is tried."""
    random: random.Random = field(default_factory=random.Random)

    @property
    def calls(self) -> tuple[Call[Any], ...]:
        """All calls."""
        return (self.call, *self.other_calls)

    @property
    def is_forward(self) -> bool:
        """Whether project adds up the log densities of single choices."""
        return self.forward and not self.untraced

    @cached_property
    def eps(self) -> float:
        """The rounding error of the densities."""
        return epsilon([call.values() for call in self.calls])

    def seed(self) -> int:
        """Seed torch, and return the seed."""
        seed = self.random.getrandbits(32)
        torch.default_generator.manual_seed(seed)
        return seed

    def seeded(self, operation: Callable[[], T]) -> T:
        """Run an operation with a seed of its own."""
        self.seed()
        return operation()

    def sample(self, attempts: list[T], most: int) -> list[T]:
        """Return some of the attempts: at most `most`, and less on a subject that is tried less."""
        return self.random.sample(attempts, min(math.ceil(most * self.share), len(attempts)))

    def close(self, left: Tensor | float, right: Tensor | float, *traces: Trace[Any]) -> bool:
        """Return whether two numbers that were computed from the scores of `traces` are equal."""
        return close(left, right, self.eps, max([0.0, *(abs(float(trace.score)) for trace in traces)]))

    def traces(self) -> list[Trace[Any]]:
        """Return traces to start from: simulated ones, and one of each kind of edit."""
        with Law.ASSESS.checked_on(Operation("simulate", self.call)):
            found = [self.seeded(self.call.simulate) for _ in range(NUM_TRACES)]
            found += [self.seeded(call.simulate) for call in self.other_calls]
        start, donor = found[0], found[1].choices
        given = self.random.choice(constraints(donor, self.random))
        selection = self.random.choice(selections(start.choices.paths(), self.random))
        changes: list[ChoiceMap | Selection] = [given, selection]
        return [*found, *(edit(self, start, self.call, change).result.trace for change in changes)]


@final
@dataclass(frozen=True)
class Edit:
    """One edit of a trace, done and able to be done again: an update, or a regeneration."""

    subject: Subject
    old: Trace[Any]
    before: Snapshot
    call: Call[Any]
    given: ChoiceMap | Selection
    seed: int
    result: Updated[Any]

    def again(self, argdiffs: Diff | Mapping[str, Diff] | None) -> Updated[Any]:
        """Do the same edit, with hints."""
        torch.default_generator.manual_seed(self.seed)
        return _run(self.old, self.call, self.given, argdiffs)

    def __str__(self) -> str:
        return str(_operation(self.old, self.call, self.given))


def edits(subject: Subject, traces: list[Trace[Any]]) -> Iterator[Edit]:
    """Yield updates and regenerations of the traces, to their own arguments and to others."""
    for trace in traces:
        before = Snapshot(trace)
        for call in dict.fromkeys([trace.call, subject.random.choice(subject.calls)]):
            most = NUM_EDITS if call is trace.call else NUM_MOVES
            donor = subject.random.choice([other for other in traces if other.call is call]).choices
            changes: list[Any] = subject.sample(constraints(donor, subject.random), most)
            changes += subject.sample(selections(trace.choices.paths(), subject.random), most)
            for change in changes:
                done = edit(subject, trace, call, change, before)
                if not (isinstance(change, ChoiceMap) and clash(change, done.result.trace.choices)):
                    yield done


def edit(
    subject: Subject,
    old: Trace[Any],
    call: Call[Any],
    given: ChoiceMap | Selection,
    before: Snapshot | None = None,
) -> Edit:
    """Edit `old`, and keep what is needed to judge that."""
    before = before or Snapshot(old)
    seed = subject.seed()
    with Law.IDENTITIES.checked_on(_operation(old, call, given)):
        return Edit(subject, old, before, call, given, seed, _run(old, call, given, None))


def _operation(old: Trace[Any], call: Call[Any], given: ChoiceMap | Selection) -> Operation:
    return Operation(_kind(given), old.choices, (given, call))


def _kind(given: ChoiceMap | Selection) -> str:
    return "update" if isinstance(given, ChoiceMap) else "regenerate"


def _run(
    old: Trace[Any], call: Call[Any], given: Any, argdiffs: Diff | Mapping[str, Diff] | None
) -> Updated[Any]:
    run = old.update if isinstance(given, ChoiceMap) else old.regenerate
    return run(given, call, argdiffs=argdiffs)

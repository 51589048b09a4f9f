"""For each law a planted bug that breaks it, of the kind that people write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, final

import pytest
import torch
from torch import Tensor

from gen_core import (
    ALL,
    EMPTY,
    UNCHANGED,
    UNKNOWN,
    Call,
    ChoiceGradients,
    ChoiceMap,
    Generated,
    GenerativeFunction,
    Path,
    Selection,
    Trace,
    Updated,
    choicemap,
    draw,
    param,
    rooms,
    select,
    selection_of,
)
from gen_core import run as handlers
from gen_core.pytree import register_trace
from gen_core.testing import LawError, check_laws
from gen_distributions import bernoulli, categorical, normal
from gen_dml import gen

pytestmark = pytest.mark.unverified


@gen
def model(p: float, loc: float) -> Any:
    if bernoulli(p) @ "wide":
        x = normal(loc, 3.0) @ "x"
    else:
        x = normal(loc, 1.0) @ ("narrow", "x")
    return x * param("factor", 2.0) + normal(x, 1.0) @ "y"


@gen
def finite_model(p: float, q: float) -> Any:
    wide = bernoulli(p) @ "wide"
    k = categorical([0.2, 0.5, 0.3]) @ "k" if wide else bernoulli(q) @ "b"
    bernoulli(0.9 if k else 0.2) @ "end"
    return wide


class Mutant(GenerativeFunction[..., Any]):
    """Does what another function does; a mutation overrides one of its rooms."""

    def __init__(self, inner: GenerativeFunction[..., Any]) -> None:
        super().__init__(type(self).__name__, inner.signature)
        self.inner = inner

    def inner_call(self, call: Call[Any]) -> Call[Any]:
        return Call(self.inner, call.args, call.kwargs)

    def do_simulate(self, call: Call[Any], /) -> Trace[Any]:
        return MutantTrace(call, rooms.simulate(self.inner_call(call)))

    def do_generate(self, call: Call[Any], constraints: ChoiceMap, /) -> Generated[Any]:
        trace, weight = rooms.generate(self.inner_call(call), constraints)
        return Generated(MutantTrace(call, trace), weight)

    def do_assess(self, call: Call[Any], choices: ChoiceMap, /) -> Trace[Any]:
        return MutantTrace(call, rooms.assess(self.inner_call(call), choices))

    def do_update(
        self, trace: Trace[Any], call: Call[Any], argdiffs: Any, constraints: ChoiceMap, /
    ) -> Updated[Any]:
        return around(call, rooms.update(inner_of(trace), self.inner_call(call), argdiffs, constraints))

    def do_regenerate(
        self, trace: Trace[Any], call: Call[Any], argdiffs: Any, selection: Selection, /
    ) -> Updated[Any]:
        return around(call, rooms.regenerate(inner_of(trace), self.inner_call(call), argdiffs, selection))

    def do_project(self, trace: Trace[Any], selection: Selection, /) -> Tensor:
        return rooms.project(inner_of(trace), selection)

    def do_choice_gradients(
        self, trace: Trace[Any], selection: Selection, retgrad: object, /
    ) -> ChoiceGradients:
        return rooms.choice_gradients(inner_of(trace), selection, retgrad)

    def do_accumulate_param_gradients(self, trace: Trace[Any], retgrad: object, scale: float, /) -> Any:
        return rooms.accumulate_param_gradients(inner_of(trace), retgrad, scale)


class MutantTrace(Trace[Any]):
    def __init__(self, call: Call[Any], inner: Trace[Any], retval: object = None) -> None:
        super().__init__(call, inner.retval if retval is None else retval, inner.score)
        self.inner = inner

    @property
    def choices(self) -> ChoiceMap:
        return self.inner.choices

    def find(self, path: Path) -> Trace[Any] | None:
        return self.inner.find(path) if path else self


register_trace(MutantTrace, lambda trace: (trace.call, trace.inner), MutantTrace)


def inner_of(trace: Trace[Any]) -> Trace[Any]:
    assert isinstance(trace, MutantTrace)
    return trace.inner


def around(call: Call[Any], edited: Updated[Any]) -> Updated[Any]:
    trace, weight, retdiff, discard = edited
    return Updated(MutantTrace(call, trace), weight, retdiff, discard)


def gone(trace: Trace[Any], edited: Updated[Any]) -> list[Path]:
    return [path for path in trace.choices.paths() if path not in edited.trace.choices]


# Law 1.


class UpdateForgetsWhatVanished(Mutant):
    def do_update(self, trace: Trace[Any], *args: Any) -> Updated[Any]:
        edited = super().do_update(trace, *args)
        lost = rooms.project(trace, select(*gone(trace, edited)))
        return edited._replace(weight=edited.weight + lost)


class UpdateForgetsItsDiscard(Mutant):
    def do_update(self, trace: Trace[Any], *args: Any) -> Updated[Any]:
        edited = super().do_update(trace, *args)
        vanished = select(*gone(trace, edited))
        return edited._replace(discard=edited.discard.filter(~vanished))


class RegenerateChargesWhatItDrew(Mutant):
    def do_regenerate(self, trace: Trace[Any], *args: Any) -> Updated[Any]:
        edited = super().do_regenerate(trace, *args)
        return edited._replace(weight=edited.trace.score - trace.score)


class GenerateIgnoresDeepConstraints(Mutant):
    def do_generate(self, call: Call[Any], constraints: ChoiceMap, /) -> Generated[Any]:
        flat = constraints.filter(~select("narrow"))
        return super().do_generate(call, flat)


class GenerateWeighsWhatItDrew(Mutant):
    def do_generate(self, call: Call[Any], constraints: ChoiceMap, /) -> Generated[Any]:
        trace, _ = super().do_generate(call, constraints)
        return Generated(trace, trace.score)


class ProjectIgnoresComplements(Mutant):
    def do_project(self, trace: Trace[Any], selection: Selection, /) -> Tensor:
        literals = [path for path in selection.literals() if path in trace.choices]
        return super().do_project(trace, select(*literals) if literals else selection)


class ScoreForgetsCallees(Mutant):
    def do_project(self, trace: Trace[Any], selection: Selection, /) -> Tensor:
        return super().do_project(trace, selection - select("narrow"))


# Law 2.


class UpdateReturnsTheOldValue(Mutant):
    def do_update(self, trace: Trace[Any], call: Call[Any], *args: Any) -> Updated[Any]:
        edited = super().do_update(trace, call, *args)
        return edited._replace(trace=MutantTrace(call, inner_of(edited.trace), trace.retval))


class AssessScoresTheOldArguments(Mutant):
    first: Call[Any] | None = None

    def do_assess(self, call: Call[Any], choices: ChoiceMap, /) -> Trace[Any]:
        if self.first is None:
            self.first = call  # a cache that is never invalidated
        return super().do_assess(self.first, choices)


# Law 3.


class UpdateWorksInPlace(Mutant):
    def do_update(self, trace: Trace[Any], *args: Any) -> Updated[Any]:
        edited = super().do_update(trace, *args)
        assert isinstance(trace, MutantTrace)
        trace.inner = inner_of(edited.trace)
        return edited


class GenerateChangesWhatItIsGiven(Mutant):
    def do_generate(self, call: Call[Any], constraints: ChoiceMap, /) -> Generated[Any]:
        for value in constraints.values():
            if isinstance(value, Tensor) and value.is_floating_point():
                value.clamp_(-0.1, 0.1)
        return super().do_generate(call, constraints)


# Law 4.


class UpdateDrawsAgainWhenUnsure(Mutant):
    def do_update(
        self, trace: Trace[Any], call: Call[Any], argdiffs: Any, constraints: ChoiceMap, /
    ) -> Updated[Any]:
        if constraints.is_empty and UNKNOWN in argdiffs:
            return self.do_regenerate(trace, call, argdiffs, ALL)
        return super().do_update(trace, call, argdiffs, constraints)


# Law 5.


class DiscardHoldsTheNewValues(Mutant):
    def do_update(self, *args: Any) -> Updated[Any]:
        edited = super().do_update(*args)
        new = edited.trace.choices.filter(edited.discard.addresses())
        return edited._replace(discard=edited.discard.override(new))


# Law 6: these wrap `finite_model`.


class DrawsFromAnotherProposal(Mutant):
    def do_generate(self, call: Call[Any], constraints: ChoiceMap, /) -> Generated[Any]:
        guess = draw(bernoulli, (0.5, None), {}) if "wide" not in constraints else constraints["wide"]
        trace, weight = super().do_generate(call, constraints.override(choicemap({"wide": guess})))
        if "wide" not in constraints:  # what it drew itself counts as if it came from the prior
            weight = weight - trace.project(select("wide"))
        return Generated(trace, weight)

    def do_simulate(self, call: Call[Any], /) -> Trace[Any]:
        return self.do_generate(call, EMPTY).trace


class RegenerateKeepsWhatIsSelected(Mutant):
    def do_regenerate(
        self, trace: Trace[Any], call: Call[Any], argdiffs: Any, selection: Selection, /
    ) -> Updated[Any]:
        return super().do_regenerate(trace, call, argdiffs, selection - select("k"))


# Law 7: these too.


class RegenerateForgetsWhatVanished(Mutant):
    def do_regenerate(self, trace: Trace[Any], *args: Any) -> Updated[Any]:
        edited = super().do_regenerate(trace, *args)
        kept = selection_of(dict.fromkeys(map(tuple, gone(trace, edited)), 0.0))
        return edited._replace(weight=edited.weight - rooms.project(trace, kept))


# Law 8.


class ValueIsCalledUnchanged(Mutant):
    def do_update(
        self, trace: Trace[Any], call: Call[Any], argdiffs: Any, constraints: ChoiceMap, /
    ) -> Updated[Any]:
        edited = super().do_update(trace, call, argdiffs, constraints)
        same_arguments = all(diff is UNCHANGED for diff in argdiffs)
        return edited._replace(retdiff=UNCHANGED if same_arguments else edited.retdiff)


# Law 9.


class LookUpStopsAtTheFirstKey(Mutant):
    def do_simulate(self, call: Call[Any], /) -> Trace[Any]:
        return ForgetfulTrace(call, rooms.simulate(self.inner_call(call)))


class ForgetfulTrace(MutantTrace):
    def find(self, path: Path) -> Trace[Any] | None:
        return self.inner.find(path[:1]) if path else self


# Law 10.


class GradientsAreDoubled(Mutant):
    def do_choice_gradients(self, *args: Any) -> ChoiceGradients:
        found = super().do_choice_gradients(*args)
        return found._replace(gradients=found.gradients.map(lambda gradient: 2 * gradient))


class RetgradIsIgnored(Mutant):
    def do_choice_gradients(
        self, trace: Trace[Any], selection: Selection, retgrad: object, /
    ) -> ChoiceGradients:
        return super().do_choice_gradients(trace, selection, None)


class ScaleIsIgnored(Mutant):
    def do_accumulate_param_gradients(self, trace: Trace[Any], retgrad: object, scale: float, /) -> Any:
        return super().do_accumulate_param_gradients(trace, retgrad, 1.0)


class ParametersOfCalleesGetNothing(Mutant):
    def do_accumulate_param_gradients(self, trace: Trace[Any], retgrad: object, scale: float, /) -> Any:
        return rooms.choice_gradients(inner_of(trace), select(), retgrad).args


class GradientsReplaceWhatIsThere(Mutant):
    def do_accumulate_param_gradients(self, *args: Any) -> Any:
        for parameter in self.inner.params.values():
            parameter.grad = None
        return super().do_accumulate_param_gradients(*args)


class DiscreteChoicesHaveNoSlope(Mutant):
    def do_choice_gradients(
        self, trace: Trace[Any], selection: Selection, retgrad: object, /
    ) -> ChoiceGradients:
        return super().do_choice_gradients(trace, selection - select("wide"), retgrad)


# Law 11.


class OneHintIsTakenForAll(Mutant):
    def do_update(
        self, trace: Trace[Any], call: Call[Any], argdiffs: Any, constraints: ChoiceMap, /
    ) -> Updated[Any]:
        believed = trace.call if UNCHANGED in argdiffs else call
        return super().do_update(trace, believed, argdiffs, constraints)


# Law 12.


class FlattensWithoutItsScore(Mutant):
    def do_simulate(self, call: Call[Any], /) -> Trace[Any]:
        return ScorelessTrace(call, rooms.simulate(self.inner_call(call)))


class ScorelessTrace(MutantTrace):
    def without_score(self) -> ScorelessTrace:
        self._score = torch.zeros((), dtype=torch.float64)
        return self


register_trace(
    ScorelessTrace,
    lambda trace: (trace.call, trace.inner),
    lambda call, inner: ScorelessTrace(call, inner).without_score(),
)


# Law 13.


class NeverJudges(Mutant):
    def do_simulate(self, call: Call[Any], /) -> Trace[Any]:
        return LenientTrace(call, rooms.simulate(self.inner_call(call)))

    def do_generate(self, call: Call[Any], constraints: ChoiceMap, /) -> Generated[Any]:
        trace, weight = rooms.generate(self.inner_call(call), constraints)
        return Generated(LenientTrace(call, trace), weight)


class LenientTrace(MutantTrace):
    def visited(self, path: Path) -> bool:
        return True


class AssessSamplesWhatIsMissing(Mutant):
    def do_assess(self, call: Call[Any], choices: ChoiceMap, /) -> Trace[Any]:
        return MutantTrace(call, rooms.generate(self.inner_call(call), choices).trace)


@final
class Handling:
    outer = None

    def __init__(self, call: Call[Any]) -> None:
        self.call = call
        self.gen_fn = call.gen_fn


class LeavesItsHandlerBehind(Mutant):
    def do_simulate(self, call: Call[Any], /) -> Trace[Any]:
        current: ContextVar[Any] = handlers._current
        token = current.set(Handling(call))
        trace = super().do_simulate(call)
        current.reset(token)
        return trace


# Law 14.


class TakesItsCallersHandlerAway(Mutant):
    def do_simulate(self, call: Call[Any], /) -> Trace[Any]:
        trace = super().do_simulate(call)
        handlers._current.set(None)  # where nothing runs, that is what was there before
        return trace


MUTATIONS: dict[int, Sequence[type[Mutant]]] = {
    1: [
        UpdateForgetsWhatVanished,
        UpdateForgetsItsDiscard,
        RegenerateChargesWhatItDrew,
        GenerateIgnoresDeepConstraints,
        GenerateWeighsWhatItDrew,
        ProjectIgnoresComplements,
        ScoreForgetsCallees,
    ],
    2: [UpdateReturnsTheOldValue, AssessScoresTheOldArguments],
    3: [UpdateWorksInPlace, GenerateChangesWhatItIsGiven],
    4: [UpdateDrawsAgainWhenUnsure],
    5: [DiscardHoldsTheNewValues],
    6: [DrawsFromAnotherProposal, RegenerateKeepsWhatIsSelected],
    7: [RegenerateForgetsWhatVanished],
    8: [ValueIsCalledUnchanged],
    9: [LookUpStopsAtTheFirstKey],
    10: [
        GradientsAreDoubled,
        RetgradIsIgnored,
        ScaleIsIgnored,
        ParametersOfCalleesGetNothing,
        GradientsReplaceWhatIsThere,
        DiscreteChoicesHaveNoSlope,
    ],
    11: [OneHintIsTakenForAll],
    12: [FlattensWithoutItsScore],
    13: [NeverJudges, AssessSamplesWhatIsMissing, LeavesItsHandlerBehind],
    14: [TakesItsCallersHandlerAway],
}
ROWS = [(number, mutation) for number, mutations in MUTATIONS.items() for mutation in mutations]


def check(mutation: Callable[[GenerativeFunction[..., Any]], Mutant], **flags: Any) -> None:
    mutant, finite_mutant = mutation(model), mutation(finite_model)
    check_laws(mutant(0.5, 1.0), other_calls=[mutant(0.5, 0.3), mutant(0.8, 1.0)], **flags)
    check_laws(finite_mutant(0.4, 0.3), other_calls=[finite_mutant(0.4, 0.9)], finite=True, **flags)


def test_without_a_mutation_the_laws_hold() -> None:
    check(Mutant)


@pytest.mark.parametrize(("number", "mutation"), ROWS, ids=lambda value: getattr(value, "__name__", None))
def test_a_mutation_breaks_its_law(number: int, mutation: type[Mutant]) -> None:
    with pytest.raises(LawError, match=rf"^law {number} \(.*\) is broken "):
        check(mutation, laws={number})


@pytest.mark.parametrize("mutation", [each for _, each in ROWS], ids=lambda value: value.__name__)
def test_no_mutation_passes_all_laws(mutation: type[Mutant]) -> None:
    with pytest.raises(AssertionError, match=r"^law \d+ "):
        check(mutation)

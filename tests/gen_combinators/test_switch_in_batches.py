"""A batch of Switches, each at its own branch, gives for each what it gives alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from gen_combinators import BranchesDifferError, BranchIndexError, Mask, Switch, or_else
from gen_combinators.branch_trace import BranchTrace, MaskedTrace
from gen_core import (
    ALL,
    EMPTY,
    NONE,
    UNKNOWN,
    Call,
    ChoiceMap,
    MissingChoiceError,
    Selection,
    Trace,
    TraceBatch,
    UnvisitedConstraintsError,
    Updated,
    batch,
    choicemap,
    choose,
    select,
    vmap,
    where,
)
from gen_distributions import bernoulli, categorical, exponential, gamma, normal
from gen_dml import gen
from gen_torch import jit

N = 12
OLD = torch.tensor([0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1])
NEW = torch.tensor([0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1])


@gen
def first(p: Tensor) -> Tensor:
    x = bernoulli(p) @ "x"
    bernoulli(torch.where(x, 0.6, 0.2)) @ ("only", "y")
    return normal(x.to(p.dtype), 1.0) @ "level"


@gen
def second(p: Tensor) -> Tensor:
    level = normal(p, 2.0) @ "level"
    x = bernoulli(torch.sigmoid(level)) @ "x"
    bernoulli(torch.where(x, 0.9, 0.4)) @ "z"
    return level + 1.0


BOTH = Switch(first, second)


@gen
def caller(index: Tensor, p: Tensor) -> Tensor:
    offset = normal(0.0, 1.0) @ "offset"
    return BOTH(index, p) @ "part" + offset


@gen
def nested(index: Tensor, p: Tensor) -> Tensor:
    return Switch(BOTH, Switch(second, first))(index, index, p) @ "outer"


@gen
def random_index(index: Tensor, p: Tensor) -> Tensor:
    k = categorical(torch.stack([1.0 - p, p])) @ "k"
    return Switch(first, second)((k + index) % 2, p) @ "part"


@gen
def either(index: Tensor, p: Tensor) -> Tensor:
    return or_else(first, second)(index == 0, (p,), (p * 0.5,)) @ "part"


@gen
def masked(index: Tensor, p: Tensor) -> Tensor:
    shown = Mask(first)(index == 1, p) @ "part"
    return shown.or_else(torch.zeros(()))


MODELS: dict[str, Any] = {
    "switch": BOTH,
    "in a caller": caller,
    "nested": nested,
    "random index": random_index,
    "or_else": either,
    "mask": masked,
}


@pytest.fixture(autouse=True)
def seeded() -> Any:
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(1)
    yield
    torch.set_default_dtype(dtype)


def calls(model: Any, indices: Tensor) -> list[Call[Any]]:
    return [model(index, p) for index, p in zip(indices, probabilities(), strict=True)]


def probabilities() -> Tensor:
    return torch.linspace(0.2, 0.8, N)


def simulated(model: Any, indices: Tensor = OLD) -> TraceBatch[Any]:
    traces: TraceBatch[Any] = batch(model.simulate)(indices, probabilities())
    return traces


@pytest.mark.parametrize("name", MODELS)
def test_each_trace_of_a_batch_is_a_trace_of_its_own_call(name: str) -> None:
    model = MODELS[name]

    traces = simulated(model)

    for trace, call, score in zip(traces, calls(model, OLD), traces.score, strict=True):
        alone = call.assess(trace.choices)  # strict: no choice more, none less
        assert close(score, trace.score) and close(score, alone.score)
        assert close(as_tensor(trace.retval), as_tensor(alone.retval))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("given", ["none", "some", "all"])
def test_generate_weighs_each_element_as_alone(name: str, given: str) -> None:
    model = MODELS[name]
    donor = simulated(model).choices
    constraints = {"none": EMPTY, "some": donor.filter(where(has("level", "z"))), "all": donor}[given]

    traces, weights = batch(lambda u, i, p: model.generate(u, i, p))(constraints, OLD, probabilities())

    for i, (trace, weight) in enumerate(zip(traces, weights, strict=True)):
        given_here = at(constraints, i).filter(of(trace))
        assert trace.choices.filter(given_here.addresses()) == given_here
        assert close(weight, trace.project(constraints.addresses()))
        if given == "all":
            assert close(weight, trace.call.generate(given_here).weight)


@pytest.mark.parametrize("name", MODELS)
def test_assess_scores_each_element_as_alone(name: str) -> None:
    model = MODELS[name]
    traces = simulated(model)

    scores, _ = batch(lambda u, i, p: model.assess(u, i, p))(traces.choices, OLD, probabilities())

    assert close(scores, traces.score)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("given", ["none", "some", "all"])
@pytest.mark.parametrize("new", [OLD, NEW], ids=["same", "changed"])
def test_update_weighs_each_element_as_alone(name: str, given: str, new: Tensor) -> None:
    model = MODELS[name]
    old = simulated(model)
    donor = simulated(model, new).choices
    constraints = {"none": EMPTY, "some": donor.filter(where(has("x", "z"))), "all": donor}[given]

    updated = batch(lambda t, u, i, p: t.update(u, model(i, p)))(old, constraints, new, probabilities())

    check_update(old, updated, constraints)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "selection", [NONE, ALL, where(lambda path: "level" in path)], ids=["NONE", "ALL", "level"]
)
@pytest.mark.parametrize("new", [OLD, NEW], ids=["same", "changed"])
def test_regenerate_weighs_each_element_as_alone(name: str, selection: Selection, new: Tensor) -> None:
    model = MODELS[name]
    old = simulated(model)

    moved = batch(lambda t, i, p: t.regenerate(selection, model(i, p)))(old, new, probabilities())

    for i, trace in enumerate(moved.trace):
        before = old[i]
        kept = trace.choices.filter(of(before) - selection)
        assert kept == before.choices.filter(of(trace) - selection)
        expected = trace.project(of(before) - selection) - before.project(of(trace) - selection)
        assert close(moved.weight[i], expected)
        assert close(trace.score, trace.call.assess(trace.choices).score)


@pytest.mark.parametrize("name", MODELS)
def test_an_update_and_its_discard_lead_back(name: str) -> None:
    model = MODELS[name]
    old = simulated(model)
    new = simulated(model, NEW).choices  # so that nothing is drawn

    there = batch(lambda t, u, i, p: t.update(u, model(i, p)))(old, new, NEW, probabilities())
    back = batch(lambda t, u, i, p: t.update(u, model(i, p)))(
        there.trace, there.discard, OLD, probabilities()
    )

    assert close(back.weight, -there.weight)
    assert [trace.choices for trace in back.trace] == [trace.choices for trace in old]


@pytest.mark.parametrize("name", MODELS)
def test_nothing_to_do_weighs_nothing(name: str) -> None:
    old = simulated(MODELS[name])

    updated = batch(lambda trace: trace.update({}, argdiffs=UNKNOWN))(old)

    assert close(updated.weight, torch.zeros(N))
    assert [trace.choices for trace in updated.trace] == [trace.choices for trace in old]


@pytest.mark.parametrize("name", MODELS)
def test_project_projects_each_element(name: str) -> None:
    old = simulated(MODELS[name])
    selection = where(has("level", "y"))

    parts = batch(lambda trace: trace.project(selection))(old)

    assert close(parts, torch.stack([trace.project(selection) for trace in old]))


@pytest.mark.parametrize("name", MODELS)
def test_accepting_and_rejecting_choose_by_element(name: str) -> None:
    model = MODELS[name]
    old = simulated(model)
    moved = batch(lambda t, i, p: t.regenerate(NONE, model(i, p)))(old, NEW, probabilities()).trace
    accepted = torch.arange(N) % 3 == 0

    chosen = choose(accepted, moved, old)

    for i, trace in enumerate(chosen):
        expected = moved[i] if accepted[i] else old[i]
        assert trace.choices == expected.choices and close(trace.score, expected.score)


def test_one_trace_of_a_batch_shows_only_its_branch_and_is_edited_as_any() -> None:
    traces = simulated(BOTH)

    one, two = traces[0], traces[1]
    moved = one.update({"z": True}, BOTH(1, torch.tensor(0.3)))

    assert isinstance(traces.wide, MaskedTrace) and isinstance(one, BranchTrace)
    assert ("only", "y") in one and "z" not in one
    assert "z" in two and ("only", "y") not in two
    assert moved.discard == one.choices.filter(select(("only", "y")))
    assert close(moved.weight, moved.trace.score - one.score)


def test_a_batch_of_one_branch_moves_to_a_batch_of_both() -> None:
    old: TraceBatch[Any] = batch(lambda p: BOTH.simulate(0, p))(probabilities())

    updated = batch(lambda t, i, p: t.update({}, BOTH(i, p)))(old, NEW, probabilities())
    back = batch(lambda t, p: t.update({}, BOTH(0, p)))(updated.trace, probabilities())

    check_update(old, updated, EMPTY)
    check_update(updated.trace, back, EMPTY)
    assert isinstance(back.trace.wide, BranchTrace)


def test_a_value_off_the_support_of_a_branch_that_is_not_taken_does_no_harm() -> None:
    positive = Switch(normal, gamma)
    values = torch.tensor([-1.0, 2.0])
    index = torch.tensor([0, 1])

    def score(value: Tensor, a: Tensor, b: Tensor, i: Tensor) -> Tensor:
        return positive.assess({(): value}, i, a, b).score

    a, b = torch.tensor(1.5, requires_grad=True), torch.tensor(0.5, requires_grad=True)
    total = batch(score, in_dims=(0, None, None, 0))(values, a, b, index).sum()
    total.backward()
    alone_a, alone_b = torch.tensor(1.5, requires_grad=True), torch.tensor(0.5, requires_grad=True)
    alone = normal.log_prob(values[0], alone_a, alone_b) + gamma.log_prob(values[1], alone_a, alone_b)
    alone.backward()

    assert close(total, alone)
    assert a.grad is not None and alone_a.grad is not None and close(a.grad, alone_a.grad)
    assert b.grad is not None and alone_b.grad is not None and close(b.grad, alone_b.grad)


@gen
def of_logarithm(x: Tensor) -> Tensor:
    return normal(x.log(), 1.0) @ "y"


@gen
def of_root(x: Tensor) -> Tensor:
    return normal((-x).sqrt(), 1.0) @ "y"


@pytest.mark.parametrize("transform", ["autograd", "func"])
def test_an_undefined_operation_of_a_branch_that_is_not_taken_leaves_gradients_alone(transform: str) -> None:
    xs = torch.tensor([2.0, -3.0])
    index = torch.tensor([0, 1])
    one_of = Switch(of_logarithm, of_root)

    def score(x: Tensor) -> Tensor:
        scores: Tensor = batch(lambda x, i: one_of.assess({"y": 0.3}, i, x).score)(x, index)
        return scores.sum()

    if transform == "func":
        gradient = torch.func.grad(score)(xs)
    else:
        xs.requires_grad_()
        (gradient,) = torch.autograd.grad(score(xs), [xs])

    root, log = torch.tensor(3.0).sqrt(), torch.tensor(2.0).log()
    assert close(gradient, torch.stack([(0.3 - log) / 2.0, -(0.3 - root) / (2 * root)]))


@gen
def three_kinds(p: Tensor) -> Tensor:
    k = categorical(torch.ones(3)) @ "k"
    return torch.tensor([0.1, 0.2, 0.3])[k] * p


@gen
def five_kinds(p: Tensor) -> Tensor:
    k = categorical(torch.ones(5)) @ "k"
    return torch.arange(5.0)[k] * p


def test_an_index_out_of_the_bounds_of_a_branch_that_is_not_taken_does_no_harm() -> None:
    kinds = Switch(three_kinds, five_kinds)
    given = choicemap({"k": torch.tensor([2, 4])})

    traces, weights = batch(lambda u, i: kinds.generate(u, i, torch.tensor(1.0)))(given, torch.tensor([0, 1]))
    moved = batch(lambda t, u: t.update(u))(traces, choicemap({"k": torch.tensor([0, 3])}))

    assert close(weights.exp(), torch.tensor([1 / 3, 1 / 5]))
    assert close(traces.retval, torch.tensor([0.3, 4.0]))
    assert close(moved.trace.retval, torch.tensor([0.1, 3.0]))


def test_choice_gradients_of_a_batch_are_those_of_each() -> None:
    traces = simulated(caller)
    selection = select("offset", ("part", "level"))

    found = batch(lambda trace: trace.choice_gradients(selection, torch.tensor(0.7)))(traces)

    for i, trace in enumerate(traces):
        alone = trace.choice_gradients(selection, torch.tensor(0.7))
        for path, gradient in alone.gradients.leaves():
            assert close(found.gradients[path][i], gradient)
        assert close(found.args.args[1][i], alone.args.args[1])


def test_assess_of_the_choices_of_one_branch_is_nan_where_the_other_is_taken() -> None:
    choices = first.simulate(torch.tensor(0.3)).choices

    scores, _ = batch(lambda i: BOTH.assess(choices, i, torch.tensor(0.3)))(torch.tensor([0, 1]))

    assert close(scores[0], first.assess(choices, torch.tensor(0.3)).score) and bool(scores[1].isnan())


def test_assess_without_a_choice_that_every_branch_makes_raises() -> None:
    with pytest.raises(MissingChoiceError, match=r"Switch\(first, second\) makes a choice at 'x'"):
        batch(lambda i: BOTH.assess({"level": 0.3}, i, torch.tensor(0.3)))(torch.tensor([0, 1]))


def test_a_constraint_on_a_branch_that_is_not_taken_counts_as_visited() -> None:
    _, weights = batch(lambda i: BOTH.generate({"z": True}, i, torch.tensor(0.3)))(torch.tensor([0, 1]))

    assert float(weights[0]) == 0.0 and float(weights[1]) < 0.0
    with pytest.raises(UnvisitedConstraintsError, match="never visited 'w'"):
        batch(lambda i: BOTH.generate({"w": True}, i, torch.tensor(0.3)))(torch.tensor([0, 1]))


def test_an_index_that_is_out_of_range_makes_the_score_nan() -> None:
    traces = batch(lambda i: BOTH.simulate(i, torch.tensor(0.3)))(torch.tensor([0, 2]))

    assert traces.score.isnan().tolist() == [False, True]
    with pytest.raises(BranchIndexError, match="from 0 to 1, but got 2"):
        BOTH.simulate(2, torch.tensor(0.3))


@gen
def returns_a_pair() -> tuple[Tensor, Tensor]:
    x = normal(0.0, 1.0) @ "x"
    return x, x


@gen
def returns_a_matrix() -> tuple[Tensor, Tensor]:
    x = normal(0.0, 1.0) @ "x"
    return x, x.expand(2, 2)


@gen
def draws_a_vector() -> Tensor:
    return normal(torch.zeros(2), 1.0) @ "x"


@gen
def draws_below() -> Tensor:
    return normal(0.0, 1.0) @ ("x", 0)


@pytest.mark.parametrize(
    ("branches", "message"),
    [
        (
            (returns_a_pair, returns_a_matrix),
            r"to return the same kind of value\[1\], but branch 0 has a tens",
        ),
        ((returns_a_pair, normal), r"to return the same kind of value, but branch 0 has \("),
        ((normal, draws_a_vector), r"to return the same kind of value"),
    ],
)
def test_branches_that_return_different_kinds_are_refused_by_leaf(branches: Any, message: str) -> None:
    arguments = [(0.0, 1.0) if branch is normal else () for branch in branches]

    with pytest.raises(BranchesDifferError, match=message):
        batch(lambda c: or_else(*branches).simulate(c, *arguments))(torch.tensor([True, False]))


@pytest.mark.parametrize("other", [draws_a_vector, draws_below])
def test_branches_that_make_different_kinds_of_choices_are_refused(other: Any) -> None:
    @gen
    def scalar() -> None:
        normal(0.0, 1.0) @ "x"

    @gen
    def other_kind() -> None:
        normal(torch.zeros(2), 1.0) @ "x" if other is draws_a_vector else normal(0.0, 1.0) @ ("x", 0)

    with pytest.raises(BranchesDifferError, match="to make choices the same kind of value at 'x', but"):
        batch(Switch(scalar, other_kind).simulate)(torch.tensor([0, 1]))


def test_python_numbers_that_branches_return_become_tensors_where_they_differ() -> None:
    @gen
    def one() -> dict[str, Any]:
        return {"number": 1.0, "name": "same", "tensor": torch.tensor(2.0)}

    @gen
    def two() -> dict[str, Any]:
        return {"number": 2.0, "name": "same", "tensor": 3.0}

    retval = batch(Switch(one, two).simulate)(torch.tensor([0, 1])).retval

    assert retval["name"] == "same"
    assert retval["number"].tolist() == [1.0, 2.0] and retval["tensor"].tolist() == [2.0, 3.0]


def test_a_compiled_update_changes_branches() -> None:
    old, p = BOTH.simulate(0, torch.tensor(0.3)), torch.tensor(0.4)
    given = choicemap({"x": torch.tensor(True), "z": torch.tensor(False)})

    @jit
    def compiled(trace: Trace[Any], given: ChoiceMap, index: Tensor, p: Tensor) -> Updated[Any]:
        return trace.update(given, BOTH(index, p))

    updated, expected = compiled(old, given, torch.tensor(1), p), old.update(given, BOTH(1, p))

    assert close(updated.weight, expected.weight) and updated.trace.choices == expected.trace.choices


def test_a_batch_of_batches_of_switches_has_a_score_for_each() -> None:
    several = vmap(BOTH, in_dims=(0, None))

    traces = batch(lambda p: several.simulate(OLD, p))(probabilities())

    alone = [
        several.assess(trace.choices, OLD, p).score for trace, p in zip(traces, probabilities(), strict=True)
    ]
    assert close(traces.score, torch.stack(alone))


def test_masked_values_are_chosen_by_element() -> None:
    shown = batch(lambda flag: Mask(exponential).simulate(flag, 1.0).retval)(torch.tensor([True, False]))

    values = shown.or_else(torch.full((2,), -1.0))

    assert float(values[0]) > 0.0 and float(values[1]) == -1.0


def check_update(old: TraceBatch[Any], updated: Any, constraints: ChoiceMap) -> None:
    for i, trace in enumerate(updated.trace):
        before = old[i]
        known = of(before) | constraints.addresses()
        given = at(constraints, i).filter(of(trace))
        assert trace.choices.filter(known) == before.choices.filter(of(trace)).override(given)
        assert close(updated.weight[i], trace.project(known) - before.score)
        assert close(trace.score, trace.call.assess(trace.choices).score)


def of(trace: Trace[Any]) -> Selection:
    choices = trace.choices
    return where(lambda path: path in choices)


def at(choices: ChoiceMap, i: int) -> ChoiceMap:
    return choices.map(lambda value: value[i])


def has(*names: str) -> Callable[[tuple[Any, ...]], bool]:
    return lambda path: path[-1] in names


def as_tensor(value: Any) -> Tensor:
    return torch.as_tensor(value)


def close(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-9, atol=1e-9)

"""Map: weights by hand, what each edit visits, how elements are held, and mistakes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gen_combinators import Map, Vector, batching, repeat, shared, storage_of
from gen_combinators.errors import CopiesError, ElementsLengthError, KernelError, NoElementsError
from gen_core import (
    ALL,
    ANY,
    NONE,
    UNCHANGED,
    UNKNOWN,
    Call,
    MissingChoiceError,
    ParameterError,
    UnvisitedConstraintsError,
    VectorDiff,
    batch,
    choicemap,
    load,
    rows,
    save,
    select,
    verify_hints,
    where,
)
from gen_core.errors import GenError
from gen_distributions import bernoulli, normal
from gen_dml import gen
from gen_torch import jit

visits: list[int] = []


@gen
def point(x: Tensor | float, slope: Tensor | float) -> Tensor:
    visits.append(1)
    is_outlier = bernoulli(0.1) @ "is_outlier"
    return normal(slope * x, torch.where(is_outlier, 10.0, 1.0)) @ "y"


@gen
def branching(chance: float) -> bool:
    if bernoulli(chance) @ "left":
        normal(0.0, 1.0) @ "below"
        return True
    return False


@gen
def line(xs: Tensor) -> Any:
    slope = normal(0.0, 1.0) @ "slope"
    return Map(point)(xs, shared(slope)) @ "ys"


SLOPE = torch.tensor(0.5)


def counted(operation: Callable[[], Any]) -> tuple[Any, int]:
    """Return what an operation returns, and how often it ran the kernel's body."""
    visits.clear()
    return operation(), len(visits)


def log_bernoulli(chance: float, value: bool) -> float:
    return float(np.log(chance if value else 1 - chance))


def log_normal(value: float, loc: float, scale: float) -> float:
    return float(torch.distributions.Normal(loc, scale).log_prob(torch.tensor(value)))


@pytest.fixture(params=[1, 1000], ids=["batched", "one by one"])
def fewest(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(batching, "FEWEST", request.param)
    torch.manual_seed(1)
    return int(request.param)


def test_weights_are_those_of_the_elements(fewest: int) -> None:
    xs = torch.tensor([1.0, -2.0, 3.0])
    trace, weight = Map(point).generate({(0, "y"): 1.0, (2, "is_outlier"): True}, xs, shared(SLOPE))

    scale = 10.0 if trace[0, "is_outlier"] else 1.0
    assert float(weight) == pytest.approx(log_normal(1.0, 0.5, scale) + log_bernoulli(0.1, True), rel=1e-5)

    updated = trace.update({(2, "is_outlier"): False})
    y = float(trace[2, "y"])
    expected = (
        log_bernoulli(0.1, False)
        + log_normal(y, 1.5, 1.0)
        - log_bernoulli(0.1, True)
        - log_normal(y, 1.5, 10.0)
    )
    assert float(updated.weight) == pytest.approx(expected, rel=1e-4)
    assert updated.discard == choicemap({(2, "is_outlier"): True})
    assert updated.retdiff is UNCHANGED
    assert updated.trace.retval is trace.retval
    assert float(updated.trace.score) == pytest.approx(float(trace.score) + expected, rel=1e-4)


def test_dropped_elements_leave_with_their_score_and_new_ones_are_generated(fewest: int) -> None:
    xs = torch.tensor([1.0, -2.0, 3.0])
    model = Map(point)
    trace = model.simulate(xs, shared(SLOPE))

    shorter = trace.update({}, model(xs[:1], shared(SLOPE)))
    assert float(shorter.weight) == pytest.approx(
        -sum(float(trace.subtrace(i).score) for i in (1, 2)), rel=1e-4
    )
    assert shorter.discard == trace.choices.filter(select(1, 2))
    assert shorter.retdiff == VectorDiff(1, 3, {})
    assert float(trace.regenerate(NONE, model(xs[:1], shared(SLOPE))).weight) == 0.0

    longer = shorter.trace.update({(1, "y"): 0.3}, model(xs, shared(SLOPE)))
    scale = 10.0 if longer.trace[1, "is_outlier"] else 1.0
    assert float(longer.weight) == pytest.approx(log_normal(0.3, -1.0, scale), rel=1e-4)
    assert longer.trace[0, "y"] == trace[0, "y"]
    assert isinstance(longer.retdiff, VectorDiff) and not longer.retdiff.updated


@pytest.mark.parametrize("xs", [torch.linspace(-1, 1, 5), [0.0, 1.0, 2.0]], ids=["columns", "one by one"])
@pytest.mark.parametrize("given", [{(2, "y"): 0.3}, {2: {"y": 0.3, "is_outlier": True}}])
def test_an_update_of_one_element_is_that_among_many(xs: Any, given: Any) -> None:
    trace = Map(point).simulate(xs, shared(SLOPE))
    kept: dict[Any, Any] = {(0, "y"): trace[0, "y"]}

    one = trace.update(given)
    among = trace.update({**given, **kept})

    assert one.trace.choices == among.trace.choices
    assert one.discard == among.discard.filter(~select(0))
    assert float(one.weight) == pytest.approx(float(among.weight), abs=1e-6)
    assert float(one.trace.score) == pytest.approx(float(among.trace.score), abs=1e-6)
    assert one.trace.score.dtype is one.weight.dtype is torch.float64
    assert isinstance(one.retdiff, VectorDiff) and list(one.retdiff.updated) == [2]
    assert torch.equal(one.trace.retval[2], torch.tensor(0.3))


def test_an_update_of_one_element_judges_as_any_does() -> None:
    trace = Map(point).simulate(torch.zeros(3), shared(SLOPE))

    with pytest.raises(UnvisitedConstraintsError, match="'z'"):
        trace.update({(1, "z"): 0.0})
    with pytest.raises(UnvisitedConstraintsError, match="7"):
        trace.update({(7, "y"): 0.0})
    assert trace.update({1: {}}).trace is trace


@pytest.mark.unverified
def test_an_edit_visits_what_it_touches(fewest: int) -> None:
    n = 40
    xs = torch.linspace(-1, 1, n)
    model = Map(point)
    trace = model.simulate(xs, shared(SLOPE))
    moved = torch.cat([xs[:3], xs[3:4] + 1, xs[4:], xs[:1]])
    everything = 1 if fewest == 1 else n

    assert counted(lambda: trace.update({(3, "y"): 1.0}))[1] == 1
    assert (
        counted(lambda: trace.regenerate(select((3, "y"), (5, "is_outlier"))))[1] == 2 if fewest > 1 else True
    )
    assert counted(lambda: trace.update({}))[1] == 0
    # One whose argument is another, and a new one.
    assert counted(lambda: trace.update({}, model(moved, shared(SLOPE))))[1] == 2
    hint = {"x": VectorDiff(n, n, {7: UNKNOWN})}
    assert counted(lambda: trace.update({}, model(xs.clone(), shared(SLOPE)), argdiffs=hint))[1] == 1
    assert counted(lambda: trace.update({}, model(xs, shared(SLOPE + 1))))[1] == everything
    assert counted(lambda: trace.update({}, argdiffs=UNKNOWN))[1] == everything
    assert counted(lambda: trace.regenerate(ALL))[1] == everything
    assert counted(lambda: trace.update({}, model(xs[:20], shared(SLOPE))))[1] == 0


@pytest.mark.unverified
def test_lists_and_tuples_are_compared_element_by_element() -> None:
    model = Map(point)
    trace = model.simulate([1.0, 2.0, 3.0], shared(0.5))

    assert counted(lambda: trace.update({}, model([1.0, 2.5, 3.0], shared(0.5))))[1] == 1
    assert counted(lambda: trace.update({}, model([1.0, 2.0, 3.0], shared(0.5))))[1] == 0
    given = [1.0, 2.0, 3.0]
    trace = model.simulate(given, shared(0.5))
    given[1] = 7.0
    assert counted(lambda: trace.update({}, model(given, shared(0.5))))[1] == 1


@pytest.mark.unverified
def test_a_dynamic_caller_passes_on_that_elements_are_unchanged() -> None:
    xs = torch.linspace(-1, 1, 40)
    trace = line.simulate(xs)

    updated, count = counted(lambda: trace.update({("ys", 3, "is_outlier"): True}))
    assert count == 1
    assert updated.retdiff is UNCHANGED


def test_whole_vectors_run_as_one_batch_and_storage_says_so() -> None:
    xs = torch.linspace(-1, 1, 40)
    trace, count = counted(lambda: Map(point).generate(rows({"y": xs}), xs, shared(SLOPE)).trace)

    assert count == 1
    assert storage_of(trace) == "batched: 40 elements in columns, 0 edited"
    assert storage_of(trace.update({(3, "y"): 1.0}).trace) == "batched: 40 elements in columns, 1 edited"
    assert (
        storage_of(Map(point).simulate(xs[:3], shared(SLOPE)))
        == "one by one: there are fewer than 10 elements"
    )
    storage = storage_of(Map(branching).simulate([0.5] * 20))
    assert storage.startswith("one by one: NotBatchableError: branching")
    mixed = Map(point).simulate([SLOPE] * 12 + [1.0], shared(SLOPE))
    assert "elements differ in structure" in storage_of(mixed)


def test_a_kernel_that_does_not_batch_draws_the_same_as_one_that_was_never_tried() -> None:
    torch.manual_seed(3)
    tried = Map(branching).simulate([0.5] * 20).choices
    torch.manual_seed(3)

    assert Map(branching).simulate([0.5] * 20).choices == tried


def test_batched_elements_equal_those_run_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    xs = torch.linspace(-1, 1, 12)
    model = Map(point)
    choices = model.simulate(xs, shared(SLOPE)).choices
    part = choices.filter(where(lambda path: path[0] in (0, 3, 4, 5) or path[1] == "y"))
    results = []
    for fewest in (1, 1000):
        monkeypatch.setattr(batching, "FEWEST", fewest)
        trace, weight = model.generate(choices, xs, shared(SLOPE))
        updated = trace.update(part.map(lambda value: ~value if value.dtype == torch.bool else value + 1))
        moved = updated.trace.update({}, model(xs + 1, shared(SLOPE * 2)))
        results.append(
            [
                *(weight, updated.weight, moved.weight, moved.trace.score),
                *(trace.project(some) for some in (select((ANY, "y")), ~select((3, "y")), NONE)),
                Vector(moved.trace.retval).stack(),
                moved.trace.choices.filter(select((ANY, "y"))).to_vector(),
            ]
        )
        assert updated.discard == choices.filter(part.addresses())

    for one, other in zip(*results, strict=True):
        assert torch.allclose(one.double(), other.double(), rtol=1e-4)


def test_groups_that_are_constrained_differently_end_in_one_batch() -> None:
    xs = torch.linspace(-1, 1, 60)
    given = choicemap({(i, "y"): float(i) for i in range(0, 60, 2)})
    (trace, weight), count = counted(lambda: Map(point).generate(given, xs, shared(SLOPE)))

    assert count == 2
    assert storage_of(trace).startswith("batched")
    assert [float(trace[i, "y"]) for i in range(0, 60, 2)] == list(range(0, 60, 2))
    assert float(weight) == pytest.approx(float(trace.project(given.addresses())), rel=1e-5)


def test_rows_may_constrain_some_elements() -> None:
    xs = torch.linspace(-1, 1, 30)
    trace, weight = Map(point).generate(rows({"y": xs[:12]}, keys=range(3, 15)), xs, shared(SLOPE))

    assert trace[3, "y"] == xs[0]
    assert trace[14, "y"] == xs[11]
    assert float(weight) == pytest.approx(
        float(trace.project(select(*[(i, "y") for i in range(3, 15)]))), rel=1e-5
    )


def test_hints_do_not_change_what_is_drawn() -> None:
    xs = torch.linspace(-1, 1, 30)
    trace = line.simulate(xs)

    with verify_hints():
        trace.regenerate(select(("ys", 3)))
        trace.regenerate(select(("ys", ANY, "is_outlier")))
        trace.regenerate(~select(("ys", 3, "y")))


def test_the_score_does_not_drift_and_survives_impossible_values(fewest: int) -> None:
    model = Map(bernoulli)
    trace = model.simulate([1.0, 0.5, 0.25])
    impossible = trace.update({0: False}).trace
    back = impossible.update({0: True, 1: True, 2: True}).trace

    assert float(impossible.score) == -np.inf
    assert float(back.score) == pytest.approx(np.log(0.125), rel=1e-5)


def test_an_empty_map_has_no_choices(fewest: int) -> None:
    trace = Map(point).simulate(torch.zeros(0), shared(SLOPE))

    assert trace.choices.is_empty
    assert len(trace.retval) == 0
    assert float(trace.score) == 0.0
    assert trace.update({}, Map(point)(torch.ones(2), shared(SLOPE))).trace.choices.submap(1)


@pytest.mark.parametrize(
    "xs",
    [
        [1.0, 2.0],
        (1.0, 2.0),
        range(1, 3),
        np.array([1.0, 2.0]),
        torch.tensor([1.0, 2.0]),
        Vector([1.0, 2.0]),
        Vector([torch.tensor(1.0), torch.tensor(2.0)]),
    ],
    ids=lambda xs: type(xs).__name__,
)
def test_arguments_may_be_any_sequence(xs: Any, fewest: int) -> None:
    choices = choicemap({i: {"is_outlier": False, "y": 0.5} for i in range(2)})

    score = Map(point).assess(choices, xs, shared(1.0)).score
    expected = 2 * log_bernoulli(0.1, False) + log_normal(0.5, 1.0, 1.0) + log_normal(0.5, 2.0, 1.0)
    assert float(score) == pytest.approx(expected, rel=1e-5)


def test_the_return_value_of_one_map_is_an_argument_of_another() -> None:
    @gen
    def model(xs: Tensor) -> Any:
        means = Map(normal)(xs, shared(1.0)) @ "means"
        return Map(normal)(means, shared(0.1)) @ "ys"

    trace = model.simulate(torch.zeros(30))
    updated = trace.update({("means", 3): 5.0})

    assert updated.trace["means"][3] == 5.0
    difference = trace.project(select("ys")) - updated.trace.project(select("ys"))
    assert float(difference) > 10
    assert trace.choice_gradients(select("means")).gradients["means", 3] is not None


def test_maps_are_equal_when_their_kernels_are() -> None:
    assert Map(point) == Map(point)
    assert hash(Map(point)) == hash(Map(point))
    assert Map(point) != Map(branching)
    assert repeat(point, 2) == repeat(point, 2) != repeat(point, 3)


def test_defaults_of_the_kernel_are_shared() -> None:
    @gen
    def kernel(x: float, scale: float = 2.0) -> Tensor:
        return normal(x, scale) @ "y"

    score = Map(kernel).assess({(0, "y"): 0.0, (1, "y"): 0.0}, [0.0, 1.0]).score
    assert float(score) == pytest.approx(log_normal(0, 0, 2) + log_normal(0, 1, 2), rel=1e-5)


def test_repeat_runs_a_kernel_independently(fewest: int) -> None:
    trace, weight = repeat(normal, 3).generate({1: 0.5}, 0.0, 1.0)

    assert float(weight) == pytest.approx(log_normal(0.5, 0.0, 1.0), rel=1e-5)
    assert len(set(map(float, trace.retval))) == 3
    assert len(repeat(normal, 0).simulate(0.0, 1.0).retval) == 0
    with pytest.raises(CopiesError, match="0 or more, but got -1"):
        repeat(normal, -1)
    with pytest.raises(CopiesError, match="but got 'three'"):
        repeat(normal, "three")  # type: ignore[arg-type]


def test_arguments_without_elements_are_refused() -> None:
    with pytest.raises(ElementsLengthError, match="`x` has 3, `slope` has 2"):
        Map(point).simulate([1.0, 2.0, 3.0], [1.0, 2.0])
    with pytest.raises(NoElementsError, match=r"Expected `slope` of Map\(point\) .* got 2.0 \(float\)"):
        Map(point).simulate([1.0], 2.0)  # type: ignore[arg-type]
    with pytest.raises(NoElementsError, match="all are shared"):
        Map(point).simulate(shared(1.0), shared(2.0))
    with pytest.raises(KernelError, match="be a generative function"):
        Map(len)  # type: ignore[arg-type]


MAPPED, REPEATED = Map(normal), repeat(normal, 3)


@pytest.mark.parametrize(
    "call", [MAPPED(torch.zeros(20), shared(1.0)), REPEATED(0.0, 1.0)], ids=["map", "repeat"]
)
def test_a_map_in_a_module_is_saved_by_its_name(call: Call[Any], tmp_path: Path) -> None:
    trace = call.simulate()
    save(trace, tmp_path / "trace.pt")

    loaded: Any = load(tmp_path / "trace.pt")

    assert loaded.gen_fn is call.gen_fn
    # One was scored as a batch, the other one by one.
    torch.testing.assert_close(loaded.score.float(), trace.score.float())
    assert loaded.choices == trace.choices


def test_errors_name_the_element(fewest: int) -> None:
    xs = torch.tensor([1.0, 2.0, 3.0])

    with pytest.raises(ParameterError, match=r"at address 1 in Map\(normal\)"):
        Map(normal).simulate(xs, torch.tensor([1.0, -1.0, 1.0]))
    with pytest.raises(MissingChoiceError, match="'y'") as missing:
        Map(point).assess({i: {"is_outlier": True} for i in range(3)}, xs, shared(SLOPE))
    assert "at address (0, 'y')" in missing.value.__notes__[0]
    with pytest.raises(MissingChoiceError) as below:
        line.assess({"slope": 0.0}, xs)
    assert "at address ('ys', 0, 'is_outlier')" in below.value.__notes__[0]
    with pytest.raises(UnvisitedConstraintsError, match=r"\(3, 'y'\)"):
        Map(point).generate({(3, "y"): 1.0}, xs, shared(SLOPE))
    with pytest.raises(UnvisitedConstraintsError, match="never visited"):
        Map(point).generate(rows({"z": xs}), xs, shared(SLOPE))


def test_a_bad_parameter_of_a_batched_kernel_is_named(fewest: int) -> None:
    @gen
    def kernel(scale: Tensor) -> Tensor:
        return normal(0.0, scale) @ "y"

    with pytest.raises(ParameterError, match="scale") as error:
        Map(kernel).simulate(torch.tensor([1.0, -1.0, 2.0]))
    assert error.value.__notes__ == ["Raised in element 1 of Map(kernel)."]


def test_maps_run_in_batches_and_compiled_programs(fewest: int) -> None:
    xs = torch.linspace(-1, 1, 4)
    traces = batch(lambda: line.simulate(xs), size=3)()

    assert traces.choices["ys", 2, "y"].shape == (3,)
    assert traces[1]["ys", 2, "y"] == traces.choices["ys", 2, "y"][1]
    assert traces[1].update({("ys", 2, "y"): 9.0}).trace["ys", 2, "y"] == 9.0
    weights = batch(lambda trace: trace.update({("ys", 2, "y"): 9.0}).weight)(traces)
    assert float(weights[1]) == pytest.approx(float(traces[1].update({("ys", 2, "y"): 9.0}).weight), rel=1e-4)

    trace = line.simulate(xs)
    staged = jit(lambda old, y: old.update({("ys", 2, "y"): y}).weight, backend="graph")
    expected = trace.update({("ys", 2, "y"): torch.tensor(3.0)}).weight
    assert float(staged(trace, torch.tensor(3.0))) == pytest.approx(float(expected), rel=1e-4)


def test_gradients_reach_arguments_choices_and_parameters(fewest: int) -> None:
    net = nn.Linear(1, 1)

    @gen
    def kernel(x: Tensor) -> Tensor:
        return normal(net(x[None])[0], 1.0) @ "y"

    xs, ys = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.0, 1.0, 0.0])
    model = Map(kernel)
    trace, _ = model.generate(rows({"y": ys}), xs)
    module = model.get_torch_nn_module()
    trace.accumulate_param_gradients(scale_factor=2.0)

    residuals = ys - (net.weight[0, 0] * xs + net.bias).detach()
    assert net.bias.grad is not None and net.weight.grad is not None
    assert float(net.bias.grad[0]) == pytest.approx(2 * float(residuals.sum()), rel=1e-4)
    assert float(net.weight.grad[0, 0]) == pytest.approx(2 * float((residuals * xs).sum()), rel=1e-4)
    assert set(module.state_dict()) == {"kernel.net.weight", "kernel.net.bias"}
    gradients = trace.choice_gradients(ALL, torch.ones(3))
    assert gradients.args.args[0].tolist() == pytest.approx(
        (residuals * net.weight[0, 0].item()).tolist(), rel=1e-4
    )
    assert [float(g) for g in gradients.gradients.values()] == pytest.approx(
        (1 - residuals).tolist(), rel=1e-4
    )


def test_a_map_of_a_hundred_thousand_takes_little_more_than_its_tensors() -> None:
    n = 100_000

    @gen
    def three(x: Tensor, slope: Tensor) -> None:
        is_outlier = bernoulli(0.1) @ "is_outlier"
        shift = normal(x, 1.0) @ "shift"
        normal(slope * x + shift, torch.where(is_outlier, 10.0, 1.0)) @ "y"

    trace: Any = Map(three).simulate(torch.zeros(n), shared(SLOPE))
    columns = trace.elements.columns().tensors
    held = {c.untyped_storage().data_ptr(): c.untyped_storage().nbytes() for c in columns}
    raw = n * (4 + 1 + 4 + 4 + 3 * 4)  # an argument, three values, and their scores
    assert sum(held.values()) <= 2 * raw


def test_a_selection_of_an_element_that_is_not_there_is_refused() -> None:
    with pytest.raises(GenError, match="no choice at 5"):
        Map(point).simulate(torch.zeros(2), shared(SLOPE)).regenerate(select(5))


def test_elements_that_join_a_batched_vector_are_held_as_the_others_are() -> None:
    model = Map(normal)
    trace = model.simulate([0.0] * 20, shared(1.0))
    longer: Any = trace.update({}, model([0.0] * 21, shared(1.0))).trace

    assert longer.elements.columns() is not None
    assert longer.retval.stack().shape == (21,)
    assert storage_of(model.simulate([0.0] * 20, shared(1.0))).startswith("batched")

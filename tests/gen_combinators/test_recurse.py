"""Recurse: what each operation returns, and how few kernels an edit runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from gen_combinators import Recurse
from gen_combinators.errors import KernelError, ProductionError, TooManyChildrenError
from gen_core import (
    ALL,
    NONE,
    UNCHANGED,
    UNKNOWN,
    MissingChoiceError,
    ParameterError,
    UnknownSelectionError,
    UnvisitedConstraintsError,
    load,
    param,
    save,
    select,
    verify_hints,
)
from gen_distributions import bernoulli, normal, uniform
from gen_dml import gen

runs: list[tuple[str, Any]] = []
"""The kernels below that ran, with the depth of the node or the value of it."""


@pytest.fixture(autouse=True)
def no_runs() -> Iterator[None]:
    runs.clear()
    yield


@gen
def full(given: tuple[int, Any]) -> tuple[Tensor, list[tuple[int, Any]]]:
    """A full binary tree, whose inputs are the positions of the parents."""
    depth, position = given
    runs.append(("production", depth))
    x = normal(position, 1.0) @ "x"
    normal(x, 1.0) @ "seen"
    return x, [(depth - 1, x)] * 2 if depth else []


@gen
def apart(depth: int) -> tuple[Tensor, list[int]]:
    """A full binary tree of values that do not depend on each other."""
    runs.append(("production", depth))
    x = normal(0.0, 1.0) @ "x"
    return x, [depth - 1] * 2 if depth else []


@gen
def positive(value: Tensor, results: Sequence[bool]) -> bool:
    """Whether any value is positive: unchanged by most changes."""
    runs.append(("aggregation", value))
    return bool(value > 0) or any(results)


@gen
def noisy_sum(value: Tensor, results: Sequence[Tensor]) -> Tensor:
    runs.append(("aggregation", value))
    return sum(results) + (normal(value, 1.0) @ "noise")


@gen
def splits(length: float) -> tuple[float, list[float]]:
    runs.append(("production", length))
    if length > 0.1 and bernoulli(0.5) @ "splits":
        at = float(uniform(0.25, 0.75) @ "at")
        return length, [length * at, length * (1 - at)]
    return length, []


@gen
def count(length: float, results: Sequence[int]) -> int:
    return sum(results) or 1


pieces = Recurse(splits, count, 2)
positions = Recurse(full, noisy_sum, 2)
any_positive = Recurse(apart, positive, 2)

SPLIT_ONCE = {
    (0, "production", "splits"): True,
    (0, "production", "at"): 0.5,
    (1, "production", "splits"): False,
    (2, "production", "splits"): False,
}


def test_children_are_numbered_from_their_parent() -> None:
    trace = positions.simulate((2, 0.0))

    nodes = [path[0] for path in trace.choices.paths() if path[2] == "noise"]
    assert nodes == [0, 1, 2, 3, 4, 5, 6]
    assert trace.subtrace((5, "production")).args == ((0, trace[2, "production", "x"]),)


def test_another_root_moves_the_numbers() -> None:
    trace = Recurse(full, noisy_sum, 3).simulate((1, 0.0), root_index=2)

    assert [path[0] for path in trace.choices.paths() if path[2] == "x"] == [2, 7, 8]


def test_productions_run_level_by_level_and_aggregations_from_the_leaves_up() -> None:
    trace = positions.simulate((2, 0.0))

    values = [trace[node, "production", "x"] for node in range(7)]
    assert [run for run in runs if run[0] == "production"] == [
        ("production", d) for d in (2, 1, 1, 0, 0, 0, 0)
    ]
    assert [value for kind, value in runs if kind == "aggregation"] == values[::-1]


def test_the_return_value_is_the_result_of_the_root() -> None:
    trace = pieces.generate(SPLIT_ONCE, 1.0).trace

    assert trace.retval == 2
    assert trace[0, "production"] == (1.0, [0.5, 0.5])
    assert trace[1, "aggregation"] == 1


def test_generate_weight_is_the_density_of_the_constraints() -> None:
    trace, weight = pieces.generate({(0, "production", "splits"): True, (0, "production", "at"): 0.5}, 1.0)

    assert float(weight) == pytest.approx(math.log(0.5) + math.log(2.0))
    assert float(trace.score) == pytest.approx(float(trace.project(ALL)))


def test_update_grows_a_subtree_and_takes_it_back() -> None:
    leaf = pieces.generate({(0, "production", "splits"): False}, 1.0).trace

    grown = leaf.update(SPLIT_ONCE)
    back = grown.trace.update(grown.discard)

    assert grown.trace.retval == 2
    assert float(grown.weight) == pytest.approx(3 * math.log(0.5) + math.log(2.0) - math.log(0.5))
    assert grown.discard == leaf.choices
    assert back.trace.choices == leaf.choices
    assert back.discard.paths() == list(SPLIT_ONCE)
    assert float(back.weight) == pytest.approx(-float(grown.weight))


@pytest.mark.unverified
def test_an_edit_of_one_node_runs_its_kernel_and_the_aggregations_above() -> None:
    trace = Recurse(apart, noisy_sum, 2).simulate(6)
    runs.clear()

    edited = trace.update({(40, "production", "x"): 0.5})

    assert [kind for kind, _ in runs] == ["production"] + ["aggregation"] * 6
    assert edited.trace.nodes[41] is trace.nodes[41]  # type: ignore[attr-defined]


@pytest.mark.unverified
def test_aggregations_stop_where_the_result_is_unchanged() -> None:
    everywhere = {(node, "production", "x"): 1.0 for node in range(127)}
    trace = any_positive.generate(everywhere, 6).trace
    runs.clear()

    edited = trace.update({(40, "production", "x"): -1.0})

    # Nodes below 40 are positive, so its own result stays.
    assert runs == [("production", 1), ("aggregation", torch.tensor(-1.0))]
    assert edited.retdiff is UNCHANGED


@pytest.mark.unverified
def test_an_aggregation_alone_is_edited_without_productions() -> None:
    trace = positions.simulate((5, 0.0))
    runs.clear()

    edited = trace.regenerate(select((20, "aggregation")))

    assert [kind for kind, _ in runs] == ["aggregation"] * 5
    assert edited.discard.paths() == [(20, "aggregation", "noise")]


@pytest.mark.unverified
def test_a_changed_production_runs_the_children_whose_input_changed() -> None:
    trace = positions.simulate((5, 0.0))
    runs.clear()

    edited = trace.update({(1, "production", "x"): 0.5})
    seen = trace.update({(2, "production", "seen"): 0.5})

    # Both children see the new position, keep their own, and hand the same inputs on.
    productions = [depth for kind, depth in runs if kind == "production"]
    assert productions == [4, 3, 3, 4]
    assert edited.trace[3, "production", "x"] is trace[3, "production", "x"]
    assert seen.retdiff is UNCHANGED


@pytest.mark.unverified
@pytest.mark.parametrize("edit", ["update", "regenerate"])
def test_the_cost_of_an_edit_grows_with_the_depth_and_not_with_the_tree(edit: str) -> None:
    lookups: list[int] = []
    for depth in (4, 9):
        trace = Recurse(apart, noisy_sum, 2).simulate(depth)
        runs.clear()
        path = (3, "production", "x")
        _ = trace.update({path: 0.0}) if edit == "update" else trace.regenerate(select(path))
        lookups.append(len(runs))

    assert lookups == [1 + 3, 1 + 3]


def test_regenerate_draws_what_is_selected_and_weighs_the_rest() -> None:
    trace = positions.simulate((2, 0.0))
    selection = select((1, "production", "x"))

    moved = trace.regenerate(selection)

    outside = moved.trace.project(~selection) - trace.project(~selection)
    assert float(moved.weight) == pytest.approx(float(outside), abs=1e-4)
    assert moved.discard.paths() == [(1, "production", "x")]


def test_an_update_with_nothing_known_revisits_parameters() -> None:
    @gen
    def production(depth: int) -> tuple[Tensor, list[int]]:
        return normal(param("loc", 0.0), 1.0) @ "x", [depth - 1] if depth else []

    tree = Recurse(production, noisy_sum, 1)
    trace = tree.simulate(3)
    with torch.no_grad():
        production.params["loc"].fill_(2.0)

    revisited = trace.update({}, argdiffs=UNKNOWN)

    assert torch.allclose(revisited.trace.score, tree.assess(trace.choices, 3).score)
    assert not torch.allclose(revisited.weight, torch.zeros((), dtype=torch.float64))


def test_parameters_of_both_kernels_are_found() -> None:
    net = torch.nn.Linear(1, 1)

    @gen
    def production(depth: int) -> tuple[Tensor, list[int]]:
        return normal(net(torch.ones(1)).squeeze(), 1.0) @ "x", [depth - 1] if depth else []

    tree = Recurse(production, noisy_sum, 1)

    tree.simulate(2).accumulate_param_gradients()

    assert net.weight.grad is not None
    assert len(list(tree.get_torch_nn_module().parameters())) == 2


@pytest.mark.parametrize("max_branch", [1, 2])
def test_trees_may_be_deeper_than_the_stack(max_branch: int) -> None:
    @gen
    def production(depth: int) -> tuple[Tensor, list[int]]:
        return normal(0.0, 1.0) @ "x", [depth - 1] if depth else []

    @gen
    def total(value: Tensor, results: Sequence[Tensor]) -> Tensor:
        return value + sum(results)

    tree = Recurse(production, total, max_branch)
    trace = tree.simulate(1500)
    last = max(path[0] for path in trace.choices.paths())

    moved = trace.update({(last, "production", "x"): 1.0})
    shrunk = trace.update({}, tree(10))
    gradients = trace.choice_gradients(select((last, "production", "x")))

    assert float(moved.trace.retval - trace.retval) == pytest.approx(
        1.0 - float(trace[last, "production", "x"]), abs=1e-3
    )
    assert len(shrunk.trace.choices) == 11
    assert len(shrunk.discard) == 1490
    assert gradients.gradients.paths() == [(last, "production", "x")]


def test_hints_that_are_verified_are_true() -> None:
    trace = positions.simulate((3, 0.0))

    with verify_hints():
        trace.update({(3, "production", "x"): 1.0})
        trace.regenerate(~select((1, "production")), positions((3, 1.0)))


def test_equal_parts_make_equal_trees() -> None:
    assert Recurse(full, noisy_sum, 2) == positions
    assert hash(Recurse(full, noisy_sum, 2)) == hash(positions)
    assert Recurse(full, noisy_sum, 3) != positions


def test_a_tree_in_a_module_is_saved_by_its_name(tmp_path: Any) -> None:
    trace = positions.simulate((2, 0.0))

    save(trace, tmp_path / "trace.pt")
    loaded: Any = load(tmp_path / "trace.pt")

    assert loaded.gen_fn is positions
    assert loaded.choices == trace.choices


def test_a_tree_of_many_small_changes_keeps_its_score() -> None:
    trace = positions.simulate((3, 0.0))
    for step in range(200):
        trace = trace.regenerate(select((step % 15, "production", "x"))).trace

    assert torch.allclose(trace.score, positions.assess(trace.choices, (3, 0.0)).score)


def test_constraints_at_nodes_that_are_not_there_are_refused() -> None:
    trace = positions.simulate((1, 0.0))

    with pytest.raises(UnvisitedConstraintsError, match=r"\(9, 'production', 'x'\)"):
        trace.update({(9, "production", "x"): 1.0})
    with pytest.raises(UnvisitedConstraintsError, match=r"\(0, 'production'\) is not a choice"):
        trace.update({(0, "production"): 1.0})
    with pytest.raises(UnknownSelectionError, match="9"):
        trace.regenerate(select(9))
    with pytest.raises(MissingChoiceError, match="noise"):
        positions.assess(trace.choices.filter(~select((1, "aggregation"))), (1, 0.0))


def test_project_of_nothing_is_zero() -> None:
    assert float(positions.simulate((2, 0.0)).project(NONE)) == 0.0


def test_too_many_children_are_refused() -> None:
    with pytest.raises(TooManyChildrenError, match=r"Node 0 of .* has 2 children, and max_branch is 1"):
        Recurse(full, noisy_sum, 1).simulate((1, 0.0))


def test_a_production_that_returns_no_pair_is_refused() -> None:
    @gen
    def production(x: float) -> Any:
        return normal(x, 1.0) @ "x"

    with pytest.raises(ProductionError, match=r"Expected production, .* \(value, children\)"):
        Recurse(production, noisy_sum, 2).simulate(0.0)


@pytest.mark.parametrize(
    ("production", "aggregation"), [(print, noisy_sum), (noisy_sum, noisy_sum), (full, full)]
)
def test_what_cannot_be_a_kernel_is_refused(production: Any, aggregation: Any) -> None:
    with pytest.raises(KernelError, match="Expected the kernel of Recurse to"):
        Recurse(production, aggregation, 2)


def test_bad_numbers_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"`max_branch` of .* to be at least 1, but got 0"):
        Recurse(full, noisy_sum, 0)
    with pytest.raises(ParameterError, match=r"`root_index` of .*, but got -1"):
        positions.simulate((1, 0.0), -1)


def test_an_error_in_a_kernel_names_the_node() -> None:
    @gen
    def production(size: float) -> tuple[Tensor, list[float]]:
        return normal(0.0, 1.0) @ ("x", int(1.0 / size)), [size - 1.0]

    tree = Recurse(production, noisy_sum, 1)

    with pytest.raises(ZeroDivisionError, match="division") as raised:
        tree.simulate(2.0)
    assert "at address (2, 'production')" in raised.value.__notes__[0]

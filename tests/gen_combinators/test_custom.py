"""Custom deterministic functions: state, incremental updates, and gradients written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from gen_combinators import CustomDeterministic, CustomGradient, Map, deterministic, shared, with_gradient
from gen_combinators.errors import CustomRetvalError, DeterministicChoiceError
from gen_core import (
    ALL,
    UNCHANGED,
    UNKNOWN,
    ArgDiffs,
    Diff,
    GradientError,
    NotBatchableError,
    UnvisitedConstraintsError,
    VectorDiff,
    batch,
    load,
    param,
    save,
    verify_hints,
)
from gen_core.testing import check_laws
from gen_distributions import normal
from gen_dml import gen
from gen_torch import jit


class Summed(NamedTuple):
    """What is kept of a sum: what was summed."""

    elements: Sequence[Tensor]
    total: Tensor


class RunningTotal(CustomDeterministic[[Sequence[Tensor]], Tensor, Summed]):
    """The sum of a sequence, brought up to date: k changed elements cost k subtractions and additions."""

    def __init__(self) -> None:
        """Count how many elements are read, for tests."""
        super().__init__("running_total")
        self.num_read = 0

    def execute(self, xs: Sequence[Tensor]) -> tuple[Tensor, Summed]:
        """Add all elements up."""
        self.num_read += len(xs)
        total = torch.stack(list(xs)).sum() if len(xs) else torch.zeros(())
        return total, Summed(xs, total)

    def update(self, state: Summed, args: tuple[Any, ...], argdiffs: ArgDiffs) -> tuple[Tensor, Summed, Diff]:
        """Take the old values of what changed out of the sum, and the new ones in."""
        (xs,), (diff,) = args, argdiffs
        if diff is UNCHANGED:
            return state.total, state, UNCHANGED
        if not isinstance(diff, VectorDiff):
            return super().update(state, args, argdiffs)
        common = min(diff.old_length, diff.new_length)
        gone = [i for i in diff.updated if i < common] + list(range(common, diff.old_length))
        new = [i for i in diff.updated if i < common] + list(range(common, diff.new_length))
        self.num_read += len(gone) + len(new)
        total = state.total - sum(state.elements[i] for i in gone) + sum(xs[i] for i in new)
        return total, Summed(xs, total), UNKNOWN if gone or new else UNCHANGED


class Scaled(CustomDeterministic[..., Any, None]):
    def execute(self, x: Any, by: float = 2.0, *, shift: float = 0.0) -> tuple[Any, None]:
        return by * x + shift, None


scaled = Scaled()

calls: list[str] = []


@deterministic
def distance(a: Tensor, b: Tensor) -> Tensor:
    """The squared distance of two points."""
    calls.append("distance")
    return (a - b).square().sum()


def _clamp(x: Tensor) -> Tensor:
    return x.clamp(min=0.0)


leaky = with_gradient(_clamp, lambda args, value, retgrad: [torch.where(args[0] > 0, retgrad, 0.1 * retgrad)])


class Solve(CustomGradient[[Tensor, Tensor], Tensor, Tensor]):
    """Solves a linear system; the gradient reuses what was factored."""

    def execute(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        inverse = torch.linalg.inv(a.detach())
        return inverse @ b.detach(), inverse

    def gradient(
        self, args: tuple[Any, ...], retval: Tensor, retgrad: Any, state: Tensor
    ) -> Sequence[Tensor]:
        of_b = state.mT @ retgrad
        return [-of_b[..., :, None] * retval[..., None, :], of_b]


solve = Solve()


@gen
def regression(a: Tensor) -> Tensor:
    b = normal(torch.zeros(2), 1.0) @ "b"
    x = solve(a, b) @ "x"
    normal(x, 0.5) @ "y"
    return x


MATRIX = torch.tensor([[2.0, 0.3], [-0.4, 1.5]])


def test_a_custom_function_has_a_value_and_nothing_else() -> None:
    trace = scaled.simulate(3.0, shift=1.0)

    assert trace.retval == 7.0
    assert trace.choices.is_empty
    assert float(trace.score) == float(trace.project(ALL)) == 0.0
    assert scaled.assess({}, 1.0).retval == 2.0
    with pytest.raises(UnvisitedConstraintsError, match="'x'"):
        scaled.generate({"x": 1.0}, 3.0)


def test_a_custom_function_is_executed_again_for_new_arguments() -> None:
    trace = scaled.simulate(3.0, shift=1.0)

    moved = trace.update({}, scaled(3.0, 5.0, shift=2.0))
    same = trace.update({}, scaled(6.0, 1.0, shift=1.0))

    assert moved.trace.retval == 17.0
    assert float(moved.weight) == 0.0
    assert same.retdiff is UNCHANGED


def test_a_custom_function_in_a_module_is_saved_by_its_name(tmp_path: Any) -> None:
    for gen_fn, args in ((scaled, (3.0,)), (distance, (torch.ones(2),) * 2), (leaky, (torch.ones(2),))):
        save(gen_fn.simulate(*args), tmp_path / "trace.pt")

        loaded: Any = load(tmp_path / "trace.pt")
        assert loaded.gen_fn is gen_fn


@pytest.mark.unverified
def test_an_update_with_hints_reads_only_what_changed() -> None:
    total = RunningTotal()
    xs = list(torch.arange(1000.0))
    trace = total.simulate(xs)
    total.num_read = 0

    moved = trace.update(
        {},
        total([*xs[:7], torch.tensor(100.0), *xs[8:], torch.tensor(5.0)]),
        argdiffs={"xs": VectorDiff(1001, 1000, {7: UNCHANGED})},
    )

    assert total.num_read == 3
    assert float(moved.trace.retval) == pytest.approx(499500.0 - 7.0 + 100.0 + 5.0)


@pytest.mark.unverified
def test_the_hints_of_a_map_reach_a_custom_function() -> None:
    total = RunningTotal()
    points = Map(normal)

    @gen
    def model(locs: Sequence[float]) -> Tensor:
        xs = points(locs, shared(1.0)) @ "x"
        return normal(total(xs) @ "total", 1.0) @ "y"

    trace = model.simulate([0.0] * 100)
    total.num_read = 0

    moved = trace.update({("x", 40): 2.0})

    assert total.num_read == 2
    expected = sum(value for path, value in moved.trace.choices.leaves() if path[0] == "x")
    assert torch.allclose(moved.trace["total"], expected, atol=1e-4)


def test_a_function_with_an_incremental_update_keeps_the_laws() -> None:
    total = RunningTotal()
    points = Map(normal)

    @gen
    def model(locs: Sequence[float]) -> Tensor:
        xs = points(locs, shared(1.0)) @ "x"
        return normal(total(xs) @ "total", 1.0) @ "y"

    xs = [torch.tensor(1.0), torch.tensor(-2.0)]
    check_laws(total(xs), other_calls=[total([*xs, torch.tensor(0.5)]), total(())])
    check_laws(model([0.5, 1.0]), other_calls=[model([0.5, 1.0, 2.0])], laws=[*range(1, 11), 12, 13])
    with verify_hints():
        model.simulate([0.5, 1.0]).update({("x", 1): 0.3}, model([0.5, 3.0, 2.0]))


def test_an_old_trace_keeps_its_value_and_state() -> None:
    total = RunningTotal()
    trace = total.simulate([torch.tensor(1.0), torch.tensor(2.0)])

    trace.update({}, total([torch.tensor(1.0)]), argdiffs={"xs": VectorDiff(1, 2)})
    again = trace.update(
        {}, total([torch.tensor(5.0)] * 2), argdiffs={"xs": VectorDiff(2, 2, {0: UNCHANGED, 1: UNCHANGED})}
    )

    assert float(trace.retval) == 3.0
    assert float(again.trace.retval) == 10.0


@pytest.mark.unverified
def test_a_deterministic_function_is_not_computed_again_while_its_arguments_stay() -> None:
    @gen
    def model(a: Tensor, b: Tensor) -> Tensor:
        normal(0.0, 1.0) @ "other"
        return normal(distance(a, b) @ "distance", 1.0) @ "seen"

    trace = model.simulate(torch.ones(2), torch.zeros(2))
    calls.clear()

    trace.update({"other": 1.0})
    trace.update({"seen": 1.0})

    assert calls == []


def test_nested_functions_of_one_definition_are_one_callee() -> None:
    def scale_by(factor: float) -> Any:
        return deterministic(lambda x: factor * x), with_gradient(
            lambda x: factor * x, lambda a, v, g: [factor * g]
        )

    for one, same, other in zip(scale_by(2.0), scale_by(2.0), scale_by(3.0), strict=True):
        assert one == same
        assert hash(one) == hash(same)
        assert one != other


def test_a_choice_in_a_deterministic_function_is_refused() -> None:
    @deterministic
    def draws(x: float) -> Tensor:
        return normal(x, 1.0) @ "x"

    @gen
    def model() -> Tensor:
        return draws(1.0) @ "draws"

    with pytest.raises(DeterministicChoiceError, match=r"normal\(\.\.\.\) @ 'x' ran inside draws"):
        model.simulate()


def test_an_error_names_the_function_and_its_line() -> None:
    @deterministic
    def checked(x: Tensor) -> Tensor:
        return x if x > 0 else -x

    with pytest.raises(ZeroDivisionError, match="division") as raised:
        deterministic(lambda x: 1.0 / x).simulate(0.0)
    assert "Raised in <lambda> (" in raised.value.__notes__[0]
    assert "test_custom.py" in raised.value.__notes__[0]
    with pytest.raises(NotBatchableError, match=r"checked \(.*test_custom.py:\d+\) cannot be batched"):
        batch(checked.simulate)(torch.ones(2))


def test_autograd_goes_through_a_deterministic_function_and_its_parameters() -> None:
    net = nn.Linear(1, 1)

    @deterministic
    def predict(x: Tensor) -> Tensor:
        predicted: Tensor = net(x).squeeze()
        return predicted + param("offset", 0.5)

    @gen
    def model(x: Tensor) -> None:
        normal(predict(x) @ "mean", 1.0) @ "y"

    trace = model.simulate(torch.ones(1))
    trace.accumulate_param_gradients()

    assert torch.allclose(net.bias.grad, trace["y"] - trace["mean"])  # type: ignore[arg-type]
    assert torch.allclose(predict.params["offset"].grad, trace["y"] - trace["mean"])  # type: ignore[arg-type]
    assert len(list(model.get_torch_nn_module().parameters())) == 3


def test_a_hand_written_gradient_replaces_that_of_autograd() -> None:
    below = torch.tensor(-2.0)

    assert leaky.simulate(below).choice_gradients(retgrad=3.0).args.args[0] == pytest.approx(0.3)
    assert torch.func.grad(lambda x: leaky.assess({}, x).retval)(below) == pytest.approx(0.1)


def test_a_model_differentiates_through_a_hand_written_gradient() -> None:
    trace = regression.simulate(MATRIX)
    found = trace.choice_gradients(ALL)

    def score(a: Tensor, b: Tensor) -> Tensor:
        x = torch.linalg.solve(a, b)
        y = trace["y"]
        return normal.log_prob(b, torch.zeros(2), 1.0) + normal.log_prob(y, x, 0.5)

    expected = torch.func.grad(score, argnums=(0, 1))(MATRIX, trace["b"])
    assert torch.allclose(found.args.args[0], expected[0], atol=1e-5)
    assert torch.allclose(found.gradients["b"], expected[1], atol=1e-5)


@pytest.mark.parametrize("order", ["gradient of a batch", "batch of gradients"])
def test_hand_written_gradients_batch(order: str) -> None:
    matrices = MATRIX + 0.1 * torch.arange(3.0)[:, None, None]
    choices = regression.simulate(MATRIX).choices

    def score(a: Tensor) -> Tensor:
        return regression.assess(choices, a).score

    one_by_one = torch.stack([torch.func.grad(score)(a) for a in matrices])
    if order == "batch of gradients":
        together = batch(torch.func.grad(score))(matrices)
    else:
        together = torch.func.grad(lambda all_of_them: batch(score)(all_of_them).sum())(matrices)
    assert torch.allclose(together, one_by_one, atol=1e-5)


def test_hand_written_gradients_are_staged() -> None:
    choices = regression.simulate(MATRIX).choices

    def gradient(a: Tensor) -> Tensor:
        found: Tensor = torch.func.grad(lambda a: regression.assess(choices, a).score)(a)
        return found

    assert torch.allclose(jit(gradient, backend="graph")(MATRIX), gradient(MATRIX), atol=1e-5)


def test_gradients_have_the_structure_of_the_arguments() -> None:
    class Weighted(CustomGradient[..., Any, None]):
        def execute(self, xs: Any, options: Any, k: int) -> Any:
            return {"sum": sum(x * options["w"] for x in xs) * k, "n": k}, None

        def gradient(self, args: Any, retval: Any, retgrad: Any, state: None) -> Any:
            xs, options, k = args
            assert retgrad["n"] is None
            g = retgrad["sum"] * k
            return [g * options["w"] for _ in xs], {"w": g * sum(xs)}, None

    trace = Weighted().simulate([torch.tensor(1.0), torch.tensor(2.0)], {"w": torch.tensor(3.0)}, 2)

    found = trace.choice_gradients(retgrad={"sum": 1.0, "n": None}).args.args

    assert found == ([6.0, 6.0], {"w": 6.0}, None)


class Wrong(CustomGradient[..., Any, None]):
    def __init__(self, returned: Any) -> None:
        super().__init__("wrong")
        self.returned = returned

    def execute(self, x: Tensor) -> tuple[Tensor, None]:
        return x.detach() * 2, None

    def gradient(self, args: tuple[Any, ...], retval: Any, retgrad: Any, state: None) -> Any:
        return self.returned


@pytest.mark.parametrize(
    ("returned", "error", "match"),
    [
        ([], CustomRetvalError, r"Expected gradient of wrong to return a sequence of 1 gradients"),
        (None, CustomRetvalError, "but it returned None"),
        ([torch.zeros(3)], GradientError, r"an argument of shape \(2,\) has shape \(3,\)"),
    ],
)
def test_wrong_gradients_are_refused(returned: Any, error: type[Exception], match: str) -> None:
    trace = Wrong(returned).simulate(torch.zeros(2))

    with pytest.raises(error, match=match):
        trace.choice_gradients(retgrad=torch.ones(2))


def test_parameters_in_a_function_with_a_hand_written_gradient_are_refused() -> None:
    weight = nn.Parameter(torch.tensor(2.0))
    times_weight = with_gradient(lambda x: weight * x, lambda args, value, retgrad: [2.0 * retgrad])

    with pytest.raises(GradientError, match="uses trainable parameters too"):
        times_weight.simulate(torch.tensor(1.0))


@pytest.mark.parametrize("method", ["execute", "update"])
def test_what_a_method_returns_is_checked(method: str) -> None:
    class Sloppy(CustomDeterministic[..., Any, None]):
        def execute(self, x: float) -> Any:
            return x if method == "execute" else (x, None)

        def update(self, state: None, args: Any, argdiffs: Any) -> Any:
            return args[0], state

    with pytest.raises(CustomRetvalError, match=f"Expected {method} of Sloppy to return \\(value, state"):
        Sloppy().simulate(1.0).update(
            {}, Sloppy()(2.0) if method == "x" else None, argdiffs={"x": VectorDiff(1, 1)}
        )


def test_a_double_star_parameter_is_refused() -> None:
    class Open(CustomDeterministic[..., float, None]):
        def execute(self, **options: float) -> tuple[float, None]:
            return 0.0, None

    with pytest.raises(TypeError, match=r"Open takes \*\*options"):
        Open()

"""What the dynamic language accepts, and what it refuses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import constraints

from gen_core import (
    UNKNOWN,
    AddressError,
    Call,
    ChangedInPlaceError,
    DuplicateAddressError,
    ForgottenAddressError,
    GenerativeFunction,
    InlineError,
    Key,
    MissingChoiceError,
    OutsideModelError,
    ParameterError,
    UnvisitedConstraintsError,
    ValueShapeError,
    select,
)
from gen_core.run import current_handler
from gen_distributions import bernoulli, geometric, normal
from gen_dml import gen, inline, param


@gen
def line(xs: list[float], *, noise: float = 0.5, offset: float = 0.0) -> Tensor:
    """A line through noise."""
    slope = normal(0.0, 1.0) @ "slope"
    for i, x in enumerate(xs):
        normal(slope * x + offset, noise) @ ("y", i)
    return slope


def test_a_function_keeps_its_name_and_docstring() -> None:
    assert line.name == "line"
    assert line.__doc__ == "A line through noise."


def test_omitted_arguments_take_the_defaults() -> None:
    trace = line.simulate([1.0, 2.0])

    assert trace.args == ([1.0, 2.0],)
    assert dict(trace.kwargs) == {"noise": 0.5, "offset": 0.0}


def test_a_new_call_takes_its_own_defaults() -> None:
    trace = line.simulate([1.0], noise=3.0)

    assert trace.update({}, line([1.0])).trace.kwargs["noise"] == 0.5
    assert trace.update({"slope": 0.0}).trace.kwargs["noise"] == 3.0


def test_a_wrong_call_raises_as_python_does() -> None:
    with pytest.raises(TypeError, match="missing a required argument: 'xs'"):
        line()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'noice'"):
        line([1.0], noice=1.0)  # type: ignore[call-arg]


class Regression(nn.Module):
    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    @gen
    def slope(self, loc: float = 0.0) -> Tensor:
        return normal(loc, self.scale) @ "slope"

    @gen
    def model(self, xs: list[float]) -> Tensor:
        slope = self.slope(loc=1.0) @ "prior"
        level = param("level", 0.0)
        for i, x in enumerate(xs):
            normal(slope * x + level, 1.0) @ ("y", i)
        return slope


def test_methods_are_generative_functions_of_their_object() -> None:
    regression = Regression(2.0)

    trace = regression.model.simulate([1.0, 2.0])

    assert set(trace.choices.keys()) == {("prior", "slope"), ("y", 0), ("y", 1)}
    assert regression.model == regression.model
    assert regression.model != Regression(2.0).model
    assert trace.update({}, regression.model([1.0, 2.0, 3.0])).trace["prior"] == trace["prior"]


def test_each_object_has_parameters_of_its_own() -> None:
    one, other = Regression(1.0), Regression(1.0)
    one.model.simulate([1.0])
    with torch.no_grad():
        one.model.params["level"].fill_(5.0)
    other.model.simulate([1.0])

    assert one.model.params["level"].item() == 5.0
    assert other.model.params["level"].item() == 0.0


def test_methods_work_on_objects_that_have_no_weak_references() -> None:
    @dataclass(slots=True)
    class Model:
        loc: float

        @gen
        def run(self) -> Tensor:
            return normal(self.loc, 1.0) @ "x"

    model = Model(3.0)

    assert model.run.generate({"x": 3.0}).weight == pytest.approx(-0.5 * math.log(2 * math.pi))


@gen
def shared(loc: float) -> Tensor:
    return normal(loc, 1.0) @ "x"


@gen
def splicing(loc: float) -> Tensor:
    x = shared(loc) @ inline
    return normal(x, 1.0) @ "y"


def test_inline_makes_a_callees_addresses_the_callers_own() -> None:
    trace, weight = splicing.generate({"x": 1.0, "y": 1.0}, 1.0)

    assert set(trace.choices.keys()) == {"x", "y"}
    assert weight == pytest.approx(-math.log(2 * math.pi))
    assert trace.update({"x": 2.0}).weight == pytest.approx(-1.0)


def test_inline_is_for_functions_of_the_same_language() -> None:
    @gen
    def model() -> Tensor:
        return normal(0.0, 1.0) @ inline

    with pytest.raises(InlineError, match=r"model .*test_language.py:.* splices normal, a Distribution"):
        model.simulate()


def test_an_inlined_callee_collides_with_the_callers_addresses() -> None:
    @gen
    def model() -> Tensor:
        normal(0.0, 1.0) @ "x"
        return shared(0.0) @ inline

    with pytest.raises(DuplicateAddressError, match="'x' twice"):
        model.simulate()


@gen
def list_of_coins(p: float) -> list[Tensor]:
    head = normal(0.0, 1.0) @ "head"
    if bernoulli(p) @ "more":
        return [head, *(list_of_coins(p) @ "tail")]
    return [head]


def test_recursion_of_random_depth() -> None:
    torch.manual_seed(4)
    depths = {len(list_of_coins.simulate(0.7).retval) for _ in range(30)}

    assert max(depths) > 4
    trace, _ = list_of_coins.generate({"more": 1, ("tail", "more"): 0}, 0.7)
    assert len(trace.retval) == 2
    assert trace["tail"] == [trace["tail", "head"]]


def test_a_recursion_into_another_depth_edits_the_rest() -> None:
    trace, _ = list_of_coins.generate({"more": 1, ("tail", "more"): 0}, 0.7)

    moved, _, _, discard = trace.update({"more": 0})

    assert len(moved.retval) == 1
    assert set(discard.keys()) == {"more", ("tail", "head"), ("tail", "more")}


def test_a_callees_return_value_is_under_its_address() -> None:
    @gen
    def doubled() -> Tensor:
        return 2.0 * (normal(0.0, 1.0) @ "x")

    @gen
    def caller() -> Tensor:
        return doubled() @ ("part", 3)

    trace = caller.simulate()

    assert trace["part", 3] == 2.0 * trace["part", 3, "x"]
    assert ("part", 3) in trace
    assert "part" not in trace
    assert trace.subtrace(("part", 3)).gen_fn is doubled
    assert trace[Key[Tensor]("part", 3, "x")] == trace["part", 3, "x"]


def test_untraced_calls_are_redrawn_and_not_scored() -> None:
    @gen
    def model() -> Tensor:
        untraced = normal(100.0, 1.0).sample()
        return untraced + normal(0.0, 1.0) @ "x"

    trace, weight = model.generate({"x": 0.0})

    assert set(trace.choices.keys()) == {"x"}
    assert weight == pytest.approx(-0.5 * math.log(2 * math.pi))
    assert trace.retval > 90.0
    assert trace.update({"x": 0.0}).trace.retval != trace.retval


def test_a_trace_is_not_a_sequence() -> None:
    with pytest.raises(TypeError, match="not iterable"):
        iter(shared.simulate(0.0))


# Parameters.


@gen
def scaled() -> Tensor:
    scale = param("scale", 2.0, constraints.positive)
    loc = param("loc", lambda: torch.zeros(()))
    return normal(loc, scale) @ "x"


@gen
def calls_scaled() -> Tensor:
    return scaled() @ "sub"


def forget_gradients() -> None:
    for parameter in scaled.params.values():
        parameter.grad = None


def gradient_of(name: str) -> float:
    gradient = scaled.params[name].grad
    assert gradient is not None
    return float(gradient)


def test_parameters_are_made_once_and_constrained() -> None:
    scaled.simulate()

    assert set(scaled.params) == {"scale", "loc"}
    assert isinstance(scaled.params["scale"], nn.Parameter)
    assert scaled.params["scale"].item() == pytest.approx(math.log(2.0))


def test_parameter_gradients_are_reached_through_callees_and_accumulate() -> None:
    trace, _ = calls_scaled.generate({("sub", "x"): 3.0})
    forget_gradients()

    trace.accumulate_param_gradients(scale_factor=0.5)
    trace.accumulate_param_gradients(scale_factor=0.5)

    assert gradient_of("loc") == pytest.approx(3.0 / 4.0)  # (x - loc) / scale^2
    assert gradient_of("scale") == pytest.approx(9.0 / 4.0 - 1.0)  # in log scale


def test_the_score_is_differentiable_in_parameters() -> None:
    trace, _ = calls_scaled.generate({("sub", "x"): 3.0})
    forget_gradients()

    trace.score.backward()

    assert gradient_of("loc") == pytest.approx(3.0 / 4.0)


def test_edits_carry_no_gradients() -> None:
    trace, _ = calls_scaled.generate({("sub", "x"): 3.0})

    assert not trace.update({("sub", "x"): 2.0}).weight.requires_grad
    assert not trace.regenerate(select(("sub", "x"))).trace.score.requires_grad


@pytest.mark.unverified
def test_a_trained_parameter_is_seen_when_everything_is_revisited() -> None:
    @gen
    def model() -> Tensor:
        return normal(param("loc", 0.0), 1.0) @ "x"

    @gen
    def caller() -> Tensor:
        return model() @ "sub"

    trace, _ = caller.generate({("sub", "x"): 1.0})
    with torch.no_grad():
        model.params["loc"].fill_(1.0)

    assert trace.update({}).weight == 0.0
    assert trace.update({}, argdiffs=UNKNOWN).weight == pytest.approx(0.5)


def test_a_parameter_outside_its_constraint_is_refused() -> None:
    @gen
    def model() -> None:
        param("scale", -1.0, constraints.positive)

    message = r"Expected `scale` of model to be inside .* but got tensor\(-1.\)"
    with pytest.raises(ParameterError, match=message):
        model.simulate()


def test_a_parameter_cannot_change_its_constraint() -> None:
    @gen
    def model(constrained: bool) -> None:
        param("scale", 1.0, constraints.positive if constrained else None)

    model.simulate(True)
    with pytest.raises(ParameterError, match="constrained as before"):
        model.simulate(False)


# Gradients through structures.


@dataclass(frozen=True)
class Point:
    x: Tensor
    label: str


@gen
def structured(points: list[Point], weights: dict[str, float], pair: tuple[Tensor, int]) -> dict[str, Any]:
    total = sum((point.x for point in points), torch.zeros(())) * weights["w"] + pair[0] * pair[1]
    y = normal(total, 1.0) @ "y"
    return {"total": total, "rest": [y, "text"]}


def test_argument_gradients_have_the_structure_of_the_arguments() -> None:
    points = [Point(torch.tensor(1.0), "a"), Point(torch.tensor(2.0), "b")]
    trace, _ = structured.generate({"y": 5.0}, points, {"w": 2.0}, (torch.tensor(1.0), 3))

    gradients = trace.choice_gradients(select("y"), {"total": torch.tensor(10.0), "rest": None})

    # y = 5, total = 9: d score / d total = y - total = -4, and the retgrad adds 10.
    points_gradient, weights_gradient, pair_gradient = gradients.args.args
    assert [float(point.x) for point in points_gradient] == [12.0, 12.0]
    assert points_gradient[0].label is None
    assert {name: float(value) for name, value in weights_gradient.items()} == {"w": 18.0}
    assert float(pair_gradient[0]) == 18.0
    assert pair_gradient[1] is None
    assert float(gradients.gradients["y"]) == 4.0
    assert float(gradients.values["y"]) == 5.0


# Refusals.


def test_visiting_an_address_twice_names_the_line() -> None:
    @gen
    def model() -> None:
        normal(0.0, 1.0) @ "x"
        normal(0.0, 1.0) @ "x"

    with pytest.raises(DuplicateAddressError, match=r"model \(.*test_language.py:\d+\) visited 'x' twice"):
        model.simulate()


@pytest.mark.parametrize("first, second", [("y", ("y", 3)), (("y", 3), "y"), (("y", 3), ("y", 3, "z"))])
def test_an_address_above_or_below_another_is_refused(first: Any, second: Any) -> None:
    @gen
    def model() -> None:
        normal(0.0, 1.0) @ first
        normal(0.0, 1.0) @ second

    with pytest.raises(DuplicateAddressError, match="as well as"):
        model.simulate()


def test_what_is_no_address_is_refused() -> None:
    @gen
    def model() -> None:
        normal(0.0, 1.0) @ 1.5  # type: ignore[operator]

    with pytest.raises(AddressError, match=r"1\.5"):
        model.simulate()


def test_tensors_and_numpy_integers_are_keys() -> None:
    import numpy as np

    @gen
    def model() -> None:
        normal(0.0, 1.0) @ ("y", torch.tensor(3))
        normal(0.0, 1.0) @ ("z", np.int64(4))

    assert set(model.simulate().choices.keys()) == {("y", 3), ("z", 4)}


def test_a_choice_below_a_choice_cannot_be_constrained() -> None:
    with pytest.raises(UnvisitedConstraintsError, match=r"'x' is a choice, so nothing can be .* below it"):
        shared.generate({("x", "deeper"): 1.0}, 0.0)


def test_a_callee_cannot_be_constrained_as_if_it_were_a_choice() -> None:
    with pytest.raises(UnvisitedConstraintsError, match=r"'sub' is not a choice: constrain what is below it"):
        calls_scaled.generate({"sub": 1.0})


def test_assess_refuses_a_missing_choice_and_an_extra_one() -> None:
    with pytest.raises(MissingChoiceError, match="splicing makes a choice at 'y'"):
        splicing.assess({"x": 1.0}, 0.0)
    with pytest.raises(UnvisitedConstraintsError, match="never visited 'z'"):
        splicing.assess({"x": 1.0, "y": 1.0, "z": 1.0}, 0.0)


def test_a_call_outside_a_model_says_what_to_do() -> None:
    with pytest.raises(OutsideModelError, match=r"normal\(...\) @ 'x' ran outside a generative function"):
        normal(0.0, 1.0) @ "x"
    with pytest.raises(OutsideModelError, match=r"param\('scale', ...\)"):
        param("scale", 1.0)


def test_a_forgotten_address_is_an_error_where_the_call_is_used_as_a_truth_value() -> None:
    @gen
    def model() -> None:
        if bernoulli(0.5):
            pass  # type: ignore[unreachable]

    with pytest.raises(ForgottenAddressError, match="Give it an address"):
        model.simulate()


def test_a_bad_parameter_names_the_parameter_the_address_and_the_model() -> None:
    @gen
    def model() -> None:
        for i, scale in enumerate([1.0, -2.0, 3.0]):
            normal(torch.zeros(()), scale) @ ("y", i)

    message = r"Expected `scale` of normal to be positive, but got -2.0, at address \('y', 1\) in model"
    with pytest.raises(ParameterError, match=message):
        model.simulate()


def test_a_value_of_another_shape_is_refused_and_not_broadcast() -> None:
    with pytest.raises(ValueShapeError, match=r"at address 'x'.*got shape \(3,\)"):
        shared.generate({"x": torch.zeros(3)}, 0.0)


def test_changing_a_recorded_tensor_in_place_is_an_error() -> None:
    @gen
    def model() -> Tensor:
        mu = torch.zeros(())
        for t in range(3):
            mu += normal(mu, 1.0) @ ("x", t)
        return mu

    with pytest.raises(ChangedInPlaceError, match=r"choice at \('x', 0\) in model was changed in place"):
        model.simulate()


def test_an_exception_carries_the_address_path_and_the_line_and_leaves_no_handler() -> None:
    @gen
    def broken() -> None:
        normal(0.0, 1.0) @ "x"
        raise KeyError("mine")

    @gen
    def middle() -> None:
        broken() @ ("b", 2)

    @gen
    def top() -> None:
        middle() @ "a"

    with pytest.raises(KeyError) as caught:
        top.simulate()

    (note,) = caught.value.__notes__
    assert note.startswith("Raised in broken (")
    assert "test_language.py" in note
    assert note.endswith("at address ('a', 'b', 2).")
    assert current_handler() is None


def test_a_draw_with_bad_parameters_names_the_parameter() -> None:
    @gen
    def model() -> None:
        geometric(2.0) @ "n"

    with pytest.raises(ParameterError, match="`probs` of geometric"):
        model.simulate()


# Equality.


def test_functions_made_by_one_definition_with_equal_captures_are_equal() -> None:
    def make(loc: float) -> GenerativeFunction[[], Tensor]:
        @gen
        def model() -> Tensor:
            return normal(loc, 1.0) @ "x"

        return model

    assert make(1.0) == make(1.0)
    assert hash(make(1.0)) == hash(make(1.0))
    assert make(1.0) != make(2.0)


def test_a_nested_recursive_function_equals_its_twin() -> None:
    def make() -> GenerativeFunction[[int], int]:
        @gen
        def count(n: int) -> int:
            return n if n == 0 else count(n - 1) @ "next"

        return count

    assert make() == make()


def test_functions_with_parameters_are_equal_only_if_they_share_them() -> None:
    def make() -> GenerativeFunction[[], Tensor]:
        @gen
        def model() -> Tensor:
            return normal(param("loc", 0.0), 1.0) @ "x"

        return model

    one, other = make(), make()
    one.simulate()

    assert one != other


def test_a_function_made_at_every_run_is_the_same_callee() -> None:
    @gen
    def caller(loc: float) -> Tensor:
        @gen
        def kernel(x: float) -> Tensor:
            return normal(x, 1.0) @ "z"

        return kernel(loc) @ "k"

    trace = caller.simulate(0.0)
    moved, _, _, discard = trace.update({}, caller(1.0))

    assert moved["k", "z"] == trace["k", "z"]
    assert discard.is_empty


def test_calls_print_as_they_are_written() -> None:
    call: Call[Tensor] = line([1.0], noise=2.0)

    assert repr(call) == "line([1.0], noise=2.0, offset=0.0)"

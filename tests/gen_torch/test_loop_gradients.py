"""Loops in batches and with gradients through them stay loops, and compute what they do eagerly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from gen_core import GradientError, batch
from gen_distributions import normal
from gen_dml import gen
from gen_torch import cond, fori_loop, jit, scan

Loss = Callable[[Tensor, Tensor, Tensor], Any]
"""Of a number, a first carry of shape `(3,)` and a column of shape `(num_steps, 3)`."""


@pytest.fixture(autouse=True)
def _in_float64() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


MATRIX = torch.tensor([[0.5, -0.3, 0.2], [0.1, 0.4, -0.6], [-0.2, 0.3, 0.7]], dtype=torch.float64)


def captures_what_depends_on_what_it_captures(p: Tensor, init: Tensor, xs: Tensor) -> Any:
    rate = p.exp()
    last, ys = scan(lambda c, x: ((c * rate + p * x).tanh(), c * p), init, xs)
    return last.sum() + (ys * rate).sin().sum()


def uses_part_of_its_outputs(p: Tensor, init: Tensor, xs: Tensor) -> Any:
    _, ys = scan(lambda c, x: (c.sin() + x, {"a": c * p, "b": x.exp(), "c": x[0]}), init, xs)
    return ys["a"][1:].square().sum()


def counts_beside_it(p: Tensor, init: Tensor, xs: Tensor) -> Any:
    def body(carry: Any, x: Tensor) -> Any:
        level, number, is_high = carry
        level = torch.where(is_high, level * p, level + x * number)
        return (level, number + 1, level.sum() > 0), (number * 2, is_high, level.sum())

    start = init, torch.tensor(0), torch.tensor(False)
    (last, number, _), ys = scan(body, start, xs)
    return (last * number).sum() + (ys[2] * ys[0]).sum()


def starts_from_a_constant(p: Tensor, init: Tensor, xs: Tensor) -> Any:
    last, _ = scan(lambda c, x: (c * p + x, None), torch.zeros(3), xs.detach())
    return last.square().sum() + init.sum()


def detaches(p: Tensor, init: Tensor, xs: Tensor) -> Any:
    def body(carry: Tensor, x: Tensor) -> Any:
        with torch.no_grad():
            scale = (carry * p).cos()
        return carry.detach() * x + p * scale * carry, carry * scale

    last, ys = scan(body, init, xs)
    return last.sum() + ys.sum()


def forgets_its_carry(p: Tensor, init: Tensor, xs: Tensor) -> Any:
    (last, kept), ys = scan(lambda c, x: ((x * 1.0, c[1]), c[0] * c[1] * p), (init, init * 2), xs.detach())
    return last.sum() + (kept * p).sum() + ys.sum()


def writes_in_place(p: Tensor, init: Tensor, xs: Tensor) -> Any:
    def body(carry: Tensor, x: Tensor) -> Any:
        made = carry * x * p
        made[0] = carry.sum() * p
        made[1:] += x[1:] * p
        made.mul_(2.0)
        return made.tanh(), made

    last, ys = scan(body, init, xs)
    return last.sum() + ys.square().sum()


def nests(p: Tensor, init: Tensor, xs: Tensor) -> Any:
    def outer(carry: Tensor, x: Tensor) -> Any:
        inner, sums = scan(lambda c, y: ((c * y * p).sin() + x, c.sum()), carry, xs)
        return inner, sums * p

    last, ys = scan(outer, init, xs)
    return last.sum() + ys.square().sum()


class Doubled(torch.autograd.Function):
    """The identity, with twice its gradient."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * 2


def writes_its_gradient(p: Tensor, init: Tensor, xs: Tensor) -> Any:
    def body(carry: Tensor, x: Tensor) -> Any:
        return Doubled.apply(carry * p) + x, Doubled.apply(x).sum()  # type: ignore[no-untyped-call]

    last, ys = scan(body, init, xs)
    return last.sum() + ys.sum()


def solves(p: Tensor, init: Tensor, xs: Tensor) -> Any:
    def body(carry: Tensor, x: Tensor) -> Any:
        system = MATRIX * p + torch.eye(3) * 3 + torch.outer(carry, carry)
        after = torch.linalg.solve(system, x).softmax(0)
        top, at = after.max(0)
        return after, (top, at, torch.linalg.cholesky(system @ system.mT).logdet())

    last, (tops, _, logdets) = scan(body, init, xs)
    return last.square().sum() + tops.sum() + logdets.sum()


def looks_up(p: Tensor, init: Tensor, xs: Tensor) -> Any:
    table = xs * p
    return fori_loop(1, len(xs), lambda i, c: c * table[i] + table[i - 1].cumsum(0), init).sum()


def branches(p: Tensor, init: Tensor, xs: Tensor) -> Any:
    def body(carry: Tensor, x: Tensor) -> Any:
        return cond(carry.sum() > x.sum(), lambda c: c * p, lambda c: c - x, carry), None

    return scan(body, init, xs)[0].square().sum()


def hands_on_what_it_captured(p: Tensor, init: Tensor, xs: Tensor) -> Any:
    (last, kept), ys = scan(lambda c, x: ((c[1], p.expand(3)), (p, c[0], x)), (init, init * p), xs)
    return (last * kept).sum() + sum(y.square().sum() for y in ys)


@gen
def stepping(previous: Tensor, scale: Tensor) -> Tensor:
    return normal(previous, scale) @ "x"


def scores_a_model(p: Tensor, init: Tensor, xs: Tensor) -> Any:
    def body(carry: Tensor, x: Tensor) -> Any:
        return x, stepping.assess({"x": x}, carry, p.exp()).score

    return scan(body, init, xs)[1].sum()


def climbs(p: Tensor, init: Tensor, xs: Tensor) -> Any:
    def body(carry: Tensor, x: Tensor) -> Any:
        gradient = torch.func.grad(lambda at: (at * x).sin().sum())(carry.detach())
        return carry * p + 0.1 * gradient.detach(), None

    return scan(body, init, xs)[0].sum()


LOSSES: list[Loss] = [
    captures_what_depends_on_what_it_captures,
    uses_part_of_its_outputs,
    counts_beside_it,
    starts_from_a_constant,
    detaches,
    forgets_its_carry,
    writes_in_place,
    nests,
    writes_its_gradient,
    solves,
    looks_up,
    branches,
    hands_on_what_it_captured,
    scores_a_model,
    climbs,
]


def by_autograd(loss: Loss) -> Callable[..., Any]:
    def gradients(*values: Tensor) -> Any:
        leaves = [value.detach().requires_grad_() for value in values]
        with torch.enable_grad():
            return torch.autograd.grad(loss(*leaves), leaves, allow_unused=True, materialize_grads=True)

    return gradients


def by_func(loss: Loss) -> Callable[..., Any]:
    return torch.func.grad_and_value(loss, argnums=(0, 1, 2))


def batched_by_func(loss: Loss) -> Callable[..., Any]:
    gradients = by_func(loss)
    return lambda p, init, xs: batch(gradients, (0, None, None))(torch.stack([p, -p]), init, xs)


def nested_batches_by_func(loss: Loss) -> Callable[..., Any]:
    gradients = by_func(loss)

    def run(p: Tensor, init: Tensor, xs: Tensor) -> Any:
        inner = batch(gradients, (None, 0, None))
        return batch(inner, (0, None, None))(
            torch.stack([p, -p]), torch.stack([init, init.cos(), init * p]), xs
        )

    return run


def of_a_batch_by_func(loss: Loss) -> Callable[..., Any]:
    def total(p: Tensor, init: Tensor, xs: Tensor) -> Any:
        return batch(loss, (0, None, None))(torch.stack([p, -p, p * 2]), init, xs).sum()

    return by_func(total)


def of_a_batch_by_autograd(loss: Loss) -> Callable[..., Any]:
    def total(p: Tensor, init: Tensor, xs: Tensor) -> Any:
        return batch(loss, (None, None, 1))(p, init, torch.stack([xs, xs + p], 1)).sum()

    return by_autograd(total)


def in_batches(loss: Loss) -> Callable[..., Any]:
    def run(p: Tensor, init: Tensor, xs: Tensor) -> Any:
        inner = batch(loss, (0, None, None))
        return batch(inner, (None, 0, None))(torch.stack([p, -p]), torch.stack([init, init.cos()]), xs)

    return run


WAYS = [
    by_autograd,
    by_func,
    batched_by_func,
    nested_batches_by_func,
    of_a_batch_by_func,
    of_a_batch_by_autograd,
    in_batches,
]


def values(num_steps: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.tensor(0.7), torch.randn(3), torch.randn(num_steps, 3)


MAIN_LOSSES = [captures_what_depends_on_what_it_captures, counts_beside_it, nests, scores_a_model]
MAIN_WAYS = [batched_by_func, of_a_batch_by_func]

each_way = pytest.mark.parametrize(
    ("way", "loss"),
    [(way, loss) for way in WAYS for loss in LOSSES if way in MAIN_WAYS or loss in MAIN_LOSSES],
    ids=lambda function: function.__name__,
)


def nodes(function: Callable[..., Any], num_steps: int) -> int:
    return len(jit(function).staged(*values(num_steps)).graph.graph.nodes)


@each_way
def test_a_staged_loop_computes_what_it_does_eagerly(way: Any, loss: Loss) -> None:
    function = way(loss)
    expected = function(*values())

    with torch.no_grad():
        found = jit(function, backend="graph")(*values())

    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
def test_every_loop_stays_a_loop(loss: Loss) -> None:
    gradients = batched_by_func(loss)

    assert nodes(gradients, 2) == nodes(gradients, 5)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_loop_stays_a_loop_in_every_way(way: Any) -> None:
    gradients = way(captures_what_depends_on_what_it_captures)

    assert nodes(gradients, 2) == nodes(gradients, 5)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
def test_gradients_through_a_program_with_a_loop(loss: Loss) -> None:
    expected = by_autograd(loss)(*values())

    leaves = [value.requires_grad_() for value in values()]
    jit(loss, backend="graph")(*leaves).backward()

    for leaf, gradient in zip(leaves, expected, strict=True):
        torch.testing.assert_close(torch.zeros_like(leaf) if leaf.grad is None else leaf.grad, gradient)


@pytest.mark.parametrize("way", [by_autograd, *MAIN_WAYS], ids=lambda way: way.__name__)
def test_a_compiled_loop_has_the_gradients_of_the_eager_one(way: Any) -> None:
    gradients = way(scores_a_model)
    expected = gradients(*values(20))

    found = jit(gradients)(*values(20))

    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("way", [by_autograd, by_func], ids=lambda way: way.__name__)
def test_modules_in_a_loop_get_their_gradients(way: Any) -> None:
    module = torch.nn.Linear(3, 3)

    def loss(p: Tensor, init: Tensor, xs: Tensor) -> Any:
        return scan(lambda c, x: ((module(c) * p).tanh() + x, None), init, xs)[0].sum()

    expected = way(loss)(*values())
    found = jit(way(loss), backend="graph")(*values())
    by_parameter = torch.autograd.grad(loss(*values()), list(module.parameters()))
    jit(loss, backend="graph")(*values()).backward()

    torch.testing.assert_close(found, expected)
    torch.testing.assert_close([each.grad for each in module.parameters()], list(by_parameter))


_, INIT, XS = values()


def last_of(p: Tensor) -> Any:
    return captures_what_depends_on_what_it_captures(p, INIT.double(), XS.double())


@pytest.mark.parametrize(
    "derivative", [torch.func.jacrev, torch.func.jacfwd, torch.func.hessian], ids=lambda each: each.__name__
)
def test_other_derivatives_through_a_loop(derivative: Any) -> None:
    p = values()[0]

    torch.testing.assert_close(jit(derivative(last_of), backend="graph")(p), derivative(last_of)(p))


def test_rows_of_a_jacobian_come_from_one_loop() -> None:
    def jacobian(p: Tensor, init: Tensor, xs: Tensor) -> Any:
        return torch.func.jacrev(lambda c: scan(lambda c, x: ((c * p).sin() + x, c * c), c, xs))(init)

    torch.testing.assert_close(jit(jacobian, backend="graph")(*values()), jacobian(*values()))
    assert nodes(jacobian, 2) == nodes(jacobian, 5)


def test_a_gradient_through_a_loop_may_be_scaled_by_what_has_a_gradient() -> None:
    def scaled(scale: Tensor, init: Tensor, xs: Tensor) -> Any:
        return torch.func.grad(lambda p: scale.sin() * last_of(p) + init.sum() * xs.sum())(init[0])

    def gradient(*given: Tensor) -> Any:
        return torch.func.grad(scaled)(*given)

    def by_leaf(*given: Tensor) -> Any:
        return by_autograd(scaled)(*given)[0]

    for function in (gradient, by_leaf):
        torch.testing.assert_close(jit(function, backend="graph")(*values()), function(*values()))
        assert nodes(function, 2) == nodes(function, 5)


def test_second_derivatives_by_nested_transforms_are_unrolled_and_right() -> None:
    second = torch.func.grad(torch.func.grad(last_of))

    torch.testing.assert_close(jit(second, backend="graph")(values()[0]), second(values()[0]))


def test_a_second_derivative_through_the_gradient_of_a_loop_is_refused() -> None:
    def twice(p: Tensor) -> Tensor:
        p = p.detach().requires_grad_()
        (first,) = torch.autograd.grad(last_of(p), p, create_graph=True)
        return torch.autograd.grad(first, p)[0]

    def once(p: Tensor) -> Tensor:
        p = p.detach().requires_grad_()
        return torch.autograd.grad(last_of(p), p, create_graph=True)[0].detach()

    torch.testing.assert_close(jit(once, backend="graph")(values()[0]), once(values()[0]))
    with pytest.raises(GradientError, match=r"no second derivative.*Nest torch\.func\.grad"):
        jit(twice, backend="graph")(values()[0])


def test_many_gradients_at_once_through_a_nested_loop_are_refused() -> None:
    def jacobian(p: Tensor) -> Any:
        return torch.func.jacrev(lambda p: nests(p, INIT.double(), XS.double()))(p)

    with pytest.raises(GradientError, match="many results at once"):
        jit(jacobian, backend="graph")(values()[0])


def test_what_no_function_of_torch_gets_is_unrolled() -> None:
    def loss(p: Tensor, init: Tensor, xs: Tensor) -> Any:
        captured = p * 2
        return scan(lambda c, x: (c * x + Doubled.apply(captured), None), init, xs)[0].sum()  # type: ignore[no-untyped-call]

    gradients = by_autograd(loss)

    torch.testing.assert_close(jit(gradients, backend="graph")(*values()), gradients(*values()))

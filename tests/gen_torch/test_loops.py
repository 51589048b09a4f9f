"""Loops are Python where they run eagerly, and one compiled loop where they are staged."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from gen_core import batch, choose, select
from gen_distributions import normal, uniform
from gen_dml import gen
from gen_torch import LoopError, cond, fori_loop, jit, scan, while_loop

DATA = torch.linspace(-1.0, 1.0, 7)


same_numbers = pytest.mark.skipif(
    torch.__version__ < "2.13", reason="older compilers reorder draws, and older loops draw once more"
)


@gen
def model() -> Tensor:
    loc = normal(0.0, 1.0) @ "loc"
    return normal(loc.expand(7), 0.5) @ "y"


def step(trace: Any, _: Tensor) -> tuple[Any, Tensor]:
    proposed = trace.regenerate(select("loc"))
    accepted = uniform.sample(0.0, 1.0).log() < proposed.weight
    trace = choose(accepted, proposed.trace, trace)
    return trace, trace["loc"]


def test_scan_is_a_loop() -> None:
    total, partial = scan(lambda carry, x: (carry + x, carry * 2), torch.zeros(()), torch.arange(4.0))

    assert total == 6.0
    assert partial.tolist() == [0.0, 0.0, 2.0, 6.0]


@same_numbers
@pytest.mark.parametrize("backend", ["graph", "inductor"])
def test_a_staged_chain_draws_what_the_loop_draws(backend: Any) -> None:
    trace, _ = model.generate({"y": DATA})

    def chain(start: Any) -> Any:
        return scan(step, start, length=30)

    torch.manual_seed(3)
    _, expected = chain(trace)
    torch.manual_seed(3)
    last, draws = jit(chain, backend=backend)(trace)

    torch.testing.assert_close(draws, expected)
    torch.testing.assert_close(last.score, model.assess(last.choices).score)
    assert len(set(draws.tolist())) > 5


def test_a_staged_scan_stays_one_loop() -> None:
    trace, _ = model.generate({"y": DATA})

    graph = jit(lambda start: scan(step, start, length=1000)).staged(trace).graph

    assert len(graph.graph.nodes) < 60


def test_a_scan_may_return_what_it_captured_for_all_runs_of_a_batch() -> None:
    def loop(start: Tensor, shared: Tensor) -> Any:
        return scan(lambda carry, _: batch(lambda each: (each + shared, shared))(carry), start, length=3)

    # Compilers refuse a loop of which an output is a view of an input.
    total, returned = jit(loop, backend="inductor")(torch.zeros(2), torch.tensor(1.0))

    assert total.tolist() == [3.0, 3.0]
    assert returned.tolist() == [[1.0, 1.0]] * 3


def test_scans_nest_and_take_gradients_within() -> None:
    def score(loc: Tensor) -> Tensor:
        return model.assess({"loc": loc, "y": DATA + 1.0}).score

    def climb(loc: Tensor, _: Any) -> tuple[Tensor, None]:
        loc = loc.detach().requires_grad_()
        with torch.enable_grad():
            gradient = torch.autograd.grad(score(loc), loc)[0]
        return loc.detach() + 0.01 * gradient, None

    def outer(loc: Tensor, rate: Tensor) -> tuple[Tensor, Tensor]:
        loc, _ = scan(climb, loc, length=5)
        return loc, loc * rate

    def run(loc: Tensor) -> Any:
        return scan(outer, loc, torch.ones(20))

    expected = run(torch.zeros(()))
    got = jit(run)(torch.zeros(()))

    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
    # The maximum of -loc^2 / 2 - sum (y - loc)^2 / (2 * 0.25) with seven data of mean one.
    assert float(got[0]) == pytest.approx(28.0 / 29.0, abs=1e-3)


def test_gradients_through_a_scan() -> None:
    def run(rate: Tensor) -> Tensor:
        last: Tensor = scan(lambda carry, _: (carry * rate, None), torch.ones(()), length=3)[0]
        return last

    rate = torch.tensor(2.0, requires_grad=True)
    jit(run, backend="graph")(rate).backward()

    assert rate.grad == 12.0


def test_scan_in_a_batch() -> None:
    def run(start: Tensor) -> Tensor:
        return scan(lambda carry, x: (carry + x, None), start, DATA)[0]

    starts = torch.arange(3.0)

    torch.testing.assert_close(batch(run)(starts), starts + DATA.sum())
    torch.testing.assert_close(jit(batch(run), backend="graph")(starts), starts + DATA.sum())


def test_a_batch_in_a_scan_runs_chains_side_by_side() -> None:
    traces, _ = batch(lambda: model.generate({"y": DATA}), size=16)()

    def chains(start: Any) -> Any:
        return scan(lambda carry, x: batch(step, in_dims=(0, None))(carry, x), start, length=200)

    torch.manual_seed(0)
    last, draws = jit(chains)(traces)

    assert draws.shape == (200, 16)
    torch.testing.assert_close(last.score[3], model.assess(last[3].choices).score)
    # The posterior mean is 0, its standard deviation (1 + 7 * 4)^-1/2 = 0.186; independence proposals
    # accept seldom, so the 16 chains are worth a few hundred draws: a standard error below 0.02.
    assert abs(float(draws[50:].mean())) < 0.08


def test_fori_loop_counts() -> None:
    def run(x: Tensor) -> Tensor:
        return fori_loop(1, 5, lambda i, carry: carry * i, x)

    assert run(torch.tensor(1.0)) == 24.0
    assert jit(run, backend="graph")(torch.tensor(2.0)) == 48.0
    assert fori_loop(3, 3, lambda i, carry: carry * i, torch.tensor(1.0)) == 1.0


@pytest.mark.parametrize("backend", ["graph", "inductor"])
def test_while_loop_stops_by_the_value(backend: Any) -> None:
    bound = torch.tensor(100.0)

    def run(x: Tensor) -> Tensor:
        return while_loop(lambda carry: carry < bound, lambda carry: carry * 2, x)

    compiled = jit(run, backend=backend)

    assert run(torch.tensor(3.0)) == 192.0
    assert compiled(torch.tensor(3.0)) == 192.0
    assert compiled(torch.tensor(200.0)) == 200.0
    assert compiled.num_programs == 1


@pytest.mark.parametrize("backend", ["graph", "inductor"])
def test_cond_chooses_by_the_value(backend: Any) -> None:
    shift = torch.tensor(10.0)

    def run(x: Tensor) -> Any:
        return cond(x > 0, lambda v: v + shift, lambda v: -v, x)

    compiled = jit(run, backend=backend)

    for x in (3.0, -4.0):
        assert compiled(torch.tensor(x)) == run(torch.tensor(x))
    assert batch(run)(torch.tensor([3.0, -4.0])).tolist() == [13.0, 4.0]


def test_gradients_of_cond() -> None:
    def run(x: Tensor) -> Any:
        return cond(x > 0, lambda v: v * v, lambda v: -v, x)

    x = torch.tensor(3.0, requires_grad=True)
    jit(run, backend="graph")(x).backward()

    assert x.grad == 6.0


def test_a_carry_must_keep_its_kind() -> None:
    with pytest.raises(LoopError, match="must keep its structure, shapes and dtypes"):
        jit(lambda x: scan(lambda c, _: (c.double(), None), x, length=3)[0])(torch.zeros(()))
    with pytest.raises(LoopError, match="at least one step"):
        scan(lambda c, x: (c, x), torch.zeros(()), torch.zeros(0))


@pytest.mark.parametrize("backend", ["graph", "inductor"])
@pytest.mark.parametrize("shape", [(3, 2), (8, 1)])
def test_a_carry_may_have_another_layout_after_a_step(backend: Any, shape: tuple[int, int]) -> None:
    def transposed(carry: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        after = (carry + x).t().contiguous().t()
        return after, after.sum()

    start = torch.arange(float(shape[0] * shape[1])).reshape(shape)
    loops: list[Any] = [
        lambda start: scan(transposed, start, torch.arange(4.0)),
        lambda start: fori_loop(0, 4, lambda i, carry: transposed(carry, i.float())[0], start),
        lambda start: scan(transposed, start.t().contiguous().t(), torch.arange(4.0)),
    ]
    for loop in loops:
        torch.testing.assert_close(jit(loop, backend=backend)(start), loop(start))


def test_while_loops_do_not_batch_and_have_no_gradient() -> None:
    def run(x: Tensor) -> Tensor:
        return while_loop(lambda c: c < 10, lambda c: c * 2, x)

    with pytest.raises(LoopError, match="cannot run in a batch"):
        batch(run)(torch.ones(2))
    with pytest.raises(LoopError, match="has no gradient"):
        jit(run)(torch.tensor(1.0, requires_grad=True))
    with pytest.raises(LoopError, match="has no gradient"):
        jit(torch.func.grad(run))(torch.tensor(1.0))


def test_while_loops_run_beside_gradients() -> None:
    start = torch.tensor(1.0)

    def gradient(x: Tensor) -> Any:
        return torch.func.grad(lambda x: x * while_loop(lambda c: c < 10, lambda c: c * 2, start))(x)

    assert gradient(torch.tensor(3.0)) == 16.0
    assert jit(gradient, backend="graph")(torch.tensor(3.0)) == 16.0
    # Eagerly it is a loop of Python, which has a gradient.
    doubled = torch.func.grad(lambda x: while_loop(lambda c: c < 10, lambda c: c * 2, x))
    assert doubled(torch.tensor(3.0)) == 4.0


def test_a_step_may_index_by_its_number_in_a_batch() -> None:
    table = torch.arange(12.0).reshape(4, 3)

    def run(scale: Tensor) -> Tensor:
        return fori_loop(0, 4, lambda i, carry: carry + scale * table[i], torch.zeros(3))

    scales = torch.tensor([1.0, 2.0])

    torch.testing.assert_close(jit(batch(run), backend="graph")(scales), batch(run)(scales))

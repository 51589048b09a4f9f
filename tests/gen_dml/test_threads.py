"""Runs in many threads do not see each other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from gen_core import OutsideModelError, Trace, select
from gen_core.run import current_handler
from gen_distributions import normal
from gen_dml import gen, param

NUM_THREADS = 10
NUM_RUNS = 1000


@gen
def inner(owner: int) -> int:
    normal(float(owner), 1.0) @ "z"
    return owner


@gen
def model(owner: int) -> int:
    normal(float(owner), 1.0) @ ("x", owner)
    found = inner(owner) @ "inner"
    normal(float(owner), 1.0) @ "y"
    return found


@gen
def fails(owner: int) -> None:
    normal(0.0, 1.0) @ "x"
    raise KeyError(owner)


def in_threads(work: Callable[[int], object]) -> None:
    """Run `work` with each thread's number, all starting at once; raise what it raises."""
    start = threading.Barrier(NUM_THREADS)

    def run(owner: int) -> object:
        start.wait()
        return work(owner)

    with ThreadPoolExecutor(NUM_THREADS) as pool:
        for future in [pool.submit(run, owner) for owner in range(NUM_THREADS)]:
            future.result()


@pytest.mark.slow
def test_many_runs_in_many_threads_keep_to_themselves() -> None:
    def work(owner: int) -> None:
        for _ in range(NUM_RUNS):
            trace = model.simulate(owner)
            assert trace.retval == owner
            assert trace.choices.keys() == [("x", owner), ("inner", "z"), "y"]
            assert current_handler() is None

    in_threads(work)


def test_edits_in_many_threads_share_one_trace() -> None:
    shared = model.simulate(3)
    choices = shared.choices
    score = shared.score.clone()

    def work(owner: int) -> None:
        for _ in range(50):
            updated = shared.update({"y": float(owner)})
            assert updated.trace["y"] == owner
            assert torch.isclose(updated.weight, updated.trace.score - score)
            assert shared.regenerate(select("inner")).trace["y"] == shared["y"]

    in_threads(work)

    assert shared.choices == choices and shared.score == score


def test_errors_in_threads_leave_no_handler() -> None:
    def work(owner: int) -> None:
        for _ in range(50):
            with pytest.raises(KeyError) as caught:
                fails.simulate(owner)
            assert caught.value.args == (owner,)
            assert current_handler() is None
            assert model.simulate(owner).retval == owner

    in_threads(work)


def test_a_thread_started_by_a_model_is_outside_of_it() -> None:
    raised: list[BaseException] = []

    @gen
    def starts_a_thread() -> None:
        def visit() -> None:
            try:
                normal(0.0, 1.0) @ "x"
            except OutsideModelError as error:
                raised.append(error)

        thread = threading.Thread(target=visit)
        thread.start()
        thread.join()

    trace: Trace[None] = starts_a_thread.simulate()

    assert len(raised) == 1
    assert len(trace.choices) == 0


def test_tasks_of_one_thread_keep_to_themselves() -> None:
    async def run(owner: int) -> int:
        await asyncio.sleep(0)
        return model.simulate(owner).retval

    async def gather() -> list[int]:
        return await asyncio.gather(*map(run, range(20)))

    assert asyncio.run(gather()) == list(range(20))


def test_a_parameter_is_made_once_by_many_threads() -> None:
    made: list[int] = []

    def init() -> float:
        made.append(1)
        return 0.5

    @gen
    def parametric() -> Tensor:
        return normal(param("mean", init), 1.0) @ "x"

    in_threads(lambda owner: parametric.simulate())

    assert len(made) == 1
    assert len(parametric.params) == 1

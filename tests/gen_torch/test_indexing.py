"""Indexing by a choice, in programs that are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from gen_core import batch
from gen_distributions import categorical, normal
from gen_dml import gen
from gen_torch import jit, scan

TABLE = torch.arange(24.0).reshape(2, 3, 4)
TRANSITION = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
MEANS = torch.tensor([-1.0, 1.0])


@gen
def states() -> Tensor:
    """Two hidden states, and what is seen of the last."""
    first = categorical(MEANS.new_tensor([0.5, 0.5])) @ "first"
    second = categorical(TRANSITION[first]) @ "second"
    return normal(MEANS[second], 1.0) @ "seen"


INDICES: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "one": lambda i, j: TABLE[i],
    "from the end": lambda i, j: TABLE[i - 2],
    "two": lambda i, j: TABLE[i, j],
    "around a slice": lambda i, j: TABLE[i, :, j],
    "after a slice": lambda i, j: TABLE[:, j],
    "beside a number": lambda i, j: TABLE[1, j],
    "after dots": lambda i, j: TABLE[i][..., 1],
}


@pytest.mark.parametrize("backend", ["graph", "inductor"])
@pytest.mark.parametrize("index", INDICES)
def test_a_tensor_of_one_integer_indexes_as_the_number_does(index: str, backend: Any) -> None:
    program = jit(INDICES[index], backend=backend)
    for i, j in [(0, 2), (1, 0)]:
        expected = INDICES[index](torch.tensor(i), torch.tensor(j))

        assert torch.equal(program(torch.tensor(i), torch.tensor(j)), expected)


def test_an_index_that_is_out_of_range_is_an_error() -> None:
    program = jit(lambda i: TABLE[i], backend="graph")

    with pytest.raises((IndexError, RuntimeError), match="out of"):
        program(torch.tensor(7))


def test_a_model_that_indexes_by_its_choices_is_staged() -> None:
    def scored() -> tuple[Tensor, Tensor]:
        trace = states.simulate()
        return trace.score, trace.retval

    torch.manual_seed(0)
    expected = scored()
    torch.manual_seed(0)
    found = jit(scored, backend="graph")()

    torch.testing.assert_close(found, expected)


def test_a_batch_that_indexes_by_its_choices_is_staged() -> None:
    def scores(start: Tensor) -> Tensor:
        weights: Tensor = batch(lambda x: states.generate({"seen": x}).weight)(start)
        return weights

    assert torch.isfinite(jit(scores, backend="graph")(torch.zeros(3))).all()


def test_a_loop_that_indexes_by_its_state_is_staged() -> None:
    def path(start: Tensor) -> Tensor:
        def step(state: Tensor, _: None) -> tuple[Tensor, Tensor]:
            following = 1 - state
            return following, TRANSITION[state, following]

        return scan(step, start, None, length=3)[1]

    start = torch.tensor(0)
    torch.testing.assert_close(jit(path)(start), path(start))

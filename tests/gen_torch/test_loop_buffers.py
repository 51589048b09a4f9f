"""Compiled loops allocate before they begin, and compute what they compute eagerly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from gen_core import batch
from gen_torch import cpp_wrapper, jit, scan
from gen_torch.backends import _has_compiler
from gen_torch.loop_buffers import with_buffers_before_loops

XS = torch.linspace(-1.0, 1.0, 21).reshape(7, 3)
SHIFT = torch.tensor([0.1, 0.2, 0.3])

needs_compiler = pytest.mark.skipif(not _has_compiler("cpu"), reason="needs a C++ compiler")


def decays(carry: Any, x: Tensor) -> Any:
    """Reduce, and hand out what is carried as well."""
    level, velocity = carry
    level = 0.5 * level + x.sum() * velocity
    return (level, velocity + 0.1 * level.sin().mean()), (level, velocity.exp())


def exchanges(carry: Any, x: Tensor) -> Any:
    """Hand tensors on from one place of the carry to the next."""
    first, second, third = carry
    return (second, third, first + x), first - third


def stays(carry: Any, x: Tensor) -> Any:
    """Leave a part of the carry as it is, and hand out nothing of it."""
    kept, moved = carry
    return (kept, moved * kept + x), moved.sum()


def views(carry: Tensor, x: Tensor) -> Any:
    """Carry rows of one stack, of which each step reads single ones."""
    first, second, third = carry.unbind()
    return torch.stack([second + x, third * first.cos(), first - SHIFT]), third[1:].sum()


def counts(carry: Any, x: Tensor) -> Any:
    """Carry whole numbers and truth values."""
    number, was_positive = carry
    return (number + (x > 0).sum(), (x.sum() > 0) ^ was_positive), number * 2


def multiplies(carry: Tensor, x: Tensor) -> Any:
    """Call what Inductor does not write itself."""
    return (carry @ carry.mT).tanh() + x, carry.diagonal()


def nests(carry: Tensor, x: Tensor) -> Any:
    """Loop within a loop."""
    inner, sums = scan(lambda now, y: (now.sin() + y, now.sum()), carry, XS)
    return inner + x, sums


def spreads(carry: Tensor, x: Tensor) -> Any:
    """Carry more than is kept for a whole loop."""
    return carry.sin() + x.sum(), carry.amax()


BODIES: list[tuple[Callable[..., Any], Any]] = [
    (decays, (torch.ones(4), torch.tensor(0.5))),
    (exchanges, (torch.zeros(3), torch.ones(3), torch.full((3,), 2.0))),
    (stays, (torch.full((3,), 0.5), torch.zeros(3))),
    (views, torch.arange(9.0).reshape(3, 3)),
    (counts, (torch.tensor(3), torch.tensor(True))),
    (multiplies, torch.eye(3)),
    (nests, torch.zeros(3)),
    (spreads, torch.zeros(200_000)),
]


@needs_compiler
@pytest.mark.parametrize(("body", "init"), BODIES, ids=[body.__name__ for body, _ in BODIES])
@pytest.mark.parametrize("num_steps", [1, 6])
def test_a_compiled_loop_computes_what_its_steps_do(
    body: Callable[..., Any], init: Any, num_steps: int
) -> None:
    program = jit(lambda init, xs: scan(body, init, xs), backend="inductor")
    for start in (XS[:num_steps], XS[:num_steps].flip(0)):
        expected = scan(body, init, start.clone())

        found = program(init, start.clone())

        torch.testing.assert_close(found, expected)


@needs_compiler
def test_what_a_loop_returns_does_not_change_in_the_next_call() -> None:
    program = jit(lambda init, xs: scan(decays, init, xs), backend="inductor")
    first = program((torch.ones(4), torch.tensor(0.5)), XS)
    kept = [tensor.clone() for tensor in (*first[0], *first[1])]

    program(first[0], XS)

    torch.testing.assert_close([*first[0], *first[1]], kept)


@needs_compiler
def test_a_loop_allocates_before_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str]] = []

    def noted(code: str) -> str:
        seen.append((code, with_buffers_before_loops(code)))
        return seen[-1][1]

    monkeypatch.setattr(cpp_wrapper, "with_buffers_before_loops", noted)
    with torch._inductor.config.patch(force_disable_caches=True):
        jit(lambda init, xs: scan(decays, init, xs), backend="inductor")(
            (torch.ones(4), torch.tensor(0.5)), XS
        )

    ((before, after),) = seen
    assert "empty_strided" in before.partition("while (1)")[2]
    assert "empty_strided" not in after.partition("while (1)")[2]


@needs_compiler
def test_a_batch_of_loops_allocates_before_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str]] = []

    def noted(code: str) -> str:
        seen.append((code, with_buffers_before_loops(code)))
        return seen[-1][1]

    def run(xs: Tensor) -> Any:
        return scan(lambda carry, x: (x.clone(), (x - carry).square()), torch.zeros(()), xs)

    monkeypatch.setattr(cpp_wrapper, "with_buffers_before_loops", noted)
    with torch._inductor.config.patch(force_disable_caches=True):
        found = jit(batch(run, 1), backend="inductor")(XS.mT)

    ((before, after),) = seen
    # The next carry and a row of results come from one handle, of which another is made.
    assert "aoti_torch_new_tensor_handle" in before
    assert "empty_strided" not in after.partition("while (1)")[2]
    torch.testing.assert_close(found, batch(run, 1)(XS.mT))


@pytest.mark.parametrize("line", ["aoti_torch_cpu_mm_out(out, a, b);", "x.reset(); y.reset();", "throw 1;"])
def test_a_loop_with_a_line_that_is_not_known_stays(line: str) -> None:
    code = f"begin();\nwhile (1) {{\n    if (!more) break;\n    {line}\n}}\nend();"

    assert with_buffers_before_loops(code) == code

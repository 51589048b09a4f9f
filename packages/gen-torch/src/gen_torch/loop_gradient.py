"""Gradients through a loop: a loop back that computes the vector-Jacobian product of each step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn, final

import torch
from torch import Tensor
from torch._C._functorch import _wrap_for_grad
from torch._functorch.utils import enable_single_level_autograd_function
from torch.autograd.function import _SingleLevelFunction
from torch.fx.experimental.proxy_tensor import disable_proxy_modes_tracing

from gen_core import GradientError
from gen_torch.layers import at, batch_sizes, differentiable_at, down_to, unwrapped, wrapped
from gen_torch.loop_graphs import Subgraph, outputs_of, run_loop, subgraph, unaliased
from gen_torch.loop_split import split
from gen_torch.loop_step import Kind, Look, Step


@final
class DifferentiableLoop:
    """A loop that has run, and the loop back, for gradients at one layer.

    Args:
        step: What is repeated.
        kinds: Of the carry and the columns.
        look: What a step does.
        starts: The first carry, as physical tensors.
        columns: The columns, as physical tensors.
    """

    def __init__(
        self,
        step: Step,
        kinds: Sequence[Kind],
        look: Look,
        starts: Sequence[Tensor],
        columns: Sequence[Tensor],
    ) -> None:
        assert step.layer is not None
        self._layer = step.layer
        self._around = sorted(batch for batch in batch_sizes() if batch < step.layer)
        self._size = step.size
        self._kinds = kinds
        self._outcomes = look.kinds
        self._starts, self._columns = starts, columns
        self._varying = [i for i, kind in enumerate(look.kinds) if kind.is_variable]
        like = outputs_of(look.sub.graph)
        with disable_proxy_modes_tracing():
            incoming = [torch.empty_like(like[i].meta["val"]) for i in self._varying]
        with down_to(0):
            first = [column[0] for column in columns]
        self._joint = step.joint(kinds, look.kinds, [*starts, *first, *incoming])
        captured = self._joint.sub.captured
        self._parts = split(self._joint.sub.graph, step.size, len(kinds), len(look.kinds), len(captured))
        results = run_loop(Subgraph(self._parts.forward, captured), starts, columns)
        self._outputs, self._kept = results[: len(look.kinds)], results[len(look.kinds) :]

    def outputs(self, carry: Sequence[Tensor], columns: Sequence[Tensor]) -> list[Tensor]:
        """Return the outputs, differentiable in the carry, the columns and what the step captured."""
        operands = self._operands(carry, columns)
        inner = [wrapped(self._outputs[i], self._around, self._dim(i)) for i in self._varying]
        tied = iter(_tied(self._layer, operands, inner, lambda gradients: self._back(operands, gradients)))
        found = []
        for i, (output, kind) in enumerate(zip(self._outputs, self._outcomes, strict=True)):
            if kind.is_variable:
                above = [batch for batch in kind.batches if batch > self._layer]
                found.append(wrapped(next(tied), above, self._dim(i)))
            else:
                found.append(wrapped(output, sorted(kind.batches), self._dim(i)))
        return found

    def _operands(self, carry: Sequence[Tensor], columns: Sequence[Tensor]) -> list[Tensor]:
        given = [
            unwrapped(tensor, self._layer, sorted(kind.batches), self._dim(i))
            for i, (tensor, kind) in enumerate(zip((*carry, *columns), self._kinds, strict=True))
            if kind.is_variable
        ]
        with down_to(self._layer):
            # An operation, so that a loop around this one sees what this one captures.
            return [tensor.view_as(tensor) for tensor in (*given, *self._joint.captured)]

    def _back(self, operands: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> list[Tensor]:
        """Return the gradients in the operands."""
        if set(batch_sizes()) - set(self._around):
            raise GradientError(
                "Gradients through a staged loop cannot be taken for many results at once, as by "
                "torch.func.jacrev. Use torch.func.jacfwd, or a batch of gradients."
            )
        incoming = []
        for i, gradient in zip(self._varying, gradients, strict=True):
            if gradient is None:
                with down_to(0):
                    incoming.append(torch.zeros_like(self._outputs[i]))
            else:
                physical = unwrapped(gradient, 0, self._around, self._dim(i))
                with down_to(0):
                    incoming.append(physical.detach())
        dims = [self._dim(i) for i, kind in enumerate(self._kinds) if kind.is_variable]
        dims += [0] * len(self._joint.captured)
        results = self._loop_back(incoming)
        between = 0
        for layer, sources in self._second(operands, gradients).items():
            inside = [batch for batch in self._around if between < batch < layer]
            results = [wrapped(result, inside, dim) for result, dim in zip(results, dims, strict=True)]
            results = _tied(layer, sources, results, _refuse)
            between = layer
        inside = [batch for batch in self._around if between < batch]
        return [wrapped(result, inside, dim) for result, dim in zip(results, dims, strict=True)]

    def _loop_back(self, incoming: Sequence[Tensor]) -> list[Tensor]:
        """Return the gradients in the operands, as physical tensors."""
        carried = [i for i in range(self._size) if self._kinds[i].is_variable]
        num_varying = sum(i < self._size for i in self._varying)
        given = dict(zip(self._varying, incoming[:num_varying], strict=False))
        num_kept, num_columns = len(self._kept), len(self._columns)
        captured, backward = self._joint.sub.captured, self._parts.backward

        def step_back(*tensors: Tensor) -> list[Tensor]:
            state = dict(zip(carried, tensors, strict=False))
            sums = tensors[len(carried) : num_states]
            rows = tensors[num_states : num_states + num_kept + num_columns]
            own = tensors[num_states + num_kept + num_columns :]
            into = [state[i] for i in self._varying if i < self._size]
            found = backward(*rows, *into, *own, *captured)
            new = found[len(found) - len(sums) :]
            added = [total + gradient for total, gradient in zip(sums, new, strict=True)]
            states = [state.contiguous() for state in (*found[: len(carried)], *added)]
            return [*states, *found[len(carried) : len(found) - len(sums)]]

        with down_to(0):
            states = [given[i] if i in given else torch.zeros_like(self._starts[i]) for i in carried]
            states += [torch.zeros(like.shape, dtype=like.dtype, device=like.device) for like in self._like_captured()]
            num_states = len(states)
            columns = [*self._kept, *self._columns, *incoming[num_varying:]]
            columns = [torch.flip(column, [0]) for column in columns]
            sub = subgraph(step_back, [*states, *(column[0] for column in columns)])
            found = run_loop(sub, unaliased([state.contiguous() for state in states], ()), columns)
            return [*found[:len(carried)], *(torch.flip(column, [0]) for column in found[num_states:]), *found[len(carried):num_states]]

    def _like_captured(self) -> list[Tensor]:
        """Return stand-ins for the gradients in what the step captured."""
        size = len(self._joint.captured)
        outputs = outputs_of(self._parts.backward)
        return [node.meta["val"] for node in outputs[len(outputs) - size :]]

    def _second(
        self, operands: Sequence[Tensor], gradients: Sequence[Tensor | None]
    ) -> dict[int, list[Tensor]]:
        """Return where a second derivative may be asked for, and in what."""
        sources = [gradient for gradient in gradients if gradient is not None]
        if self._layer == 0:
            sources += operands
        found: dict[int, list[Tensor]] = {}
        for source in sources:
            for layer in differentiable_at(source):
                if layer < self._layer or layer == 0:
                    found.setdefault(layer, []).append(at(source, layer))
        return dict(sorted(found.items()))

    def _dim(self, i: int) -> int:
        """Return where the batches are in a tensor of the carry, or in one that has the steps in front."""
        return 0 if i < self._size else 1


def _tied(
    layer: int,
    operands: Sequence[Tensor],
    outputs: Sequence[Tensor],
    back: Callable[[Sequence[Tensor | None]], Sequence[Tensor]],
) -> list[Tensor]:
    """Return outputs, at a layer, as functions of the operands with gradients that `back` computes."""

    class Loop(_SingleLevelFunction):
        @staticmethod
        def forward(ctx: Any, *_: Tensor) -> tuple[Tensor, ...]:
            ctx.set_materialize_grads(False)
            return tuple(_wrap_for_grad(output, layer) if layer else output for output in outputs)

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor, ...]:
            return tuple(back(gradients))

    with down_to(layer), enable_single_level_autograd_function():
        return list(Loop.apply(*operands))


def _refuse(gradients: Sequence[Tensor | None]) -> NoReturn:
    raise GradientError(
        "A staged loop has no second derivative through autograd.grad(..., create_graph=True). Nest "
        "torch.func.grad, for which the loop is unrolled, or run it without jit."
    )

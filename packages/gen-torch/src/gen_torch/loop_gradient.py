"""Gradients through a loop: its outputs as a function of autograd, whose gradients a loop back computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, NoReturn, final

import torch
from torch import Tensor
from torch._C._functorch import _wrap_for_grad, is_legacy_batchedtensor
from torch._functorch.utils import enable_single_level_autograd_function
from torch.autograd.function import _SingleLevelFunction
from torch.fx.experimental.proxy_tensor import disable_proxy_modes_tracing

from gen_core import GradientError
from gen_torch.layers import batch_sizes, differentiable_at, down_to, unwrapped, wrapped
from gen_torch.loop_back import LoopBack, Scan
from gen_torch.loop_graphs import Subgraph, outputs_of, run_loop
from gen_torch.loop_split import split
from gen_torch.loop_step import Kind, Look, Step
from gen_torch.staging import staging


@final
class DifferentiableLoop:
    """A loop that has run, and the loop back, for gradients at one layer.

    Args:
        step: What is repeated.
        kinds: Of the carry and the columns.
        look: What a step does.
        starts: The first carry, as physical tensors.
        columns: The columns, as physical tensors.
        scan: How to run the loop back.
    """

    def __init__(
        self,
        step: Step,
        kinds: Sequence[Kind],
        look: Look,
        starts: Sequence[Tensor],
        columns: Sequence[Tensor],
        scan: Scan,
    ) -> None:
        assert step.layer is not None
        self._layer = step.layer
        self._around = sorted(batch for batch in batch_sizes() if batch < step.layer)
        self._size = len(starts)
        self._kinds, self._outcomes = kinds, look.kinds
        varying = [i for i, kind in enumerate(look.kinds) if kind.is_variable]
        like = outputs_of(look.sub.graph)
        with disable_proxy_modes_tracing():
            incoming = [torch.empty_like(like[i].meta["val"]) for i in varying]
        with down_to(0):
            first = [column[0] for column in columns]
        joint = step.joint(kinds, look.kinds, [*starts, *first, *incoming])
        parts = split(joint.sub.graph, self._size, kinds, look.kinds, len(joint.sub.captured))
        results = run_loop(Subgraph(parts.forward, joint.sub.captured), starts, columns)
        outputs, kept = results[: len(look.kinds)], results[len(look.kinds) :]
        carried = [i for i, kind in enumerate(kinds[: self._size]) if kind.is_variable]
        self._captured = joint.captured
        self._back = LoopBack(
            scan, parts, joint.sub.captured, kept, columns, starts, outputs, varying, carried
        )

    def outputs(self, carry: Sequence[Tensor], columns: Sequence[Tensor]) -> list[Tensor]:
        """Return the outputs, differentiable in the carry, the columns and what the step captured."""
        operands = self._operands(carry, columns)
        found = self._back.outputs
        inner = [wrapped(found[i], self._around, self._dim(i)) for i in self._back.varying]
        tied = iter(_tied(self._layer, operands, inner, lambda given: self._gradients(operands, given)))
        return [
            wrapped(next(tied), [batch for batch in kind.batches if batch > self._layer], self._dim(i))
            if kind.is_variable
            else wrapped(found[i], sorted(kind.batches), self._dim(i))
            for i, kind in enumerate(self._outcomes)
        ]

    def _operands(self, carry: Sequence[Tensor], columns: Sequence[Tensor]) -> list[Tensor]:
        given = [
            unwrapped(tensor, self._layer, sorted(kind.batches), self._dim(i))
            for i, (tensor, kind) in enumerate(zip((*carry, *columns), self._kinds, strict=True))
            if kind.is_variable
        ]
        with down_to(self._layer):
            # An operation, so that a loop around this one sees what this one captures.
            return [tensor.view_as(tensor) for tensor in (*given, *self._captured)]

    def _gradients(self, operands: Sequence[Tensor], given: Sequence[Tensor | None]) -> list[Tensor]:
        """Return the gradients in the operands."""
        incoming = {
            i: gradient for i, gradient in zip(self._back.varying, given, strict=True) if gradient is not None
        }
        layer = self._layer_of_further_gradients(list(incoming.values()))
        # Those that ask for gradients of many results at once, as torch.func.jacrev.
        added = sorted(set(batch_sizes()) - set(self._around))
        if any(map(is_legacy_batchedtensor, incoming.values())) or (added and self._back.has_loops):
            raise GradientError(
                "Gradients of many results at once, as by torch.func.jacrev or is_grads_batched, cannot be "
                "staged through this loop. Use torch.func.jacfwd, take them singly, or run it without jit."
            )
        inside = [*self._around, *added]
        physical = {i: unwrapped(gradient, layer, inside, self._dim(i)) for i, gradient in incoming.items()}
        dims = [self._dim(i) for i, kind in enumerate(self._kinds) if kind.is_variable]
        dims += [0] * len(self._captured)

        def run(*gradients: Tensor) -> tuple[Tensor, ...]:
            return tuple(self._back.gradients(dict(zip(incoming, gradients, strict=True))))

        for _ in added:
            places = tuple(len(self._around) + self._dim(i) for i in incoming)
            run = torch.func.vmap(run, places, tuple(len(self._around) + dim for dim in dims))
        with down_to(layer), staging(), nullcontext() if self._layer else torch.no_grad():
            results = list(run(*physical.values()))
        if self._layer == 0 and torch.is_grad_enabled():
            results = _tied(0, [*operands, *physical.values()], results, _refuse)
        return [wrapped(result, inside, dim) for result, dim in zip(results, dims, strict=True)]

    def _layer_of_further_gradients(self, gradients: Sequence[Tensor]) -> int:
        """Return a layer below this one at which the gradients are to be differentiated again, or 0.

        They are linear in what is given, and known to depend on nothing else there.
        """
        layers = {layer for gradient in gradients for layer in differentiable_at(gradient)}
        below = {layer for layer in layers if layer < self._layer}
        layer = max(below, default=0)
        if len(below) > 1 or any(batch < layer for batch in self._around):
            _refuse(gradients)
        return layer

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
        return list(Loop.apply(*operands))  # type: ignore[attr-defined]


def _refuse(_: Sequence[Tensor | None]) -> NoReturn:
    raise GradientError(
        "A staged loop has no second derivative of this kind, as by autograd.grad(..., create_graph=True). "
        "Nest torch.func.grad directly, for which the loop is unrolled, or run it without jit."
    )

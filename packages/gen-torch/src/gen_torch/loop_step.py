"""One step of a scan, staged within the batches and gradients that are running.

What a batch or a gradient makes of an operation is in the graph of the step already, which is one of
physical tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from gen_core.layout import in_row_major_order
from gen_core.structure import Structure, put_together, take_apart
from gen_torch.layers import at, batch_sizes, batches_of, differentiable_at, down_to, leaf, unwrapped, wrapped
from gen_torch.loop_graphs import Subgraph, subgraph
from gen_torch.severed import Severed


class Kind(NamedTuple):
    """What a tensor of a step is, beside its shape."""

    batches: frozenset[int]
    """The layers of the batches that its physical tensor has dimensions of."""
    is_variable: bool
    """Whether it is differentiated."""
    is_packed: bool = False
    """Whether its physical tensor is brought into row-major order."""

    def physical(self, tensor: Tensor, dim: int = 0) -> Tensor:
        """Return the physical tensor of one of this kind, with the dimensions of its batches at `dim`."""
        tensor = unwrapped(tensor, 0, sorted(self.batches), dim)
        with down_to(0):
            return in_row_major_order(tensor) if self.is_packed else tensor


class Look(NamedTuple):
    """What one step does."""

    sub: Subgraph
    """From the carry and a row of each column to the next carry and the `y`s."""
    structure: Structure
    kinds: list[Kind]
    """Of the outputs. What is carried has the batches that it has before or after the step."""
    layers: set[int]
    """Where something captured is differentiable."""
    is_closed: bool
    """Whether autograd leads from the outputs to known variables only."""


class Joint(NamedTuple):
    """A step with its vector-Jacobian product."""

    sub: Subgraph
    """From the inputs of the step and a gradient for each variable output to the outputs, then gradients in
    the variables among the inputs and in `captured`."""
    captured: list[Tensor]
    """The variables from outside, as they are at the layer."""


@final
class Step:
    """A step of which inputs have known kinds.

    Args:
        function: From the carry and a row to the next carry and `y`.
        carry: The structure of the carry.
        row: That of a row.
        size: The number of tensors in the carry.
        layer: Where gradients flow, if they do.
    """

    def __init__(
        self, function: Callable[..., Any], carry: Structure, row: Structure, size: int, layer: int | None
    ) -> None:
        self.layer = layer
        self.size = size
        self._function = function
        self._carry = carry
        self._row = row

    def kind(self, tensor: Tensor) -> Kind:
        """Return the kind of a tensor. Gradients may differ in every batch around them."""
        is_variable = self.layer is not None and self.layer in differentiable_at(tensor)
        return Kind(frozenset(batches_of(tensor) | self._around(is_variable)), is_variable)

    def look(self, kinds: Sequence[Kind], examples: Sequence[Tensor]) -> Look:
        """Stage the step without gradients."""
        found: list[tuple[Structure, list[Kind], set[int], bool]] = []

        def body(*physical: Tensor) -> list[Tensor]:
            inputs, variables = self._enter(physical, kinds)
            outputs, structure, severed = self._run(inputs)
            own = [self.kind(output) for output in outputs]
            carried = [
                Kind(kind.batches | before.batches, kind.is_variable, before.is_packed)
                for kind, before in zip(own, kinds[: self.size], strict=False)
            ]
            merged = [*carried, *own[self.size :]]
            others = {layer for output in outputs for layer in differentiable_at(output)} - {self.layer}
            is_closed = not others and self._is_closed(outputs, [*variables, *severed.variables], severed)
            found.append((structure, merged, severed.layers, is_closed))
            return [kind.physical(output) for output, kind in zip(outputs, merged, strict=True)]

        sub = subgraph(body, examples)
        return Look(sub, *found[-1])

    def joint(self, kinds: Sequence[Kind], outcomes: Sequence[Kind], examples: Sequence[Tensor]) -> Joint:
        """Stage the step with gradients.

        Args:
            kinds: Of the inputs.
            outcomes: Of the outputs.
            examples: Physical tensors like the inputs, then like the outputs that are variables.
        """
        layer = self.layer
        assert layer is not None
        above, around = self._above, sorted(self._around(True))
        captured: list[list[Tensor]] = []

        def body(*physical: Tensor) -> list[Tensor]:
            inputs, variables = self._enter(physical[: len(kinds)], kinds)
            outputs, _, severed = self._run(inputs)
            captured.append(severed.captured)
            varying = [
                unwrapped(output, layer, above(kind))
                for output, kind in zip(outputs, outcomes, strict=True)
                if kind.is_variable
            ]
            with down_to(layer):
                gradients = torch.autograd.grad(
                    varying,
                    [*variables, *severed.variables],
                    [wrapped(incoming, around) for incoming in physical[len(kinds) :]],
                    allow_unused=True,
                    materialize_grads=True,
                )
                found = [unwrapped(gradient, 0, around) for gradient in gradients]
            results = [kind.physical(output) for output, kind in zip(outputs, outcomes, strict=True)]
            return [*results, *found]

        sub = subgraph(body, examples)
        return Joint(sub, captured[-1])

    def _above(self, kind: Kind) -> list[int]:
        return sorted(batch for batch in kind.batches if self.layer is None or batch > self.layer)

    def _around(self, is_variable: bool) -> set[int]:
        """Return the batches around the gradient."""
        return {batch for batch in batch_sizes() if is_variable and batch < (self.layer or 0)}

    def _enter(self, physical: Sequence[Tensor], kinds: Sequence[Kind]) -> tuple[list[Tensor], list[Tensor]]:
        """Return inputs as the step gets them, and those that are variables as they are at the layer."""
        inputs, variables = [], []
        for tensor, kind in zip(physical, kinds, strict=True):
            if kind.is_variable:
                assert self.layer is not None
                tensor = leaf(wrapped(tensor, sorted(self._around(True))), self.layer)
                variables.append(tensor)
                inputs.append(wrapped(tensor, self._above(kind)))
            else:
                inputs.append(wrapped(tensor, sorted(kind.batches)))
        return inputs, variables

    def _run(self, inputs: Sequence[Tensor]) -> tuple[list[Tensor], Structure, Severed]:
        carry = put_together(inputs[: self.size], self._carry)
        row = put_together(inputs[self.size :], self._row)
        with Severed(self.layer) as severed:
            outputs, structure = take_apart(self._function(carry, row), once=False)
        return [severed.of(output) for output in outputs], structure, severed

    def _is_closed(self, outputs: Sequence[Tensor], known: Sequence[Tensor], severed: Severed) -> bool:
        """Return whether no path of autograd leads outside."""
        if self.layer is None:
            return True
        inner = [at(output, self.layer) for output in outputs]
        left = [tensor.grad_fn for tensor in inner if tensor.grad_fn is not None]
        seen: set[Any] = set()
        while left:
            node = left.pop()
            if node in seen:
                continue
            seen.add(node)
            variable: Tensor | None = getattr(node, "variable", None)
            is_known = any(variable is one for one in known)
            if not (is_known or variable is None or severed.is_from_within(variable)):
                return False
            left += [following for following, _ in node.next_functions if following is not None]
        return True

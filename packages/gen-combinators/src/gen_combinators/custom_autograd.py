"""Hand-written gradients as a function of autograd, which vmap and the transforms of torch.func accept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, final

import torch
from torch import Tensor

from gen_combinators.errors import CustomRetvalError
from gen_core import Call, GradientError
from gen_core.readable import transforms_are_active
from gen_core.structure import Inner, Opaque, assemble, one_level, put_together, take_apart

if TYPE_CHECKING:
    from gen_combinators.custom_gradient import CustomGradient
    from gen_core.structure import Structure

R = TypeVar("R")


def with_hand_written_gradient(
    gen_fn: CustomGradient[..., R, Any], execute: Callable[[Call[Any]], tuple[R, Any]], call: Call[Any]
) -> tuple[R, Any]:
    """Return what `execute(call)` does, the value with the gradient that `gen_fn` writes.

    Raises:
        GradientError: `execute` used something that requires a gradient and is no argument.
    """
    tensors, structure = take_apart((call.args, dict(call.kwargs)), once=False)
    plan = _Plan(gen_fn, execute, structure)
    outputs = _HandWritten.apply(plan, *tensors)  # type: ignore[no-untyped-call]
    value, state = put_together(outputs[: plan.num_values], plan.value), outputs[plan.num_values :]
    return value, put_together([tensor.detach() for tensor in state], plan.state)


@final
class _Plan:
    """What surrounds the tensors: how to go from those of the arguments to those of the value and back."""

    def __init__(
        self,
        gen_fn: CustomGradient[..., Any, Any],
        execute: Callable[[Call[Any]], tuple[Any, Any]],
        arguments: Structure,
    ) -> None:
        self.gen_fn = gen_fn
        self.execute = execute
        self.arguments = arguments
        self.value: Structure = Opaque(None)
        self.state: Structure = Opaque(None)
        self.num_values = 0

    def forward(self, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the tensors of the value, then those of the state."""
        if transforms_are_active():
            value, state = self.execute(self._call(tensors))
        else:
            with torch.enable_grad():  # to see whether anything but the arguments has a gradient
                value, state = self.execute(self._call([tensor.detach() for tensor in tensors]))
        found, self.value = take_apart(value, once=False)
        kept, self.state = take_apart(state, once=False)
        self.num_values = len(found)
        if not transforms_are_active() and any(tensor.requires_grad for tensor in found):
            raise GradientError(
                f"{self.gen_fn.name} has a hand-written gradient, which speaks of its arguments, but "
                f"`execute` uses trainable parameters too. Make them arguments, or leave the gradient to "
                f"autograd."
            )
        # Views: autograd must not take an argument that is handed through for its output.
        return tuple([tensor.view_as(tensor) for tensor in (*found, *kept)])

    def backward(self, saved: Sequence[Tensor], retgrads: Sequence[Tensor | None]) -> list[Tensor | None]:
        """Return the gradient in each tensor of the arguments."""
        num_tensors = len(saved) - len(retgrads)
        tensors, outputs = saved[:num_tensors], saved[num_tensors:]
        call = self._call(tensors)
        value = put_together(outputs[: self.num_values], self.value)
        state = put_together(outputs[self.num_values :], self.state)
        retgrad = _retgrad(self.value, outputs, retgrads)
        gradients: Any = self.gen_fn.gradient(call.values(), value, retgrad, state)
        if not isinstance(gradients, Sequence) or len(gradients) != len(call.values()):
            expected = f"a sequence of {len(call.values())} gradients, one for each argument"
            raise CustomRetvalError(self.gen_fn.name, "gradient", expected, gradients)
        found: list[Tensor | None] = [None] * num_tensors
        args, kwargs = self._argument_structures()
        for structure, gradient in zip((*args, *kwargs), gradients, strict=True):
            self._place(structure, gradient, tensors, found)
        return found

    def _call(self, tensors: Sequence[Tensor]) -> Call[Any]:
        args, kwargs = put_together(tensors, self.arguments)
        return Call(self.gen_fn, args, kwargs)

    def _argument_structures(self) -> tuple[Sequence[Structure], Sequence[Structure]]:
        assert isinstance(self.arguments, Inner)
        args, kwargs = self.arguments.parts
        assert isinstance(args, Inner) and isinstance(kwargs, Inner)
        return args.parts, kwargs.parts

    def _place(
        self, structure: Structure, gradient: Any, tensors: Sequence[Tensor], found: list[Tensor | None]
    ) -> None:
        """Put the gradient of one argument, or of a part of it, in the places of its tensors."""
        if gradient is None or isinstance(structure, Opaque):
            return
        if isinstance(structure, int):
            found[structure] = self._checked(gradient, tensors[structure])
            return
        _, parts = one_level(gradient)
        if len(parts) != len(structure.parts):
            raise GradientError(
                f"The gradient that {self.gen_fn.name} returned for a {structure.kind.__name__} has "
                f"{len(parts)} parts, and the argument has {len(structure.parts)}."
            )
        for below, part in zip(structure.parts, parts, strict=True):
            self._place(below, part, tensors, found)

    def _checked(self, gradient: Any, tensor: Tensor) -> Tensor | None:
        if not tensor.is_floating_point():
            return None
        given = torch.as_tensor(gradient, dtype=tensor.dtype, device=tensor.device)
        if given.shape != tensor.shape:
            raise GradientError(
                f"The gradient that {self.gen_fn.name} returned for an argument of shape "
                f"{tuple(tensor.shape)} has shape {tuple(given.shape)}."
            )
        return given


def _retgrad(structure: Structure, values: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> Any:
    """Return the gradient in the structure of the value, None in place of what has no gradient."""
    if isinstance(structure, int):
        return gradients[structure] if values[structure].is_floating_point() else None
    if isinstance(structure, Opaque):
        return None
    return assemble(structure, [_retgrad(part, values, gradients) for part in structure.parts])


class _HandWritten(torch.autograd.Function):
    """The tensors of the arguments to those of the value and the state."""

    generate_vmap_rule = True

    @staticmethod
    def forward(plan: _Plan, *tensors: Tensor) -> tuple[Tensor, ...]:
        return plan.forward(tensors)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        plan, *tensors = inputs
        ctx.plan = plan
        ctx.save_for_backward(*tensors, *output)

    @staticmethod
    def backward(ctx: Any, *retgrads: Tensor | None) -> tuple[Tensor | None, ...]:
        return None, *ctx.plan.backward(ctx.saved_tensors, retgrads)

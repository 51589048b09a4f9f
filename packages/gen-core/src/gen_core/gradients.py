"""Gradients of a trace, derived by running the assess room under autograd."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gen_core import rooms
from gen_core.call import Call
from gen_core.choice import ChoiceTrace
from gen_core.choicemap import ChoiceMap
from gen_core.errors import GradientError
from gen_core.parts import children, is_persistent_sequence
from gen_core.readable import transforms_are_active
from gen_core.results import ArgGradients, ChoiceGradients
from gen_core.selection import Selection
from gen_core.trace import Trace


def choice_gradients(trace: Trace[Any], selection: Selection, retgrad: object) -> ChoiceGradients:
    """Return gradients of score + <retval, retgrad> in the arguments and the selected choices.

    A sampled choice is a constant of the run, and so is untraced randomness, which is drawn again
    where the body runs again.
    """
    values = trace.choices.filter(selection)
    leaves = _Leaves()
    values.map_whole(leaves.add)
    _refuse_discrete(trace, values)
    _map_call(leaves.add, trace.call)

    def objective(at: tuple[Tensor, ...]) -> Tensor:
        replaced = _Replaced(at)
        chosen = values.map_whole(replaced.next)
        call = _map_call(replaced.next, trace.call)
        return _objective(rooms.assess(call, _constants(trace.choices).override(chosen)), retgrad)

    gradients = _Replaced(leaves.gradients(objective))
    chosen = values.map_whole(gradients.next)
    return ChoiceGradients(_arg_gradients(trace.call, gradients), values, chosen)


def accumulate_param_gradients(trace: Trace[Any], retgrad: object, scale_factor: float) -> ArgGradients:
    """Add scale_factor * gradient of (score + <retval, retgrad>) to `.grad` of all parameters reached."""
    leaves = _Leaves()
    _map_call(leaves.add, trace.call)

    def objective(at: tuple[Tensor, ...]) -> Tensor:
        call = _map_call(_Replaced(at).next, trace.call)
        return _objective(rooms.assess(call, _constants(trace.choices)), retgrad)

    gradients = leaves.gradients(objective, scale_parameters=scale_factor)
    return _arg_gradients(trace.call, _Replaced(gradients))


class _Leaves:
    """The tensors to differentiate in: floating point tensors, and Python floats as tensors."""

    def __init__(self) -> None:
        self._tensors: list[Tensor] = []

    def add(self, value: object) -> object:
        """Add a value if it is one of these, and return it as a tensor; return others as they are."""
        if isinstance(value, float):
            tensor = torch.tensor(value)
        elif isinstance(value, Tensor) and value.is_floating_point():
            tensor = value.detach().clone()
        else:
            return value
        self._tensors.append(tensor)
        return tensor

    def gradients(
        self, objective: Callable[[tuple[Tensor, ...]], Tensor], *, scale_parameters: float | None = None
    ) -> tuple[Tensor, ...]:
        """Return the gradient of `objective` in every leaf, zeros where it is not reached.

        Args:
            objective: A function of the leaves.
            scale_parameters: If given, the scaled gradient goes to the parameters that are reached.
        """
        if scale_parameters is None and transforms_are_active():
            # Autograd has no leaves under vmap.
            found: tuple[Tensor, ...] = torch.func.grad(objective)(tuple(self._tensors))
            return found
        leaves = tuple([tensor.requires_grad_() for tensor in self._tensors])
        with torch.enable_grad():
            result = objective(leaves)
            found = _gradients(result, leaves, retain_graph=scale_parameters is not None)
            if scale_parameters is not None and result.requires_grad:
                (result * scale_parameters).backward()
        return found


class _Replaced:
    """Other tensors for the leaves of a value, in the order in which `_Leaves` got them."""

    def __init__(self, tensors: tuple[Tensor, ...]) -> None:
        self._tensors = iter(tensors)

    def next(self, value: object) -> object:
        """Return what replaces a leaf; return others as they are."""
        return next(self._tensors) if _is_float(value) else value

    def gradient(self, value: object) -> object:
        """Return the gradient in a leaf, None in others."""
        found = self.next(value)
        return None if found is value else found


def _gradients(result: Tensor, leaves: tuple[Tensor, ...], *, retain_graph: bool) -> tuple[Tensor, ...]:
    if not result.requires_grad or not leaves:
        return tuple(map(torch.zeros_like, leaves))
    return torch.autograd.grad(
        result, leaves, allow_unused=True, materialize_grads=True, retain_graph=retain_graph
    )


def _map_call(function: Callable[[object], object], call: Call[Any]) -> Call[Any]:
    args = tuple(_map(function, value) for value in call.args)
    kwargs = {name: _map(function, value) for name, value in call.kwargs.items()}
    return Call(call.gen_fn, args, kwargs)


def _constants(choices: ChoiceMap) -> ChoiceMap:
    return choices.map_whole(lambda value: value.detach() if isinstance(value, Tensor) else value)


def _refuse_discrete(trace: Trace[Any], values: ChoiceMap) -> None:
    for path in values.examples():
        if not _is_float(values[path]) or _is_discrete(trace.find(path)):
            raise GradientError(
                f"The choice at {path!r} of {trace.gen_fn.name} is discrete or not a tensor, so it has no "
                f"gradient. Leave it out of the selection."
            )


def _is_float(value: object) -> bool:
    return isinstance(value, float) or (isinstance(value, Tensor) and value.is_floating_point())


def _is_discrete(choice: Trace[Any] | None) -> bool:
    # Distributions of torch draw counts as floating point numbers.
    gen_fn: Any = choice.gen_fn if type(choice) is ChoiceTrace else None
    return gen_fn is not None and gen_fn.is_discrete


def _objective(trace: Trace[Any], retgrad: object) -> Tensor:
    if retgrad is None:
        return trace.score
    return trace.score + _inner(trace.retval, retgrad, trace.gen_fn.name)


def _inner(value: Any, gradient: Any, model: str) -> Tensor:
    """Return <value, gradient>, summed over tensors through tuples, lists, dicts and dataclasses."""
    if gradient is None:
        return torch.zeros(())
    if isinstance(value, Tensor):
        given = torch.as_tensor(gradient, dtype=value.dtype, device=value.device)
        if given.shape != value.shape:
            raise GradientError(
                f"Expected a retgrad of shape {tuple(value.shape)} for what {model} returns, "
                f"but got shape {tuple(given.shape)}."
            )
        return (value * given).sum()
    if is_persistent_sequence(value) and isinstance(gradient, Tensor):
        return _inner(value.stack(), gradient, model)
    if isinstance(value, float | int):
        raise GradientError(
            f"{model} returns a Python {type(value).__name__} where the retgrad has a gradient. Return a "
            f"tensor, or use None where there is no gradient."
        )
    parts, gradients = children(value), children(gradient)
    if parts is None or gradients is None or parts.keys() != gradients.keys():
        raise GradientError(
            f"Expected a retgrad in the structure of what {model} returns, {type(value).__name__}, "
            f"but got {type(gradient).__name__}. Use None where there is no gradient."
        )
    terms = [_inner(parts[key], gradients[key], model) for key in parts]
    return torch.stack([term.to(torch.float64) for term in terms]).sum() if terms else torch.zeros(())


def _arg_gradients(call: Call[Any], gradients: _Replaced) -> ArgGradients:
    found = _map_call(gradients.gradient, call)
    return ArgGradients(found.args, found.kwargs)


def _map(function: Callable[[object], object], value: Any) -> Any:
    """Apply `function` to the leaves of tuples, lists, dicts and dataclasses."""
    kind = type(value)
    if kind is tuple or kind is list or is_persistent_sequence(value):
        return kind(_map(function, part) for part in value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return kind(*(_map(function, part) for part in value))
    if kind is dict:
        return {key: _map(function, part) for key, part in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value,
            **{part.name: _map(function, getattr(value, part.name)) for part in fields(value) if part.init},
        )
    return function(value)

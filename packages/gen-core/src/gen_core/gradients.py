"""Gradients of a trace, derived by running the assess room under autograd."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gen_core import rooms
from gen_core.call import Call
from gen_core.choicemap import ChoiceMap
from gen_core.errors import GradientError
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
    with torch.enable_grad():
        call = _with_leaves(trace.call, leaves)
        selected = values.map(leaves.of_choice)
        _refuse_discrete(trace, values, selected)
        again = rooms.assess(call, _constants(trace.choices).override(selected))
        objective = _objective(again, retgrad)
    found = leaves.gradients(objective)
    return ChoiceGradients(
        _arg_gradients(trace.call, call, found), values, selected.map(lambda leaf: found[id(leaf)])
    )


def accumulate_param_gradients(trace: Trace[Any], retgrad: object, scale_factor: float) -> ArgGradients:
    """Add scale_factor * gradient of (score + <retval, retgrad>) to `.grad` of all parameters reached."""
    leaves = _Leaves()
    with torch.enable_grad():
        call = _with_leaves(trace.call, leaves)
        objective = _objective(rooms.assess(call, _constants(trace.choices)), retgrad)
        scaled = objective * scale_factor
    found = leaves.gradients(objective, retain_graph=True)
    if scaled.requires_grad:
        scaled.backward()
    return _arg_gradients(trace.call, call, found)


class _Leaves:
    """Fresh autograd leaves, in place of tensors and Python floats."""

    def __init__(self) -> None:
        self._leaves: list[Tensor] = []

    def of_argument(self, value: object) -> object:
        """Return a leaf in place of a float, or the value itself."""
        if isinstance(value, float):
            return self._add(torch.tensor(value))
        if isinstance(value, Tensor) and value.is_floating_point():
            return self._add(value.detach().clone())
        return value

    def of_choice(self, value: object) -> object:
        """Return a leaf in place of a choice's value."""
        return self.of_argument(value)

    def gradients(self, objective: Tensor, *, retain_graph: bool = False) -> dict[int, Tensor]:
        """Return the gradient of every leaf, by identity; zeros where it is not reached."""
        if not objective.requires_grad or not self._leaves:
            return {id(leaf): torch.zeros_like(leaf) for leaf in self._leaves}
        gradients = torch.autograd.grad(
            objective, self._leaves, allow_unused=True, materialize_grads=True, retain_graph=retain_graph
        )
        return {id(leaf): gradient for leaf, gradient in zip(self._leaves, gradients, strict=True)}

    def _add(self, leaf: Tensor) -> Tensor:
        self._leaves.append(leaf.requires_grad_())
        return leaf


def _with_leaves(call: Call[Any], leaves: _Leaves) -> Call[Any]:
    args = tuple(_map(leaves.of_argument, value) for value in call.args)
    kwargs = {name: _map(leaves.of_argument, value) for name, value in call.kwargs.items()}
    return Call(call.gen_fn, args, kwargs)


def _constants(choices: ChoiceMap) -> ChoiceMap:
    return choices.map(lambda value: value.detach() if isinstance(value, Tensor) else value)


def _refuse_discrete(trace: Trace[Any], values: ChoiceMap, leaves: ChoiceMap) -> None:
    for path in values.paths():
        if leaves[path] is values[path]:
            raise GradientError(
                f"The choice at {path!r} of {trace.gen_fn.name} is discrete or not a tensor, so it has no "
                f"gradient. Leave it out of the selection."
            )


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
    if isinstance(value, float | int):
        raise GradientError(
            f"{model} returns a Python {type(value).__name__} where the retgrad has a gradient. Return a "
            f"tensor, or use None where there is no gradient."
        )
    parts, gradients = _children(value), _children(gradient)
    if parts is None or gradients is None or parts.keys() != gradients.keys():
        raise GradientError(
            f"Expected a retgrad in the structure of what {model} returns, {type(value).__name__}, "
            f"but got {type(gradient).__name__}. Use None where there is no gradient."
        )
    terms = [_inner(parts[key], gradients[key], model) for key in parts]
    return torch.stack([term.to(torch.float64) for term in terms]).sum() if terms else torch.zeros(())


def _arg_gradients(old: Call[Any], call: Call[Any], found: dict[int, Tensor]) -> ArgGradients:
    def gradient(leaf: object) -> Tensor | None:
        return found.get(id(leaf))

    args = tuple(_map(gradient, value) for value in call.args)
    return ArgGradients(args, {name: _map(gradient, value) for name, value in call.kwargs.items()})


def _children(value: Any) -> dict[Any, Any] | None:
    if isinstance(value, tuple | list):
        return dict(enumerate(value))
    if isinstance(value, Mapping):
        return dict(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {part.name: getattr(value, part.name) for part in fields(value)}
    return None


def _map(function: Callable[[object], object], value: Any) -> Any:
    """Apply `function` to the leaves of tuples, lists, dicts and dataclasses."""
    kind = type(value)
    if kind is tuple or kind is list:
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

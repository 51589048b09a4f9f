"""`jit`: a function of generative functions, compiled to machine code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, ParamSpec, TypeVar, final

import torch
from torch import Tensor

from gen_core.structure import Structure, put_together, take_apart
from gen_torch.backends import Backend, compiled
from gen_torch.differentiable import differentiable, halves, stand_ins
from gen_torch.guards import Guard, guards_of
from gen_torch.staging import Staged, stage

P = ParamSpec("P")
R = TypeVar("R")


def jit(function: Callable[P, R], *, backend: Backend = "auto") -> Jitted[P, R]:
    """Return `function` compiled: staged once for each kind of arguments, then run as machine code.

    The function takes and returns tensors, traces, batches, choice maps and containers of these, and may
    do any operations of any generative functions, gradients, batches and loops in between. Python floats
    among its arguments become tensors of shape `()`; other Python values are constants of a program.

    A program is used again for arguments of the same structure, shapes, strides, dtypes and devices, in
    the same modes, while the closures, globals and attributes that the function reads are the same.
    Tensors found there are inputs: a parameter that an optimizer has updated is seen. With the same seed
    it draws the numbers that the function draws without `jit` (from torch 2.13; before, compilers may draw
    in another order). What it returns is differentiable where the function is, in arguments and in
    captured tensors, once; gradients of any order may also be taken within it, through loops as `scan` says.

    Args:
        function: What to compile. Control flow may not depend on the values of tensors.
        backend: `"inductor"` compiles through C++ or Triton; `"graph"` runs the staged graph without a
            compiler; `"auto"` takes the first that works here, and warns where it is the second.

    Raises:
        StagingError: At a call, where control flow depends on a tensor's value; names model and line.
    """
    return Jitted(function, backend)


@final
class Jitted(Generic[P, R]):
    """A function with its compiled programs."""

    def __init__(self, function: Callable[P, R], backend: Backend) -> None:
        """Users write `jit(function)`."""
        self.function = function
        self.backend: Backend = backend
        self._programs: dict[object, list[_Program]] = {}

    @property
    def num_programs(self) -> int:
        """How many programs were compiled, one for each kind of arguments and surroundings."""
        return sum(map(len, self._programs.values()))

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the compiled function, compiling it first for arguments of a new kind."""
        tensors, structure = take_apart((_as_tensors(args), _as_tensors(kwargs)))
        key = structure, tuple(map(_kind, tensors)), _modes()
        program = self._find(key)
        if program is None:
            program = self._compile(structure, tensors)
            self._programs.setdefault(key, []).insert(0, program)
        outputs = program.run(*tensors, *program.captured)
        result: R = put_together(outputs, program.structure)
        return result

    def staged(self, *args: P.args, **kwargs: P.kwargs) -> Staged:
        """Return the staged graph for such arguments, to look at."""
        tensors, structure = take_apart((_as_tensors(args), _as_tensors(kwargs)))
        return self._stage(structure, tensors)

    def _find(self, key: object) -> _Program | None:
        for program in self._programs.get(key, ()):
            if all(guard.holds() for guard in program.guards):
                return program
        return None

    def _compile(self, structure: Structure, tensors: list[Tensor]) -> _Program:
        staged = self._stage(structure, tensors)
        guards = guards_of(self.function)
        if not (staged.varying and torch.is_grad_enabled()):
            run = compiled(staged.graph, [*tensors, *staged.captured], self.backend)
            return _Program(run, staged.captured, staged.structure, guards)
        parts = halves(self._flat(structure), tensors, staged, self._name)
        forward = compiled(parts.forward, [*tensors, *parts.captured], self.backend)
        backward = compiled(parts.backward, stand_ins(parts.backward), self.backend)
        return _Program(differentiable(parts, forward, backward), parts.captured, staged.structure, guards)

    def _stage(self, structure: Structure, tensors: list[Tensor]) -> Staged:
        return stage(self._flat(structure), tensors, self._name)

    def _flat(self, structure: Structure) -> Callable[..., R]:
        def call(*inputs: Tensor) -> R:
            args, kwargs = put_together(inputs, structure)
            return self.function(*args, **kwargs)

        return call

    @property
    def _name(self) -> str:
        return str(getattr(self.function, "__qualname__", self.function))


class _Program(NamedTuple):
    run: Callable[..., list[Tensor]]
    captured: list[Tensor]
    structure: Structure
    guards: list[Guard]


def _as_tensors(value: Any) -> Any:
    """Return arguments with tensors in place of Python floats, through tuples, lists and dicts."""
    kind = type(value)
    if kind is float:
        return torch.tensor(value)
    if kind is tuple or kind is list:
        return kind(_as_tensors(part) for part in value)
    if isinstance(value, Mapping) and kind is dict:
        return {key: _as_tensors(part) for key, part in value.items()}
    return value


def _kind(tensor: Tensor) -> object:
    return tensor.shape, tensor.stride(), tensor.dtype, tensor.device, tensor.requires_grad


def _modes() -> object:
    return (
        torch.get_default_dtype(),
        # A default device is a mode; without one, asking for it takes a tenth of the whole call.
        torch.get_default_device() if torch._C._len_torch_function_stack() else None,
        torch.is_grad_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.is_autocast_enabled("cuda"),
    )

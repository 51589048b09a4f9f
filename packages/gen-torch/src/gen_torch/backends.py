"""Backends: what runs a staged graph."""

from __future__ import annotations

import copy
import shutil
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any, Literal, TypeAlias, cast

import torch
from torch import Tensor, fx

from gen_core import GenWarning
from gen_torch.inductor_rules import add_missing_rules

Backend: TypeAlias = Literal["auto", "inductor", "graph"]


def compiled(
    graph: fx.GraphModule, tensors: Sequence[Tensor], backend: Backend
) -> Callable[..., list[Tensor]]:
    """Return a function that runs a staged graph on tensors like `tensors`, without gradients."""
    if backend == "graph" or (backend == "auto" and not _has_compiler(_device_type(tensors))):
        return _without_gradients(graph)
    try:
        return _inductor(graph, tensors)
    except Exception as error:
        # Whatever the compiler raises, the staged graph still runs.
        if backend == "inductor":
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        warnings.warn(
            f"Inductor could not compile a program, so it runs without a compiler ({reason}).",
            GenWarning,
            stacklevel=4,
        )
        return _without_gradients(graph)


def _inductor(graph: fx.GraphModule, tensors: Sequence[Tensor]) -> Callable[..., list[Tensor]]:
    from torch._inductor import config
    from torch._inductor.compile_fx import compile_fx
    from torch._inductor.exc import InductorError

    add_missing_rules()
    on_cuda = _device_type(tensors) == "cuda"
    # The eager generator: the same numbers for the same seed, and ten times faster on CPU.
    options: dict[str, Any] = {
        "fallback_random": True,
        # Random draws inside a loop would change places.
        "reorder_for_peak_memory": False,
        "triton.cudagraphs": on_cuda,
    }
    examples = _distinct(tensors)
    with torch.no_grad():
        try:
            with config.patch({**options, "cpp_wrapper": not on_cuda}), _rewriting_loops():
                inner = compile_fx(copy.deepcopy(graph), examples)
        except InductorError:
            # In some versions of torch the C++ wrapper lacks what some loops need; the Python wrapper has it.
            with config.patch(options):
                inner = compile_fx(copy.deepcopy(graph), examples)
    return _without_gradients(cast("Callable[..., Any]", inner))


def _rewriting_loops() -> AbstractContextManager[None]:
    """Have loops allocate their buffers once, where this version of Inductor can be told to."""
    try:
        from gen_torch.cpp_wrapper import loops_that_allocate_once
    except ImportError:
        return nullcontext()
    return loops_that_allocate_once()


def _without_gradients(function: Callable[..., Any]) -> Callable[..., list[Tensor]]:
    def run(*inputs: Tensor) -> list[Tensor]:
        with torch.no_grad():
            outputs: list[Tensor] = list(function(*inputs))
        return outputs

    return run


def _distinct(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return examples of which no two are one tensor: a later call may give different ones."""
    seen: set[int] = set()
    examples = []
    for tensor in tensors:
        examples.append(tensor.detach().clone() if id(tensor) in seen else tensor.detach())
        seen.add(id(tensor))
    return examples


def _device_type(tensors: Sequence[Tensor]) -> str:
    return "cuda" if any(tensor.is_cuda for tensor in tensors) else "cpu"


@cache
def _has_compiler(device_type: str) -> bool:
    found = _has_triton() if device_type == "cuda" else _has_cpp_compiler()
    if not found:
        warnings.warn(
            f"No compiler for {device_type} was found, so jit runs staged graphs without one. Install "
            f"{'triton' if device_type == 'cuda' else 'a C++ compiler such as g++'} for machine code.",
            GenWarning,
            stacklevel=5,
        )
    return found


def _has_cpp_compiler() -> bool:
    from torch._inductor import config

    candidates: list[Any] = [*config.cpp.cxx, "g++", "clang++", "cl"]
    return any(candidate and shutil.which(candidate) for candidate in candidates)


def _has_triton() -> bool:
    from torch.utils._triton import has_triton

    return bool(has_triton())

"""Recording: modules that are called, and parameters that are used, while a model runs.

While an outermost run is open, one hook sits in torch's table of global hooks. A hook that stays there,
or a patched `Module.__call__`, would break full-graph compilation for the whole process.
"""

from __future__ import annotations

import itertools
import warnings
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, final

import torch
from torch import nn
from torch.nn.modules import module as torch_module

from gen_core.run import current_handler
from gen_core.surface import on_param
from gen_torch.held import name_within, path_within
from gen_torch.namespace import Namespace
from gen_torch.record import LOCK, Record, RecordedModule, record_of

if TYPE_CHECKING:
    from gen_core import GenerativeFunction, Handler
    from gen_core.run import Running
    from gen_torch.held import Names


@final
class Recording:
    """Keeps a hook in torch's table while an outermost run is open; each run, in any thread, has its own."""

    __slots__ = ("_key",)

    def __init__(self, gen_fn: GenerativeFunction[..., Any]) -> None:
        """Prepare for one run; whose it is, the handler knows."""
        self._key = next(_KEYS)

    def __enter__(self) -> None:
        _HOOKS[self._key] = _hear

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        _HOOKS.pop(self._key, None)


def _hear(module: nn.Module, inputs: object) -> None:
    """Record a module that is about to run in the body of a model, unless all callers know it."""
    if torch.compiler.is_compiling():
        return
    running: Running | None = current_handler()
    key = id(module)
    while running is not None:
        record = running.gen_fn.params.record
        if record is None or key not in record.seen:
            _record_module(module)
            return
        running = running.outer


def _record_module(module: nn.Module) -> None:
    handler = current_handler()
    if handler is None or isinstance(module, Namespace):
        return
    has_state = next(module.parameters(), next(module.buffers(), None)) is not None
    # Of the object whose method runs, the modules that it calls belong to the model.
    is_own_object = name_within(handler.gen_fn, module) == ()
    with LOCK:
        for running, callee in _callers(handler):
            record = record_of(running.gen_fn.params)
            if id(module) in record.seen:
                continue
            if is_own_object:
                record.seen[id(module)] = module
                continue
            if not has_state:
                # Perhaps made in the body, as in `nn.Softmax(-1)(x)`; what a name holds is found there.
                record.seen[id(module)] = weakref.ref(module, _Forget(record, id(module)))
                continue
            record.seen.update((id(part), part) for part in module.modules())
            if callee is None:
                record.modules.append(RecordedModule(module, _argument_name(handler, module)))
            else:
                record.callees[id(callee.params)] = callee
            _refresh(record)


def _hear_param(handler: Handler) -> None:
    """Record a function with parameters in its callers, unless all know it."""
    params = handler.gen_fn.params
    running = handler.outer
    while running is not None:
        record = running.gen_fn.params.record
        if record is None or id(params) not in record.seen:
            _record_param(handler)
            return
        running = running.outer


def _record_param(handler: Handler) -> None:
    params = handler.gen_fn.params
    with LOCK:
        for running, callee in _callers(handler):
            record = record_of(running.gen_fn.params)
            if id(params) not in record.seen:
                record.seen[id(params)] = params
                if callee is not None:
                    record.callees[id(callee.params)] = callee
                _refresh(record)


def _callers(handler: Handler) -> Iterator[tuple[Running, GenerativeFunction[..., Any] | None]]:
    """Yield the functions whose bodies are open, innermost first, each with the one that it called."""
    running: Running | None = handler
    callee = None
    while running is not None:
        yield running, callee
        callee = running.gen_fn
        running = running.outer


def _refresh(record: Record) -> None:
    if record.module is not None:
        record.module.refresh()


def _argument_name(handler: Handler, module: nn.Module) -> Names:
    """Return the name of the argument that holds a module; that of its class if none does."""
    call = handler.call
    for name, value in zip(call.gen_fn.binder.names(call.args, call.kwargs), call.values(), strict=False):
        items = value if isinstance(value, list | tuple) else [value]
        for index, item in enumerate(items):
            path = path_within(item, module) if isinstance(item, nn.Module) else None
            if path is not None:
                return (name, *([] if items is not value else [str(index)]), *path)
    return (type(module).__name__.lower(),)


@final
class _Forget:
    """Takes a module that is gone out of a record, so that its id is free."""

    def __init__(self, record: Record, key: int) -> None:
        self._seen = record.seen
        self._key = key

    def __call__(self, reference: object) -> None:
        if self._seen.get(self._key) is reference:
            del self._seen[self._key]


_HOOKS: dict[int, Any] = torch_module._global_forward_pre_hooks
# The hook that it warns of is ours, and may well hear of a module twice.
warnings.filterwarnings("ignore", r"Using `torch.compile\(module\)` when there are global hooks")
_KEYS = itertools.count(-1, -1)  # torch counts up from 0
on_param(_hear_param)

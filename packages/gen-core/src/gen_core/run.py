"""Runs of model bodies: the handler that gives `@` its meaning, and the one place that installs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from gen_core.plugins import plugins
from gen_core.where import annotate

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions.constraints import Constraint

    from gen_core.call import Call
    from gen_core.interface import GenerativeFunction

T = TypeVar("T")
R = TypeVar("R")


class Running(Protocol):
    """One of the functions whose bodies are open."""

    outer: Running | None
    """The one that called it; `run` sets it."""

    @property
    def gen_fn(self) -> GenerativeFunction[..., Any]:
        """The function whose body runs."""
        ...


class Handler(Running, Protocol):
    """What the surface syntax means while the body of a generative function runs."""

    @property
    def call(self) -> Call[Any]:
        """The call whose body runs."""
        ...

    def visit(self, call: Call[T], address: object, /) -> T:
        """Handle `call @ address`: return the value of the choice, or what the callee returned."""
        ...

    def param(self, name: str, init: object, constraint: Constraint | None, /) -> Tensor:
        """Handle `param(name, init, constraint)`: return the parameter's current value."""
        ...


def current_handler() -> Handler | None:
    """Return the handler of the innermost run that is open in this thread or task."""
    return _current.get()


def run(handler: Handler, body: Callable[..., R], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> R:
    """Run `body` with `handler` installed, and leave nothing behind, whatever happens.

    Entering the outermost run also enters every registered runtime (`gen_runtimes`). An exception
    gets a note that says at which address, in which model, file and line it was raised.
    """
    kwargs = kwargs or {}  # calls without have a read-only mapping, which takes longer to unpack
    outer = _current.get()
    token = _current.set(handler)
    try:
        if outer is None:
            return _run_outermost(handler, body, args, kwargs)
        if outer is not handler:  # as it is where a callee is spliced in
            handler.outer = outer
        return body(*args, **kwargs)
    except BaseException as error:
        annotate(error, handler.gen_fn, body)
        raise
    finally:
        _current.reset(token)


def _run_outermost(
    handler: Handler, body: Callable[..., R], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> R:
    runtimes = plugins.runtimes
    if not runtimes:
        return body(*args, **kwargs)
    if len(runtimes) == 1:  # An ExitStack costs as much as the rest of a run's overhead.
        with runtimes[0](handler.gen_fn):
            return body(*args, **kwargs)
    with ExitStack() as stack:
        for runtime in runtimes:
            stack.enter_context(runtime(handler.gen_fn))
        return body(*args, **kwargs)


_current: ContextVar[Handler | None] = ContextVar("gen_handler", default=None)

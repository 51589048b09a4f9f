"""Errors of saving and loading."""

from __future__ import annotations

from gen_core.errors import GenError, brief


class UnsavableError(GenError, TypeError):
    """Something in a trace or in choices cannot be saved as plain data."""

    def __init__(self, where: str, value: object, why: str | None = None) -> None:
        reason = f", because {why}" if why else ""
        super().__init__(
            f"Cannot save {where}: {brief(value)} ({type(value).__qualname__}){reason}. What can be saved "
            "are numbers, strings, None, tensors, arrays, lists, tuples, sets, dicts, dataclasses and what "
            "an import finds by name; a plugin adds other types through the hook gen_values."
        )


class NoReferenceError(GenError, ValueError):
    """A generative function has no name under which it could be found when a trace is loaded."""

    def __init__(self, function: str, reference: str | None, where: str) -> None:
        why = (
            "it is nested in another function, bound to an object, or made by an expression"
            if reference is None
            else f"something else is found under {reference}"
        )
        super().__init__(
            f"Cannot save {where}: {function} has no importable name, as {why}. Define it at the top level "
            "of a module, or save `trace.choices` and rebuild the trace with `generate`."
        )


class MissingReferenceError(GenError, LookupError):
    """A function or class that a saved trace names cannot be imported."""

    def __init__(self, reference: str, error: BaseException) -> None:
        module, _, name = reference.partition(":")
        why = (
            "it was defined in a script or notebook: move it into a module"
            if module == "__main__"
            else f"{type(error).__name__}: {error}"
        )
        super().__init__(f"The saved data needs {name} from {module}, which cannot be imported ({why}).")


class ChangedFunctionError(GenError, ValueError):
    """A generative function does not do what it did when a trace of it was saved."""

    def __init__(self, function: str, how: str) -> None:
        super().__init__(f"{function} has changed since the trace was saved: {how}.")


class FileFormatError(GenError, ValueError):
    """Data was to be loaded that was not saved by Gen, or by another version of it."""

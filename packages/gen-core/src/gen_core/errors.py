"""Errors: one class for each mistake, which says what happened, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterable

from gen_core.address import Path, nearest, show, show_all


class GenError(Exception):
    """Base of every error that Gen raises on purpose."""

    def __str__(self) -> str:  # KeyError would quote the message
        return "\n".join(map(str, self.args))

    def __reduce__(self) -> tuple[object, ...]:
        # A subclass's constructor takes facts, while `args` holds the finished message.
        return _rebuild, (type(self), self.args), self.__dict__ or None


def _rebuild(kind: type[GenError], args: tuple[object, ...]) -> GenError:
    return kind.__new__(kind, *args)


class AddressError(GenError, TypeError):
    """Something was used as an address that cannot be one."""

    def __init__(self, part: object, address: object) -> None:
        where = f" in the address {address!r}" if isinstance(address, tuple) else ""
        super().__init__(
            f"{part!r} ({type(part).__name__}){where} is not a key. An address is a key or a flat "
            f"tuple of keys, and a key is a string or an index (anything with `__index__`), "
            f"as in 'x', 3 and ('y', 3)."
        )


class NoChoiceError(GenError, KeyError):
    """There is no value at an address that was asked for."""

    def __init__(self, path: Path, known: Iterable[Path]) -> None:
        known = list(known)
        below = [other for other in known if other[: len(path)] == path]
        if not known:
            what = f"No choice at {show(path)}: there are no choices at all."
        elif below:
            what = (
                f"No value at {show(path)}, only below it, at {show_all(below, limit=3)}. "
                f"Ask for one of these, or for the submap."
            )
        else:
            close = show_all(nearest(path, known))
            what = f"No choice at {show(path)}. The nearest of {len(known)}: {close}."
        super().__init__(what)


class AddressCollisionError(GenError, ValueError):
    """Two values claim one address, or one claims an address and another one below it."""

    def __init__(self, path: Path, below: Path | None = None) -> None:
        what = (
            f"There are two values at {show(path)}."
            if below is None
            else f"There is a value at {show(path)} and another one below it, at {show(below)}."
        )
        super().__init__(
            f"{what} An address holds one value or a submap: rename one of them, "
            f"or use `override` to let one choice map win over another."
        )


class ChoicesError(GenError, TypeError):
    """Something else stands where choices are expected."""

    def __init__(self, given: object) -> None:
        super().__init__(
            f"Expected choices, as a dict or a choice map, but got {given!r} "
            f"({type(given).__name__}). Constraints come first, before the model's arguments: "
            f"model.generate({{'x': 1.0}}, *args), or {{}} for none. A trace's are `trace.choices`."
        )


class SelectionError(GenError, TypeError):
    """Something else stands where a selection is expected."""

    def __init__(self, given: object) -> None:
        super().__init__(
            f"Expected a selection, but got {given!r} ({type(given).__name__}). Write "
            f"select('x', ('y', 3)) for addresses, or selection_of(choices) for those of choices."
        )


class NotFloatingPointError(GenError, TypeError):
    """A choice that is not a floating point number was to become part of a vector."""

    def __init__(self, path: Path, value: str) -> None:
        super().__init__(
            f"The choice at {show(path)} is {value}, and a vector holds only floating point tensors "
            f"and floats. Leave it out: choices.filter(~select({show(path)})).to_vector()."
        )


class VectorLengthError(GenError, ValueError):
    """A vector does not have one element for each element of the choices."""

    def __init__(self, expected: int, shape: tuple[int, ...]) -> None:
        super().__init__(
            f"Expected a vector of shape ({expected},), one element for each element of the "
            f"choices, but got shape {shape}."
        )


class GenWarning(UserWarning):
    """The category of every warning that Gen issues on purpose."""


class OutsideModelError(GenError, RuntimeError):
    """Surface syntax was used while no generative function runs."""

    def __init__(self, expression: str, function: str | None = None) -> None:
        run_it = f", or run {function} by itself: {function}.simulate(...)" if function else ""
        super().__init__(
            f"{expression} ran outside a generative function. Put it in a function decorated with @gen"
            f"{run_it}."
        )


class ForgottenAddressError(GenError, TypeError):
    """A call was used as a value."""

    def __init__(self, function: str) -> None:
        super().__init__(
            f"{function}(...) is a call that has not run, so it has no truth value. Give it an address: "
            f"`{function}(...) @ 'name'`."
        )


class UnvisitedConstraintsError(GenError, ValueError):
    """Constraints name addresses that the run never visited."""

    def __init__(self, model: str, left: list[Path], visited: list[Path]) -> None:
        first = left[0]
        above = [path for path in visited if first[: len(path)] == path]
        below = [path for path in visited if path[: len(first)] == first]
        if above:
            why = f" {show(above[0])} is a choice, so nothing can be constrained below it."
        elif below:
            why = f" {show(first)} is not a choice: constrain what is below it, {show_all(below, limit=3)}."
        elif visited:
            near = nearest(first, visited)
            more = f" and {len(visited) - len(near)} more" if len(visited) > len(near) else ""
            why = f" It visited {show_all(near)}{more}."
        else:
            why = " It made no choices."
        super().__init__(f"{model} never visited {show_all(left, limit=3)}, which the constraints name.{why}")


class UnknownSelectionError(GenError, KeyError):
    """A selection names an address that does not exist."""

    def __init__(self, model: str, left: list[Path], known: list[Path]) -> None:
        near = f" The nearest of {len(known)}: {show_all(nearest(left[0], known))}." if known else ""
        super().__init__(
            f"{model} has no choice at {show_all(left, limit=3)}, which the selection names.{near}"
        )


class MissingChoiceError(GenError, KeyError):
    """`assess` was not given a choice that the function makes."""

    def __init__(self, model: str, path: Path, given: Iterable[Path]) -> None:
        super().__init__(
            f"{model} makes a choice at {show(path)}, which the given choices lack: they have "
            f"{show_all(given, limit=5)}. `assess` samples nothing; give every choice, or use `generate`."
        )


class DuplicateAddressError(GenError, ValueError):
    """A run visited one address twice, or an address and one below it."""

    def __init__(self, place: str, path: Path, other: Path) -> None:
        what = f"{show(path)} twice" if path == other else f"{show(path)} as well as {show(other)}"
        super().__init__(
            f"{place} visited {what}. Each choice needs an address of its own, none below another's: "
            f"in a loop, for example ({path[0]!r}, i)."
            if path
            else f"{place} visited the empty address (): give the choice a name."
        )


class InlineError(GenError, TypeError):
    """`@ inline` was used on something that cannot be spliced in."""

    def __init__(self, place: str, callee: str, kind: str) -> None:
        super().__init__(
            f"{place} splices {callee}, a {kind}, with `@ inline`, which works for functions of the same "
            f"language. Visit it at an address instead: `{callee}(...) @ 'name'`."
        )


class OtherFunctionError(GenError, TypeError):
    """A trace was to be moved to a call of another function."""

    def __init__(self, function: str, other: str) -> None:
        super().__init__(
            f"A trace of {function} can only move to another call of {function}, not to one of {other}."
        )


class ArgumentDiffError(GenError, TypeError):
    """A change hint names no parameter, or is not a hint."""

    def __init__(self, model: str, name: object, hint: object, names: list[str]) -> None:
        super().__init__(
            f"Expected argdiffs of {model} to map its parameters ({', '.join(names)}) to UNCHANGED, UNKNOWN, "
            f"VectorDiff or IntDiff, but got {name!r}: {hint!r}."
        )


class HintError(GenError, ValueError):
    """A change hint did not tell the truth."""

    def __init__(self, model: str, diffs: object, differing: list[str]) -> None:
        super().__init__(
            f"An edit of {model} with the hints {diffs!r} differs from the same edit without hints: it gave "
            f"{', '.join(differing)}. A hint may only leave out what did not change."
        )


class GradientError(GenError, ValueError):
    """A gradient was asked for that does not exist."""


class ParameterError(GenError, ValueError):
    """A parameter of a distribution or model has a value that it cannot have."""

    def __init__(
        self,
        function: str,
        parameter: str,
        must: str,
        value: object,
        path: Path = (),
        model: str | None = None,
    ) -> None:
        super().__init__(f"Expected `{parameter}` of {function} to be {must}, but got {_brief(value)}.")
        self.is_located = False
        if path and model is not None:
            self.locate(path, model)

    def locate(self, path: Path, model: str) -> None:
        """Name the address and the model in the message, unless it names others already."""
        if not self.is_located:
            self.args = (f"{str(self).removesuffix('.')}, at address {show(path)} in {model}.",)
            self.is_located = True


class ValueShapeError(GenError, ValueError):
    """A value does not have the shape that the parameters demand."""

    def __init__(
        self,
        function: str,
        path: Path,
        shape: tuple[int, ...],
        batch_shape: tuple[int, ...] | None,
        event_shape: tuple[int, ...],
    ) -> None:
        where = f" at address {show(path)}" if path else ""
        batch = None if batch_shape is None else f"batch shape {batch_shape}"
        event = f"event shape {event_shape}" if event_shape else None
        parts = " and ".join(part for part in (batch, event) if part)
        split = len(shape) - len(event_shape)
        hint = (
            ""
            if batch_shape is None or (split >= 0 and shape[:split] == batch_shape)
            else " Expand a parameter, as in `loc.expand(n)`, to make one choice of many elements."
        )
        super().__init__(
            f"Expected a value of {function} of {parts}{where}, because its parameters broadcast to that, "
            f"but got shape {shape}.{hint}"
        )


class ChangedInPlaceError(GenError, RuntimeError):
    """A recorded value or argument was changed in place before it was scored."""

    def __init__(self, model: str, path: Path) -> None:
        super().__init__(
            f"The value or an argument of the choice at {show(path)} in {model} was changed in place after "
            f"the choice was made. Write `mu = mu + x` instead of `mu += x`, or clone the tensor first."
        )


class BrokenPluginError(GenError, RuntimeError):
    """A plugin could not be loaded."""

    def __init__(self, plugin: str, error: BaseException) -> None:
        super().__init__(
            f"The plugin {plugin} is broken and was not loaded: {type(error).__name__}: {error}. Upgrade or "
            f"uninstall it, or name it in GEN_PLUGINS_DISABLED."
        )


class PluginConflictError(GenError, LookupError):
    """Two plugins provide the same name."""

    def __init__(self, kind: str, name: str, plugins: list[str]) -> None:
        super().__init__(
            f"The {kind} {name!r} is provided by {' and by '.join(plugins)}. Import the one you mean, or "
            f"disable the other through GEN_PLUGINS_DISABLED."
        )


class UnknownNameError(GenError, LookupError):
    """No plugin provides a name."""

    def __init__(self, kind: str, name: str, known: list[str], broken: list[str]) -> None:
        near = show_all(nearest((name,), [(other,) for other in known])) if known else "none"
        hint = f" These plugins are broken and were not loaded: {', '.join(broken)}." if broken else ""
        super().__init__(f"There is no {kind} named {name!r}. The nearest of {len(known)}: {near}.{hint}")


class MissingPackageError(GenError, ImportError):
    """An operation needs a package that is not installed."""

    def __init__(self, operation: str, package: str, broken: list[str]) -> None:
        hint = f" These plugins are broken and were not loaded: {', '.join(broken)}." if broken else ""
        super().__init__(
            f"{operation} needs the package {package}, which is not installed or is disabled: "
            f"`pip install {package}`.{hint}"
        )


class UnsavableError(GenError, TypeError):
    """Something in a trace or in choices cannot be saved as plain data."""

    def __init__(self, where: str, value: object, why: str | None = None) -> None:
        reason = f", because {why}" if why else ""
        super().__init__(
            f"Cannot save {where}: {_brief(value)} ({type(value).__qualname__}){reason}. What can be saved "
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


def _brief(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


class BatchSizeError(GenError, ValueError):
    """The arguments of a batch do not say, or do not agree on, how many runs there are."""


class BatchStructureError(GenError, ValueError):
    """Traces that are not of one structure were to become a batch."""


class NotBatchableError(GenError, RuntimeError):
    """A function cannot run for many arguments at once."""

    def __init__(self, where: str | None, reason: str) -> None:
        super().__init__(
            f"{where or 'The function'} cannot be batched: {reason}. Use torch.where instead of `if`, a "
            f"fixed number of choices instead of a random one, or batch(..., fallback='loop')."
        )


class RowsError(GenError, ValueError):
    """The values of many elements do not have one row for each element."""

    def __init__(self, shapes: dict[Path, tuple[int, ...]], num_keys: int | None = None) -> None:
        each = ", ".join(f"{show(path)}: {shape}" for path, shape in list(shapes.items())[:5])
        keys = "" if num_keys is None else f" and {num_keys} keys"
        super().__init__(
            f"Expected tensors whose first dimension is the elements', the same in all, but got the shapes "
            f"{each}{keys}."
        )

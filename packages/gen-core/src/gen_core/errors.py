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
        super().__init__(f"Expected `{parameter}` of {function} to be {must}, but got {brief(value)}.")
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


def brief(value: object) -> str:
    """Return a value as it is shown in a message, on one line of at most 80 characters."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."

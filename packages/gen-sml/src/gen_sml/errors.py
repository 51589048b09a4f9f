"""Errors of the static language: one class for each mistake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from gen_core import GenError


@final
@dataclass(frozen=True, slots=True)
class Span:
    """A part of a source file: lines count from 1, columns (in characters) from 0, ends are exclusive."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    text: str
    """The whole first line."""

    def picture(self) -> str:
        """Return the place, the line, and carets under the part."""
        text = self.text.rstrip("\n")
        last = self.end_column if self.end_line == self.line else len(text)
        shown = text.lstrip()
        column = self.column - (len(text) - len(shown))
        carets = "^" * max(1, last - self.column)
        return f'  File "{self.file}", line {self.line}\n    {shown}\n    {" " * column}{carets}'


@final
class StaticSyntaxError(GenError, SyntaxError):
    """The source of a static function cannot become a graph.

    Attributes:
        reason: What is wrong.
        advice: What to write instead.
        span: Where it is.
    """

    def __init__(self, reason: str, advice: str, span: Span) -> None:
        message = f"{reason} {advice}"
        end = (span.end_line, span.end_column + 1)
        SyntaxError.__init__(self, message, (span.file, span.line, span.column + 1, span.text, *end))
        self.reason = reason
        self.advice = advice
        self.span = span
        self.args = (f"{message}\n{span.picture()}",)

    def __reduce__(self) -> tuple[object, ...]:
        # The base class would leave the place behind, which SyntaxError keeps outside of `__dict__`.
        return StaticSyntaxError, (self.reason, self.advice, self.span)


class NoSourceError(GenError, TypeError):
    """There is no source from which a static function could be made."""

    def __init__(self, function: str, reason: str, advice: str) -> None:
        super().__init__(f"{function} cannot become a static function: {reason}. {advice}")


class UnboundVariableError(GenError, UnboundLocalError):
    """A variable was read that the statements before it had not assigned."""

    def __init__(self, name: str, place: str) -> None:
        super().__init__(
            f"The variable {name!r} was read before anything was assigned to it, in {place}. "
            f"Assign it before the statement that may or may not do so."
        )


class AugmentedAssignmentError(GenError, TypeError):
    """An augmented assignment would have changed an object in place."""

    def __init__(self, name: str, symbol: str, value: object, place: str) -> None:
        super().__init__(
            f"`{name} {symbol}= ...` would change {_kind(value)} in place, in {place}, and a "
            f"static function that runs again in part would change it again. "
            f"Write `{name} = {name} {symbol} ...`."
        )


class GraphError(GenError, ValueError):
    """A graph that was made by hand is not one that a function could have."""

    def __init__(self, graph: str, reason: str) -> None:
        super().__init__(f"The graph of {graph} is wrong: {reason}.")


def _kind(value: object) -> str:
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


class HiddenCallError(GenError, RuntimeError):
    """A traced call was made where the graph of a static function does not have one."""

    def __init__(self, model: str, callee: str, address: object) -> None:
        super().__init__(
            f"{callee}(...) @ {address!r} ran inside a Python function that {model} calls. A static function "
            f"traces only the calls in its own body: move this one there, or decorate the helper with "
            f"@static and splice it with `helper(...) @ inline`."
        )


class NotACallError(GenError, TypeError):
    """Something that is not a call of a generative function was visited."""

    def __init__(self, place: str, given: object, address: object) -> None:
        super().__init__(
            f"{place} visits {_kind(given)} at {address}. In a static function `@` visits a call of a "
            f"generative function; to multiply matrices, write `torch.matmul`."
        )


class RecursiveInlineError(GenError, RecursionError):
    """A static function splices itself."""

    def __init__(self, place: str, callee: str) -> None:
        super().__init__(
            f"{place} splices {callee} with `@ inline` while {callee} is running: it would never end, as a "
            f"static function has no branches around traced calls. Use gen_combinators.Recurse or "
            f"gen_combinators.Unfold."
        )

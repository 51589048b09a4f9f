"""Where in a model something happened: the notes that errors carry."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import CodeType, FrameType, TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, final

from gen_core.address import Path, show

if TYPE_CHECKING:
    from gen_core.interface import GenerativeFunction


@final
@dataclass(frozen=True)
class Where:
    """The innermost model, file and line that an error passed through."""

    model: str
    file: str
    line: int

    @property
    def place(self) -> str:
        """The model and the line, as messages name them."""
        return f"{self.model} ({self.file}:{self.line})"

    def note(self, path: Path) -> str:
        """Return the note for an error at `path` of the outermost model."""
        at = f", at address {show(path)}" if path else ""
        return f"Raised in {self.place}{at}."


class Origin(NamedTuple):
    """The line of the user's source that a line of generated code stands for."""

    file: str
    line: int


def generated_from(file: str, lines: Mapping[int, Origin]) -> None:
    """Note where the lines of generated code come from; `file` is what its code object calls its file."""
    _ORIGINS[file] = lines


def forget_generated(file: str) -> None:
    """Forget what `generated_from` noted."""
    _ORIGINS.pop(file, None)


def annotate_address(error: BaseException, path: Path) -> None:
    """Note on `error` that it comes from `path` of the body that now sees it."""
    setattr(error, _PATH, path + getattr(error, _PATH, ()))


def annotate(error: BaseException, gen_fn: GenerativeFunction[..., Any], body: Callable[..., Any]) -> None:
    """Note on `error` the innermost model, file and line, and the address path so far.

    A frame at a time: an error on its way out passes here once for each body that was running.
    """
    where: Where | None = getattr(error, _WHERE, None)
    if where is None:
        code = code_of(body)
        line = _line_in(error.__traceback__, code)
        if code is None or line is None:
            return
        where = Where(gen_fn.name, *_origin(code, line))
        setattr(error, _WHERE, where)
    previous: str | None = getattr(error, _NOTE, None)
    if previous is not None:
        error.__notes__.remove(previous)
    note = where.note(getattr(error, _PATH, ()))
    setattr(error, _NOTE, note)
    error.add_note(note)


def where_of(error: BaseException) -> str | None:
    """Return `model (file:line)`, and the address if any, as noted on an error; None outside models."""
    where: Where | None = getattr(error, _WHERE, None)
    if where is None:
        return None
    path: Path = getattr(error, _PATH, ())
    return f"{where.place}, at address {show(path)}," if path else where.place


def location(gen_fn: GenerativeFunction[..., Any], body: Callable[..., Any]) -> str:
    """Return `name (file:line)` for the line of `body` that is running now, or for its definition."""
    code = code_of(body)
    if code is None:
        return gen_fn.name
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code is code:
            return _place(gen_fn, _origin(code, frame.f_lineno))
        frame = frame.f_back
    return _place(gen_fn, _origin(code, code.co_firstlineno))


def code_of(body: Callable[..., Any]) -> CodeType | None:
    """Return the code object of a function or bound method."""
    code = getattr(getattr(body, "__func__", body), "__code__", None)
    return code if isinstance(code, CodeType) else None


def _origin(code: CodeType, line: int) -> Origin:
    lines = _ORIGINS.get(code.co_filename, {})
    return lines.get(line) or Origin(code.co_filename, line)


def _place(gen_fn: GenerativeFunction[..., Any], origin: Origin) -> str:
    return f"{gen_fn.name} ({origin.file}:{origin.line})"


def _line_in(traceback: TracebackType | None, code: CodeType | None) -> int | None:
    while traceback is not None:
        if traceback.tb_frame.f_code is code:
            return traceback.tb_lineno
        traceback = traceback.tb_next
    return None


_PATH = "__gen_path__"
_WHERE = "__gen_where__"
_NOTE = "__gen_note__"
_ORIGINS: dict[str, Mapping[int, Origin]] = {}

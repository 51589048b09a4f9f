"""Law 13: mistakes raise, and leave nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from gen_core.address_errors import NoChoiceError
from gen_core.choicemap import EMPTY
from gen_core.choicemap_build import choicemap
from gen_core.diff import UNKNOWN
from gen_core.draw import draw_sample, drawing
from gen_core.errors import GenError, MissingChoiceError, UnknownSelectionError, UnvisitedConstraintsError
from gen_core.judge import unvisited
from gen_core.run import current_handler
from gen_core.selection import ALL
from gen_core.selection_build import select
from gen_core.testing.attempts import exactly
from gen_core.testing.law import Law

if TYPE_CHECKING:
    from gen_core.testing.subject import Subject
    from gen_core.trace import Trace

LAW = Law.ERRORS
NOWHERE = "there is no such address"
EXTRA = choicemap({NOWHERE: 0.0})
MAX_PATHS = 3


def check_unvisited(subject: Subject, trace: Trace[Any]) -> None:
    """Check that constraints and selections that match nothing raise."""
    call, choices = trace.call, trace.choices
    with unvisited("error"):
        _require(UnvisitedConstraintsError, "generate of an address that is not there", call.generate, EXTRA)
        _require(UnvisitedConstraintsError, "update of an address that is not there", trace.update, EXTRA)
        if not choices.is_leaf and not subject.untraced:
            _require(UnvisitedConstraintsError, "assess of one more", call.assess, choices.merge(EXTRA))
        for path in choices.paths()[:MAX_PATHS]:
            below = choicemap({(*path, NOWHERE): 0.0})
            _require(GenError, f"update below the choice {path!r}", trace.update, below)
            for length in range(len(path)):
                above = choicemap({path[:length]: 0.0})
                _require(GenError, f"update of {path[:length]!r}, which is no choice", trace.update, above)
        selection = select(NOWHERE)
        _require(UnknownSelectionError, "project of an address that is not there", trace.project, selection)
        _require(UnknownSelectionError, "regenerate of what is not there", trace.regenerate, selection)
        if subject.differentiable:
            gradients = trace.choice_gradients
            _require(UnknownSelectionError, "choice_gradients of what is not there", gradients, selection)
    _require(NoChoiceError, "a look-up of what is not there", trace.subtrace, NOWHERE)


def check_missing(subject: Subject, trace: Trace[Any]) -> None:
    """Check that assess samples nothing."""
    for path in trace.choices.paths()[:MAX_PATHS] if not subject.untraced else []:
        rest = trace.choices.filter(~exactly([path]))
        _require(MissingChoiceError, f"assess without {path!r}", trace.call.assess, rest)


def check_exceptions(subject: Subject, trace: Trace[Any]) -> None:
    """Check that an exception in a draw comes out of every operation that draws."""
    call = trace.call
    if not _draws(subject, call.simulate):
        return
    with drawing(_fail):
        for name, operation in {
            "simulate": call.simulate,
            "generate": lambda: call.generate(EMPTY),
            "propose": call.propose,
            "sample": call.sample,
        }.items():
            _require(_DrawError, f"{name} with a failing draw", operation)
        if not subject.untraced and not trace.choices.is_empty:
            resample = partial(trace.regenerate, ALL, argdiffs=UNKNOWN)
            _require(_DrawError, "regenerate(ALL) with a failing draw", resample)


class _DrawError(Exception):
    pass


def _fail(distribution: object, args: object, kwargs: object) -> NoReturn:
    raise _DrawError


def _draws(subject: Subject, operation: Callable[[], object]) -> bool:
    drawn = []

    def note(distribution: Any, args: Any, kwargs: Any) -> Any:
        drawn.append(distribution)
        return draw_sample(distribution, args, kwargs)

    with drawing(note):
        subject.seeded(operation)
    return bool(drawn)


def _require(expected: type[Exception], operation: str, run: Callable[..., object], *args: object) -> None:
    """Require an exception of one kind, and no handler after it."""
    try:
        run(*args)
    except expected:
        if current_handler() is not None:
            raise LAW.broken(operation, "its handler is still installed after an exception") from None
    except Exception as error:
        found = f"it raised {type(error).__name__} ({error}) and not {expected.__name__}"
        raise LAW.broken(operation, found) from error
    else:
        raise LAW.broken(operation, f"it did not raise {expected.__name__}")

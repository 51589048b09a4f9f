"""Law 11: change hints never change a result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from gen_core.arguments import compare_arguments
from gen_core.diff import UNCHANGED, UNKNOWN, Diff
from gen_core.same import same
from gen_core.testing.law import Law
from gen_core.verify import verify_hints

if TYPE_CHECKING:
    from gen_core.testing.subject import Edit

LAW = Law.HINTS

Hints: TypeAlias = "Diff | Mapping[str, Diff]"


def check_hints(edit: Edit) -> None:
    """Do the edit again without knowledge, and with more, verified."""
    if edit.subject.untraced:
        return  # the body runs again or not, so what is untraced is drawn again or not
    _require_equal(edit, UNKNOWN)
    with verify_hints():
        _require_equal(edit, edit.subject.random.choice(_truthful(edit)))


def _truthful(edit: Edit) -> list[Hints]:
    """Return hints that do not lie about the arguments."""
    old, new = edit.old.call, edit.call
    diffs = compare_arguments(old.values(), new.values(), edit.old.versions)
    hints: list[Hints] = [{}]
    if all(diff is UNCHANGED for diff in diffs):
        hints.append(UNCHANGED)
    names = new.gen_fn.binder.names(new.args, new.kwargs)
    if names and len(set(names)) == len(names):
        hints.append(dict(zip(names, diffs, strict=True)))
        hints.append({edit.subject.random.choice(names): UNKNOWN})
    return hints


def _require_equal(edit: Edit, hints: Hints) -> None:
    operation = f"argdiffs={hints!r}"
    with LAW.checked_on(operation):
        again = edit.again(hints)
    first, close = edit.result, edit.subject.close
    old, new = edit.old, first.trace
    equal = {
        "choices": again.trace.choices == new.choices,
        "discard": again.discard == first.discard,
        "weight": close(again.weight, first.weight, old, new),
        "score": close(again.trace.score, new.score, old, new),
        "return value": same(again.trace.retval, new.retval, edit.subject.eps),
        "retdiff": again.retdiff is not UNCHANGED or same(old.retval, again.trace.retval),
    }
    for name, holds in equal.items():
        if not holds:
            raise LAW.broken(f"{operation}, in {edit}", f"the {name} is another than without: {again!r}")

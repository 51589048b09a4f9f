"""Law 9: a trace finds every choice, and knows where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gen_core.same import same
from gen_core.testing.law import Law
from gen_core.testing.operation import Operation

if TYPE_CHECKING:
    from gen_core.address import Path
    from gen_core.testing.subject import Subject
    from gen_core.trace import Trace

LAW = Law.LOOKUP
NOWHERE = "there is no such address"


def check_lookup(subject: Subject, trace: Trace[Any]) -> None:
    """Check `trace[a]`, `a in trace` and that the choices of a callee's trace are the submap."""
    for path, value in trace.choices.leaves():
        found = trace[path]
        if path not in trace or not same(found, value):
            raise LAW.broken(
                Operation(f"trace[{path!r}]", trace.choices), f"it is {found!r} and not {value!r}"
            )
        for length in range(len(path)):
            _check_callee(trace, path[:length])
    if trace.find(()) is not trace:
        raise LAW.broken(Operation("find(())", trace.choices), "it is not the trace itself")
    if NOWHERE in trace:
        raise LAW.broken(Operation(f"{NOWHERE!r} in trace", trace.choices), "it is True")


def _check_callee(trace: Trace[Any], path: Path) -> None:
    callee = trace.find(path)
    if callee is None:
        return  # the function names choices by tuples, and has nothing in between
    operation = Operation(f"subtrace({path!r})", trace.choices)
    if callee.choices != trace.choices.submap(path):
        raise LAW.broken(operation, f"its choices are {callee.choices!r}")
    if not same(trace[path], callee.retval):
        raise LAW.broken(operation, f"trace[{path!r}] is not what it returned")

"""Which arguments have changed: those of a static function, and those of its callees."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import MethodType
from typing import TYPE_CHECKING, Any

from gen_core import UNCHANGED
from gen_core.diff import version_of

if TYPE_CHECKING:
    from gen_core import ArgDiffs, Call
    from gen_sml.plan import Plan


def changed_arguments(plan: Plan, old: Call[Any], new: Call[Any], diffs: ArgDiffs) -> tuple[bool, ...]:
    """Return whether each argument of a graph has changed, `self` included, which never does.

    Args:
        plan: The plan of the graph.
        old: The call before.
        new: The call now.
        diffs: One change hint for each value of `new`.
    """
    gen_fn: Any = new.gen_fn
    if gen_fn.binder.arity == len(diffs):
        changed = tuple([diff is not UNCHANGED for diff in diffs])
        return (False, *changed) if isinstance(gen_fn.source, MethodType) else changed
    if len(old.args) != len(new.args) or old.kwargs.keys() != new.kwargs.keys():
        return (True,) * len(plan.arguments)
    names = gen_fn.binder.names(new.args, new.kwargs)
    changed_names = {name for name, diff in zip(names, diffs, strict=True) if diff is not UNCHANGED}
    parameters: Mapping[str, inspect.Parameter] = plan.graph.signature.parameters
    if not changed_names <= parameters.keys():  # in `**options`
        changed_names |= {name for name, p in parameters.items() if p.kind is p.VAR_KEYWORD}
    return tuple([name in changed_names for name in plan.arguments])


def with_kept(diffs: ArgDiffs, old: Any, call: Call[Any], inputs: tuple[Any, ...]) -> ArgDiffs:
    """Return change hints in which what an unchanged variable holds is unchanged, even if it is a list.

    Args:
        diffs: One hint for each argument of `call`.
        old: The trace, or splice, of the callee.
        call: The call now.
        inputs: Variables that the call reads, each followed by whether it has changed.
    """
    variables = zip(inputs[::2], inputs[1::2], strict=True)
    kept = {id(value) for value, has_changed in variables if not has_changed}
    before, now = old.call.values(), call.values()
    if not kept or len(before) != len(now):
        return diffs
    arguments = zip(before, now, old.versions, diffs, strict=True)
    return tuple(
        UNCHANGED if b is a and id(b) in kept and version_of(b) == version else diff
        for a, b, version, diff in arguments
    )

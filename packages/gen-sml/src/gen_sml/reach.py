"""Where a change starts: the arguments of a static function that have changed."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import MethodType
from typing import TYPE_CHECKING, Any

from gen_core import UNCHANGED

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

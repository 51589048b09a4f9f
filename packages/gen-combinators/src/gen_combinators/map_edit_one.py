"""An update of one element of a Map: what a move of a single choice comes down to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gen_combinators.map_edit import edited_score
from gen_combinators.map_run import at_element
from gen_combinators.map_trace import MapTrace
from gen_core import UNCHANGED, Updated, VectorDiff, rooms, total
from gen_core.arguments import all_unchanged
from gen_core.choicemap import Branch, branch

if TYPE_CHECKING:
    from gen_combinators.map import Map
    from gen_core import ArgDiffs, Call, ChoiceMap


def only_element(trace: MapTrace[Any], argdiffs: ArgDiffs, constraints: ChoiceMap) -> int | None:
    """Return the index of the element that an update edits if it edits one alone, for its constraints."""
    if type(constraints) is not Branch or len(constraints.child_keys()) != 1 or not all_unchanged(argdiffs):
        return None
    (key,) = constraints.child_keys()
    if type(key) is not int or not 0 <= key < len(trace.elements) or constraints.is_empty:
        return None
    return key


def update_one(
    gen_fn: Map[..., Any],
    old: MapTrace[Any],
    call: Call[Any],
    argdiffs: ArgDiffs,
    constraints: ChoiceMap,
    index: int,
) -> Updated[Any]:
    """Do what `map_edit.Edit` does, where it would edit this element by itself and keep all others.

    Args:
        gen_fn: The Map, for messages.
        old: The trace.
        call: The arguments, which are those of before.
        argdiffs: UNCHANGED for each of them, as for each argument of the element.
        constraints: New choices of the element, below its index.
        index: The element.
    """
    before = old.elements[index]
    trace, weight, retdiff, discard = at_element(
        gen_fn, index, rooms.update, before, before.call, argdiffs, constraints.child(index)
    )
    elements = old.elements.replaced({index: trace})
    score = edited_score(old, elements, [trace.raw_score], [before.raw_score])
    size = len(elements)
    diff = UNCHANGED if retdiff is UNCHANGED else VectorDiff(size, size, {index: retdiff})
    retval: Any = old.retval if diff is UNCHANGED else None
    versions = old.versions if call is old.call else None
    edited = MapTrace(call, elements, score, old.arguments, retval, versions)
    return Updated(edited, total([weight]), diff, branch([(index, discard)]))

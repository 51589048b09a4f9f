"""Traces, choice maps, calls and change hints as pytrees: tensors are leaves, everything else is structure.

So `torch.func.vmap`, the compiler and `tree_map` go through them. The structure of a trace depends on
its addresses, callees and arguments, not on the edits that led to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, final

from gen_core.call import Call
from gen_core.choice import ChoiceTrace
from gen_core.choicemap import Branch, ChoiceMap, Leaf, branch
from gen_core.diff import UNCHANGED, UNKNOWN, IntDiff, VectorDiff
from gen_core.score_columns import score_columns
from gen_core.structure import put_together, take_apart, takes_apart
from gen_core.torch_pytree import Node, register
from gen_core.trace import Trace

if TYPE_CHECKING:
    from gen_core.address import Path, PathPart

K = TypeVar("K", bound=Trace[Any])


def register_trace(kind: type[K], parts: Callable[[K], tuple[object, ...]], make: Callable[..., K]) -> None:
    """Make the traces of a class pytrees.

    Args:
        kind: The class; a subclass needs a registration of its own.
        parts: Returns what a trace is made of. Wrap subtraces by address in `Records`.
        make: Makes a trace of these parts, without looking into tensors: they may be batched, or
            stand-ins.

    >>> register_trace(MyTrace, lambda t: (t.call, t.retval, t.score, Records(t.records)), MyTrace)
    """

    def flatten(trace: K) -> tuple[list[Any], Any]:
        return list(parts(trace)), trace.is_intact()

    def unflatten(values: Iterable[Any], is_intact: Any) -> K:
        trace = make(*values)
        if not is_intact:
            trace.mark_changed()
        return trace

    _register(kind, Node(flatten, unflatten))


def register_choices(kind: type[ChoiceMap]) -> None:
    """Make the choice maps of a class pytrees: leaves are the values, in the order of `to_vector`."""
    register(kind, Node(_flatten_choices, _unflatten_choices))


@final
class Records(NamedTuple):
    """The traces of choices and callees by address, in `register_trace`; comes back as the dict."""

    traces: Mapping[Path, Trace[Any]]


def _register(kind: type[Any], node: Node) -> None:
    """Make a type a pytree whose leaves are tensors, however deep they lie."""
    takes_apart(kind, node)

    def flatten(value: Any) -> tuple[list[Any], Any]:
        return take_apart(value)

    def unflatten(tensors: Iterable[Any], structure: Any) -> Any:
        return put_together(list(tensors), structure)

    register(kind, Node(flatten, unflatten))


def _flatten_records(records: Any) -> tuple[list[Any], Any]:
    traces: Mapping[Path, Trace[Any]] = records.traces
    # The scores of choices lie in columns that the runs which made them share. Which run made a choice
    # is history, so they are put in one order first.
    columns, places = score_columns([trace for trace in traces.values() if type(trace) is ChoiceTrace])
    parts = [(trace.call, trace.retval) if type(trace) is ChoiceTrace else trace for trace in traces.values()]
    changed = tuple(
        path for path, trace in traces.items() if type(trace) is ChoiceTrace and not trace.is_intact()
    )
    return [columns, *parts], (tuple(traces), places, changed)


def _unflatten_records(values: Iterable[Any], rest: Any) -> dict[Path, Trace[Any]]:
    columns, *parts = values
    paths, places, changed = rest
    left = iter(places)
    records: dict[Path, Trace[Any]] = {}
    for path, part in zip(paths, parts, strict=True):
        if type(part) is not tuple:
            records[path] = part
            continue
        column, row = next(left)
        call, value = part
        records[path] = _make_choice(call, value, (columns[column], row))
    for path in changed:
        records[path].mark_changed()
    return records


def _make_choice(call: Call[Any], value: object, score: Any) -> ChoiceTrace[Any]:
    choice = ChoiceTrace(call, value)
    choice._score = score
    return choice


def _flatten_choices(choices: Any) -> tuple[list[Any], Any]:
    if choices.is_leaf:
        return [choices.value], None
    keys: list[PathPart] = [key for key in choices.child_keys() if not choices.child(key).is_empty]
    keys.sort(key=lambda key: (isinstance(key, str), key))
    return [choices.child(key) for key in keys], tuple(keys)


def _unflatten_choices(values: Iterable[Any], keys: Any) -> ChoiceMap:
    if keys is None:
        (value,) = values
        return Leaf(value)
    children = list(values)
    # Anything may stand for a submap while torch maps trees.
    if all(isinstance(child, ChoiceMap) for child in children):
        return branch(zip(keys, children, strict=True))
    return Branch(dict(zip(keys, children, strict=True)))


def _register_diffs() -> None:
    for diff in (UNCHANGED, UNKNOWN):
        _register(type(diff), Node(lambda value: ([], value), lambda parts, diff: diff))
    _register(IntDiff, Node(lambda diff: ([diff.difference], None), lambda parts, rest: IntDiff(*parts)))
    _register(
        VectorDiff,
        Node(
            lambda diff: ([diff.new_length, diff.old_length, dict(diff.updated)], None),
            lambda parts, rest: VectorDiff(*parts),
        ),
    )


_register(
    Call,
    Node(
        # Most calls have no keyword arguments, and most of a trace is calls.
        lambda call: ([call.gen_fn, call.args, *([dict(call.kwargs)] if call.kwargs else ())], None),
        lambda parts, rest: Call(*parts),
    ),
)


def _refuse(trace: Any) -> tuple[list[Any], Any]:
    raise TypeError(
        f"Traces of class {type(trace).__qualname__} are not pytrees yet: call register_trace for the class."
    )


takes_apart(Trace, Node(_refuse, lambda parts, rest: None), subclasses=True)
takes_apart(ChoiceMap, Node(_flatten_choices, _unflatten_choices), subclasses=True)
takes_apart(Records, Node(_flatten_records, _unflatten_records))
register_trace(ChoiceTrace, lambda trace: (trace.call, trace.retval, trace.score), _make_choice)
for kind in (Leaf, Branch):
    register_choices(kind)
_register_diffs()

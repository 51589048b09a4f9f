"""The slots of a static trace: one for each visit, and one for each value that an edit may need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, final

from torch import Tensor

from gen_core import GenerativeFunction, Records
from gen_core.address import Path
from gen_core.diff import retval_version_of, version_of
from gen_core.structure import Opaque, StandIn, one_level, takes_apart
from gen_core.torch_pytree import Node
from gen_sml.runtime import UNBOUND

if TYPE_CHECKING:
    from gen_core import Call, Trace
    from gen_sml.plan import Plan


@final
class Missing:
    """The type of `MISSING`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"

    def __reduce__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()
"""A value that did not survive batching or staging: an edit computes it again."""


@final
class Slots:
    """What one run of a static function recorded. Never changed once a trace has it."""

    __slots__ = ("is_whole", "paths", "records", "splices", "values", "versions")

    def __init__(
        self,
        records: Sequence[Trace[Any]],
        paths: Sequence[Path],
        values: Sequence[Any],
        splices: Sequence[Splice],
        versions: Sequence[int] | None = None,
        is_whole: bool = True,
    ) -> None:
        """Record the visits and values of a run.

        Args:
            records: The trace of each visit.
            paths: The address of each visit.
            values: The values of deterministic nodes.
            splices: What `@ inline` has spliced in.
            versions: `version_of` each value as it was computed, if that was before now.
            is_whole: Whether no value is missing, here or in splices.
        """
        self.records = records
        self.paths = paths
        self.values = values
        self.splices = splices
        self.versions = [version_of(value) for value in values] if versions is None else versions
        self.is_whole = is_whole

    def is_intact(self) -> bool:
        """Return whether no value was changed in place since the run."""
        return all(map(_has_version, self.values, self.versions)) and all(
            [splice.is_intact() for splice in self.splices]
        )

    def mark_changed(self) -> None:
        """Note that a value was changed in place."""
        self.versions = [-1] * len(self.values)
        for splice in self.splices:
            splice.mark_changed()


@final
class Splice:
    """One run of a function that was spliced in with `@ inline`."""

    __slots__ = ("call", "retval", "retval_version", "slots", "versions")

    def __init__(self, call: Call[Any], retval: Any, slots: Slots) -> None:
        """Record a spliced run."""
        self.call = call
        self.retval = retval
        self.slots = slots
        self.versions = tuple(map(version_of, call.values()))
        self.retval_version = retval_version_of(retval)

    def is_intact(self) -> bool:
        """Return whether neither an argument nor the return value was changed in place since the run."""
        arguments = all(map(_has_version, self.call.values(), self.versions))
        return arguments and retval_version_of(self.retval) == self.retval_version and self.slots.is_intact()

    def mark_changed(self) -> None:
        """Note that an argument, a value or the return value was changed in place."""
        self.versions = (-1,) * len(self.versions)
        self.retval_version = -1
        self.slots.mark_changed()


def in_order(slots: Slots, plan: Plan) -> Iterator[tuple[Path, Trace[Any]]]:
    """Yield each address and what is there, through splices, in the order of visits."""
    if plan.is_fixed:
        yield from zip(slots.paths, slots.records, strict=True)
        return
    for number, is_splice in plan.numbers:
        if not is_splice:
            yield slots.paths[number], slots.records[number]
        else:
            splice = slots.splices[number]
            callee: Any = splice.call.gen_fn
            yield from in_order(splice.slots, callee.program.plan)


def _has_version(value: object, version: int) -> bool:
    return version_of(value) == version


def _flatten(slots: Any) -> tuple[list[Any], Any]:
    records = Records(dict(zip(slots.paths, slots.records, strict=True)))
    splices = [part for splice in slots.splices for part in (splice.call, splice.retval, splice.slots)]
    kept = [value if _keeps(value) else MISSING for value in slots.values]
    return [records, *kept, *splices], (len(kept), slots.is_intact())


def _unflatten(parts: Iterable[Any], rest: Any) -> Slots:
    num_values, is_intact = rest
    records, *others = parts
    values, splices = others[:num_values], iter(others[num_values:])
    spliced = [Splice(*triple) for triple in zip(splices, splices, splices, strict=True)]
    is_whole = Missing not in map(type, values)
    if spliced:  # Anything may stand for the parts of a tree while torch maps it.
        is_whole = is_whole and all([getattr(splice.slots, "is_whole", True) for splice in spliced])
    slots = Slots(list(records.values()), tuple(records), values, spliced, is_whole=is_whole)
    if not is_intact:
        slots.mark_changed()
    return slots


def _keeps(value: object) -> bool:
    """Return whether a value is made of tensors and of what compares by value.

    What compares by identity would make the structures of any two traces differ.
    """
    if isinstance(value, Tensor | StandIn | GenerativeFunction) or value is UNBOUND:
        return True
    structure, parts = one_level(value)
    if isinstance(structure, Opaque):
        return type(value) in _COMPARED
    return all(map(_keeps, parts))


_COMPARED = frozenset({int, float, bool, str, bytes, complex, type(None), range, Missing})

takes_apart(Slots, Node(_flatten, _unflatten))

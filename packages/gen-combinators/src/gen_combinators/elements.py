"""Elements: the traces of many runs of one kernel, in order, of which an edit copies only a few."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, final

import torch
from torch import Tensor

from gen_combinators.elements_merge import Row, merge_entries, merged
from gen_combinators.elements_views import ElementChoices, Retvals, unvisited
from gen_combinators.persistent import PersistentVector
from gen_combinators.step_rows import Step
from gen_combinators.vector import Vector
from gen_core import TraceBatch
from gen_core.choicemap import EMPTY, ChoiceMap
from gen_core.choicemap_rows import Rows
from gen_core.columns import Columns
from gen_core.structure import takes_apart
from gen_core.torch_pytree import Node, register
from gen_core.totals import total, total_dtype

if TYPE_CHECKING:
    from gen_core import Path, Trace
    from gen_core.address import PathPart

R_co = TypeVar("R_co", covariant=True)

FEW = 256
"""So many edited elements are never worth a new base."""
SHARE = 8
"""The overlay becomes part of a new base when it holds one in so many elements."""


@final
class Elements(Generic[R_co]):
    """The traces of a kernel's runs. Immutable; an edit of k of n elements costs O(k log n).

    Either a base of columns, a tensor for each place of a tensor in the traces, with a persistent overlay of
    the elements that were edited since; or a persistent vector of traces alone, where these have no
    structure in common. An overlay that has grown to a fraction of the elements becomes a new base.
    """

    __slots__ = ("_base", "_compact", "_num_edited", "_overlay", "_patience", "_retvals")

    def __init__(
        self,
        base: Columns | None,
        overlay: PersistentVector[Any],
        num_edited: int,
        patience: int = FEW,
    ) -> None:
        """Use `Elements.of` or `Elements.batched`.

        Args:
            base: The columns of the first elements, of those that the overlay does not have.
            overlay: For each element, its trace, a `Row` or a `Step`; None for one of the base.
            num_edited: The number of elements that are in the overlay.
            patience: How large the overlay of a base may grow before it is tried to make a new one.
        """
        self._base = base
        self._overlay = overlay
        self._num_edited = num_edited
        self._patience = patience
        self._compact: Elements[R_co] | None = None
        self._retvals: Vector[R_co] | None = None

    @staticmethod
    def of(traces: Iterable[Trace[Any]]) -> Elements[Any]:
        """Return elements that are held one by one."""
        vector = PersistentVector(traces)
        return Elements(None, vector, len(vector))

    @staticmethod
    def batched(batch: TraceBatch[Any]) -> Elements[Any]:
        """Return elements that are held in columns."""
        return Elements(
            Columns(batch.columns, batch.is_shared, batch.structure, len(batch)),
            PersistentVector.of_none(len(batch)),
            0,
        )

    @staticmethod
    def assembled(
        indices: range,
        batches: Sequence[tuple[Sequence[int], TraceBatch[Any]]],
        traces: Mapping[int, Trace[Any]],
    ) -> Elements[Any]:
        """Return elements that were made in parts; together these have the `indices`."""
        if not batches:
            return Elements.of(traces[index] for index in indices)
        if len(batches) == 1 and not traces:
            return Elements.batched(batches[0][1])
        entries: list[Any] = [None] * len(indices)
        for index, trace in traces.items():
            entries[index - indices.start] = trace
        for own, batch in batches:
            columns = Columns(batch.columns, batch.is_shared, batch.structure, len(batch))
            for position, index in enumerate(own):
                entries[index - indices.start] = Row(columns, position)
        own, largest = max(batches, key=lambda each: len(each[0]))
        rows = torch.zeros(len(indices), dtype=torch.int64)
        rows[torch.as_tensor(own) - indices.start] = torch.arange(len(own))
        for index in own:
            entries[index - indices.start] = None
        whole = Columns(largest.columns, largest.is_shared, largest.structure, len(largest))
        base = whole.gather(rows)
        vector = PersistentVector(entries)
        return Elements(base, vector, len(indices) - len(own)).compact()

    @property
    def base(self) -> Columns | None:
        """The columns of the elements that were not edited, if there are any."""
        return self._base

    @property
    def is_batched(self) -> bool:
        """Whether there is a base of columns."""
        return self._base is not None

    @property
    def num_edited(self) -> int:
        """How many elements are not in the base."""
        return self._num_edited

    def __len__(self) -> int:
        return len(self._overlay)

    def __getitem__(self, index: int, /) -> Trace[R_co]:
        """Return the trace of one element."""
        entry: Any = self._overlay[index]
        if entry is None:
            assert self._base is not None
            entry = self._base.row(index + len(self) if index < 0 else index)
        elif type(entry) is Row or type(entry) is Step:
            entry = entry.trace()
        trace: Trace[R_co] = entry
        return trace

    def __iter__(self) -> Iterator[Trace[R_co]]:
        return (self[i] for i in range(len(self)))

    # Edits.

    def replaced(self, traces: Mapping[int, Trace[Any] | Step]) -> Elements[R_co]:
        """Return the elements with other traces at some indices."""
        overlay, num_edited = self._overlay, self._num_edited
        for index, trace in traces.items():
            num_edited += overlay[index] is None
            overlay = overlay.set(index, trace)
        return self._edited(overlay, num_edited)

    def replaced_by(self, indices: Sequence[int], batch: TraceBatch[Any]) -> Elements[R_co]:
        """Return the elements with the traces of a batch at `indices`, one for each."""
        if len(indices) == len(self) and indices == range(len(self)):
            return Elements.batched(batch)
        columns = Columns(batch.columns, batch.is_shared, batch.structure, len(batch))
        if self._base is not None and len(indices) * SHARE > len(self):
            whole = self._merged()
            if whole is not None:
                base = merged(whole, indices, columns)
                if base is not None:
                    return Elements(base, PersistentVector.of_none(len(self)), 0)
        overlay, num_edited = self._overlay, self._num_edited
        for position, index in enumerate(indices):
            num_edited += overlay[index] is None
            overlay = overlay.set(index, Row(columns, position))
        return self._edited(overlay, num_edited)

    def extended(self, traces: Iterable[Trace[Any] | Step]) -> Elements[R_co]:
        """Return the elements with more of them at the end."""
        overlay: Any = self._overlay.extend(traces)
        return self._edited(overlay, self._num_edited + len(overlay) - len(self))

    def extended_by(self, batch: TraceBatch[Any]) -> Elements[R_co]:
        """Return the elements with those of a batch at the end."""
        if not len(self):
            return Elements.batched(batch)
        columns = Columns(batch.columns, batch.is_shared, batch.structure, len(batch))
        overlay: Any = self._overlay.extend(Row(columns, position) for position in range(len(batch)))
        return self._edited(overlay, self._num_edited + len(batch))

    def joined(self, others: Elements[Any]) -> Elements[R_co]:
        """Return the elements with others at the end."""
        if not len(self):
            return others
        columns = others.columns() if others.is_batched else None
        if columns is None:
            return self.extended(others)
        return self.extended_by(
            TraceBatch(columns.tensors, columns.is_shared, columns.structure, columns.size)
        )

    def truncated(self, size: int) -> Elements[R_co]:
        """Return the first `size` elements."""
        if size == len(self):
            return self
        overlay = self._overlay.truncate(size)
        num_edited = sum(1 for _ in overlay.items())
        base = self._base
        if base is not None and base.size > size:
            base = base.narrow(0, size) if size else None
        return Elements(base, overlay, num_edited, self._patience)

    # Whole vectors.

    def compact(self) -> Elements[R_co]:
        """Return the same elements in columns alone, if they have a common structure; else these."""
        if self._num_edited == 0:
            return self
        if self._compact is None:
            base = self._merged()
            self._compact = self if base is None else Elements(base, PersistentVector.of_none(len(self)), 0)
        return self._compact

    def columns(self) -> Columns | None:
        """Return all traces in columns, None if they have no common structure."""
        compact = self.compact()
        return compact._base if not compact._num_edited else None

    def batch(self, indices: Sequence[int]) -> TraceBatch[R_co] | None:
        """Return the traces at `indices` as a batch, None if they have no common structure."""
        if len(indices) == len(self) and indices == range(len(self)):
            found = self.columns()
        elif self._base is None or any(index >= self._base.size for index in indices):
            found = None
        else:
            found = self._base.gather(torch.as_tensor(indices))
            edited = [(p, e) for p, i in enumerate(indices) if (e := self._overlay[i]) is not None]
            found = merge_entries(found, edited)
        if found is None:
            return None
        return TraceBatch(found.tensors, found.is_shared, found.structure, found.size)

    @property
    def scores(self) -> Tensor:
        """The score of each element, shape `(n,)`."""
        if not len(self):
            return torch.zeros(0, dtype=torch.float64)
        if self._base is None:
            wide = [trace.score for trace in self]
            return torch.stack([score.to(total_dtype(score)) for score in wide])
        score: Tensor = self._base.whole.score
        base_scores = score if score.dim() else score.expand(self._base.size)
        base_scores = base_scores.to(total_dtype(base_scores))
        edited = [(index, self[index].score) for index, _ in self._overlay.items()]
        if not edited:
            return base_scores
        missing = len(self) - self._base.size
        if missing:
            base_scores = torch.cat([base_scores, base_scores.new_zeros(missing)])
        index = torch.tensor([index for index, _ in edited], device=base_scores.device)
        return base_scores.index_copy(0, index, torch.stack([s.to(base_scores.dtype) for _, s in edited]))

    def score_of(self, indices: range) -> Tensor:
        """Return the sum of the scores of the elements at `indices`, shape `()`."""
        if self._base is None or len(indices) <= _ONE_BY_ONE:
            return total(self[index].score for index in indices)
        return self.scores[indices.start : indices.stop].sum()

    def total_score(self) -> Tensor:
        """Return the sum of the scores, shape `()`, float64 where the device has it."""
        if self._base is None:
            return total(trace.score for trace in self)
        return self.scores.sum()

    # What traces of combinators show.

    @property
    def choices(self) -> ChoiceMap:
        """The choices of all elements by index, read when they are asked for."""
        if not len(self):
            return EMPTY
        if self._base is not None and not self._num_edited:
            return Rows.of(self._base.part(self._base.whole.choices))
        return ElementChoices(self)

    @property
    def retvals(self) -> Vector[R_co]:
        """The return values, read when they are asked for."""
        if self._retvals is None:
            self._retvals = Vector.reading(Retvals(self))
        return self._retvals

    def find(self, path: Path) -> Trace[Any] | None:
        """Return the trace at a path that begins with an index."""
        element = self._at(path)
        return None if element is None else element.find(path[1:])

    def visited(self, path: Path) -> bool:
        """Return whether a constraint at a path that begins with an index was used."""
        element = self._at(path)
        return element is not None and element.visited(path[1:])

    def unvisited(self, constraints: ChoiceMap) -> list[Path]:
        """Return the paths of constraints that were not used; alike elements are asked once."""
        return unvisited(self, constraints)

    def entry(self, index: int) -> Trace[R_co] | Row | Step | None:
        """Return what is held of an element beside the base, None if it is in the base."""
        entry: Trace[R_co] | Row | Step | None = self._overlay[index]
        return entry

    def _has(self, key: PathPart) -> bool:
        return isinstance(key, int) and 0 <= key < len(self._overlay)

    def _at(self, path: Path) -> Trace[Any] | None:
        return self[path[0]] if path and self._has(path[0]) else None  # type: ignore[index]

    def _edited(self, overlay: PersistentVector[Any], num_edited: int) -> Elements[R_co]:
        edited: Elements[R_co] = Elements(self._base, overlay, num_edited, self._patience)
        if self._base is None or num_edited <= max(self._patience, len(overlay) // SHARE):
            return edited
        compact = edited.compact()
        if compact is edited:
            edited._patience = 2 * num_edited  # so that trying costs O(1) for each edit
        return compact

    def _merged(self) -> Columns | None:
        """Return the base with the overlay written into it, or the columns of traces that are alike."""
        base = self._base
        if base is None:
            return None
        missing = len(self) - base.size
        if missing:  # Rows to be written over.
            index = torch.arange(len(self)).clamp_max(base.size - 1)
            base = base.gather(index)
        return merge_entries(base, list(self._overlay.items()))


_ONE_BY_ONE = 16


def _flatten(elements: Any) -> tuple[list[Any], Any]:
    # Which elements were edited is history, so they are written into the columns first.
    columns = elements.columns()
    if columns is not None:
        return [columns], True
    return list(elements), False


def _unflatten(parts: Any, are_columns: Any) -> Any:
    if not are_columns:
        return Elements.of(parts)
    (columns,) = parts
    return Elements(columns, PersistentVector.of_none(columns.size), 0)


takes_apart(Elements, Node(_flatten, _unflatten))
register(Elements, Node(_flatten, _unflatten))

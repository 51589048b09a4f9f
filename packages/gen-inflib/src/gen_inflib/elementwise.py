"""Finite choices of elements that are independent given everything else: each is enumerated by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, final

import torch
from torch import Tensor

from gen_core import ChoiceMap, ChoiceTrace, Path, Trace, rows
from gen_core.choicemap_build import from_paths, graft
from gen_core.totals import total, total_dtype
from gen_inflib.finite import Finite, finite, refuse_different_supports


class Scores(NamedTuple):
    """What elements add to the score of a trace."""

    each: Tensor
    """For each element, shape `(n,)`, float64 where the device has it."""
    total: Tensor
    """Their sum, as it is in the score, shape `()`."""


class Elements(Protocol):
    """Finite choices of n alike elements, which are independent given everything else."""

    @property
    def size(self) -> int:
        """The number of elements, n."""
        ...

    @property
    def finite(self) -> Sequence[Finite]:
        """The finite choices of one element."""
        ...

    @property
    def current(self) -> Sequence[Tensor]:
        """Their values in the trace, of each choice `(n, *element_shape)`."""
        ...

    def placed(self, values: Sequence[Tensor]) -> ChoiceMap:
        """Return values of all elements, of each choice `(n, *element_shape)`, at their addresses."""
        ...

    def scores(self, trace: Trace[Any]) -> Scores:
        """Return what each element adds to the score of a trace."""
        ...


def elements_of(trace: Trace[Any], paths: Sequence[Path]) -> tuple[Elements | None, list[Path]]:
    """Return the elements that have some of the finite choices at `paths`, and the other paths.

    They are those of the first callee that runs a kernel for each, such as a Map; else those of the first
    choice of many elements, with all choices that have as many.
    """
    for path in paths:
        for length in range(len(path)):
            callee: Any = trace.find(path[:length])
            if hasattr(callee, "independent_elements"):
                return _of_callee(callee, path[:length], paths)
    found = [finite(trace, path) for path in paths]
    shapes = [each.batch_shape for each in found if each.batch_shape]
    if not shapes:
        return None, list(paths)
    chosen = [each for each in found if each.batch_shape == shapes[0]]
    rest = [each.path for each in found if each.batch_shape != shapes[0]]
    return _OfTensors(trace, chosen), rest


def _of_callee(callee: Any, prefix: Path, paths: Sequence[Path]) -> tuple[Elements | None, list[Path]]:
    """Return the elements of a callee; None if they are not enumerated alike."""
    batch = callee.independent_elements()
    if batch is None:
        return None, list(paths)
    within = [path[len(prefix) :] for path in paths if path[: len(prefix)] == prefix]
    rest = [path for path in paths if path[: len(prefix)] != prefix]
    if not callee.elements_have_indices:
        return _OfCallee(prefix, None, within, batch), rest
    by_index: dict[Any, list[Path]] = {}
    for path in within:
        by_index.setdefault(path[0], []).append(path[1:])
    indices = sorted(by_index)
    first = by_index[indices[0]]
    if any(by_index[index] != first for index in indices):
        return None, list(paths)
    return _OfCallee(prefix, indices, first, batch), rest


@final
class _OfCallee:
    """Elements of a Map, or of another callee whose trace is `gen_core.IndependentElements`."""

    def __init__(self, prefix: Path, indices: list[Any] | None, paths: Sequence[Path], batch: Any) -> None:
        self._prefix = prefix
        self._has_indices = indices is not None
        self._index: Tensor | None = None
        self._keys: list[Any] | None = None
        if indices is not None and len(indices) < len(batch):
            self._keys, self._index = indices, torch.tensor(indices, device=batch.score.device)
        for path in paths:
            refuse_different_supports(batch, path, batch.wide.gen_fn.name)
        first = batch[0] if self._keys is None else batch[self._keys[0]]
        self.finite = [finite(first, path) for path in paths]
        self.size = len(batch) if self._keys is None else len(self._keys)
        self.current = [self._of(batch.choices[path]) for path in paths]

    def placed(self, values: Sequence[Tensor]) -> ChoiceMap:
        alike = from_paths([(found.path, value) for found, value in zip(self.finite, values, strict=True)])
        return graft([(self._prefix, rows(alike, self._keys) if self._has_indices else alike)])

    def scores(self, trace: Trace[Any]) -> Scores:
        callee: Any = trace.subtrace(self._prefix)
        scores = callee.independent_elements().score
        each = self._of(scores.to(total_dtype(scores)))
        return Scores(each, each.sum())

    def _of(self, column: Tensor) -> Tensor:
        return column if self._index is None else column.index_select(0, self._index)


@final
class _OfTensors:
    """The elements of choices that are tensors of one shape, with the same elements of other choices."""

    def __init__(self, trace: Trace[Any], found: Sequence[Finite]) -> None:
        self.finite = found
        self._shape = found[0].batch_shape
        self.size = self._shape.numel()
        self.current = [self._flat(trace[each.path]) for each in found]
        # Whether elements in the same place belong together is found out when they are scored.
        self._paths = [path for path in trace.choices.paths() if self._is_aligned(trace.find(path))]

    def placed(self, values: Sequence[Tensor]) -> ChoiceMap:
        each = zip(self.finite, values, strict=True)
        return from_paths(
            [(found.path, value.reshape(*self._shape, *value.shape[1:])) for found, value in each]
        )

    def scores(self, trace: Trace[Any]) -> Scores:
        choices = [trace.subtrace(path) for path in self._paths]
        each = [self._densities(choice).flatten(1).sum(1) for choice in choices]
        return Scores(total(each), total([choice.score for choice in choices]))

    def _densities(self, choice: Trace[Any]) -> Tensor:
        family: Any = choice.gen_fn.family  # type: ignore[attr-defined]
        densities: Tensor = family.log_prob(choice.retval, *choice.call.args, **choice.call.kwargs)
        return self._flat(densities).unsqueeze(-1)

    def _flat(self, tensor: Tensor) -> Tensor:
        return tensor.reshape(self.size, *tensor.shape[len(self._shape) :])

    def _is_aligned(self, choice: Trace[Any] | None) -> bool:
        if type(choice) is not ChoiceTrace or not isinstance(choice.retval, Tensor) or choice.score.dim():
            return False
        family: Any = choice.gen_fn.family  # type: ignore[attr-defined]
        batch_shape = choice.retval.shape[: choice.retval.dim() - family.event_dim]
        return batch_shape[: len(self._shape)] == self._shape

"""`batch`: run an operation for many traces at once, written for one."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, ParamSpec, TypeVar

import torch
from torch import Tensor
from torch._C._functorch import is_batchedtensor, maybe_current_level, maybe_get_level

from gen_core.batch_errors import BatchSizeError, BatchStructureError, NotBatchableError
from gen_core.errors import GenWarning
from gen_core.stack import stack
from gen_core.structure import Inner, Opaque, Structure, assemble, one_level, put_together, take_apart, within
from gen_core.trace import Trace
from gen_core.trace_batch import TraceBatch
from gen_core.where import where_of

P = ParamSpec("P")
R = TypeVar("R")

InDims = int | Sequence[Any] | None
"""One dimension for all arguments, or one for each; None for an argument that all runs share."""


def batch(
    function: Callable[P, R],
    in_dims: InDims = 0,
    *,
    size: int | None = None,
    chunk_size: int | None = None,
    fallback: Literal["error", "loop"] = "error",
) -> Callable[P, Any]:
    """Return `function` for many arguments at once; it is written for one.

    Any operations of any generative functions may stand in it, gradients and further batches too. Draws
    are independent. What comes out has the batch as first dimension: tensors, choices of choice maps;
    and traces come out as a `TraceBatch`. What does not differ between the runs stays one shared copy.

    Args:
        function: Takes and returns tensors, choice maps, traces, and containers of these.
        in_dims: Which dimension of the tensors in each argument is the batch: one for all arguments, or
            a sequence with one for each; None shares an argument. A `TraceBatch` is batched unless None.
        size: The number of runs, where no argument says it: `batch(model.simulate, size=1000)()`.
        chunk_size: Do so many runs at a time, to bound memory.
        fallback: What to do with a function whose control flow depends on random values: raise, or run
            it in a Python loop with a warning that says why.

    Raises:
        NotBatchableError: The function cannot be batched; names the model, file and line.
        BatchSizeError: The arguments disagree about the size, or none says it.

    >>> traces, weights = batch(lambda: line.generate(observations, xs), size=10_000)()
    """

    def batched(*args: P.args, **kwargs: P.kwargs) -> Any:
        inputs = _inputs((*args, *kwargs.values()), in_dims, size)

        def call(values: tuple[Any, ...]) -> R:
            return function(*values[: len(args)], **dict(zip(kwargs, values[len(args) :], strict=True)))

        try:
            return _run(call, inputs, chunk_size)
        except RuntimeError as error:
            if not _is_of_vmap(error):
                raise
            refusal = NotBatchableError(where_of(error), _reason(error))
            if fallback == "error":
                raise refusal from error
            warnings.warn(f"{refusal} It runs in a loop instead.", GenWarning, stacklevel=2)
            return _loop(call, inputs)

    return batched


class _Inputs(NamedTuple):
    """The arguments taken apart, and the batch dimension of each tensor."""

    tensors: list[Tensor]
    dims: list[int | None]
    structure: Structure
    size: int


def _inputs(values: tuple[Any, ...], in_dims: InDims, size: int | None) -> _Inputs:
    each = list(in_dims) if isinstance(in_dims, Sequence) else [in_dims] * len(values)
    if len(each) != len(values):
        raise BatchSizeError(f"Expected in_dims for {len(values)} arguments, but got {len(each)}.")
    dims: dict[int, int | None] = {}
    narrow = tuple(_narrow(value, dim, dims) for value, dim in zip(values, each, strict=True))
    tensors, structure = take_apart(narrow)
    found = [dims.get(id(tensor)) for tensor in tensors]
    sizes = {tensor.shape[dim] for tensor, dim in zip(tensors, found, strict=True) if dim is not None}
    sizes |= {len(value) for value, dim in zip(values, each, strict=True) if _is_batch(value, dim)}
    sizes |= {size} if size is not None else set()
    if len(sizes) != 1:
        said = (
            f"the arguments and `size` say {sorted(sizes)}" if sizes else "no argument says it: give `size`"
        )
        raise BatchSizeError(f"Expected one batch size, but {said}.")
    return _Inputs(tensors, found, structure, sizes.pop())


def _is_batch(value: object, dim: object) -> bool:
    return isinstance(value, TraceBatch) and dim is not None


def _narrow(value: Any, dim: int | None, dims: dict[int, int | None]) -> Any:
    """Note the batch dimension of every tensor; return the argument as the function sees its structure."""
    if _is_batch(value, dim):
        tensors, structure, whole = value.columns, value.structure, value.wide
        found = [None if is_shared else 0 for is_shared in value.is_shared]
    else:
        (tensors, structure), whole = take_apart(value), value
        found = [_dimension(tensor, dim) for tensor in tensors]
    placed = [_place(tensor, own, dims) for tensor, own in zip(tensors, found, strict=True)]
    if all(new is old for new, old in zip(placed, tensors, strict=True)):
        return whole
    return put_together(placed, structure)


def _dimension(tensor: Tensor, dim: int | None) -> int | None:
    if dim is None:
        return None
    if tensor.dim() == 0:
        raise BatchSizeError(
            f"A tensor of shape () has no dimension {dim} to batch over; pass None in in_dims for an "
            f"argument that all runs share."
        )
    return dim % tensor.dim()


def _place(tensor: Tensor, dim: int | None, dims: dict[int, int | None]) -> Tensor:
    """Note the batch dimension of one tensor; where it has another elsewhere, that of a view of it."""
    if dims.get(id(tensor), dim) != dim:
        tensor = tensor.view_as(tensor)
    dims[id(tensor)] = dim
    return tensor


def _run(call: Callable[[tuple[Any, ...]], Any], inputs: _Inputs, chunk_size: int | None) -> Any:
    outputs = _Outputs()

    def body(rows: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        left = iter(tensors)
        values = [
            tensor if dim is None else next(left)
            for tensor, dim in zip(inputs.tensors, inputs.dims, strict=True)
        ]
        return outputs.take(call(put_together(values, inputs.structure)))

    batched = [tensor for tensor, dim in zip(inputs.tensors, inputs.dims, strict=True) if dim is not None]
    rows = torch.empty(inputs.size, 0)  # so that there is an argument that says the size
    in_dims = (0, *(dim for dim in inputs.dims if dim is not None))
    mapped = torch.func.vmap(body, in_dims, randomness="different", chunk_size=chunk_size)
    return outputs.put(list(mapped(rows, *batched)), inputs.size)


class _Outputs:
    """What the function returned: the tensors that differ leave through vmap, the others beside it."""

    def __init__(self) -> None:
        self.structure: Structure = Opaque(None)
        self.shared: list[Tensor | None] = []

    def take(self, result: Any) -> tuple[Tensor, ...]:
        tensors, self.structure = take_apart(result)
        level = maybe_current_level()
        differ = [is_batchedtensor(tensor) and maybe_get_level(tensor) == level for tensor in tensors]
        self.shared = [None if batched else tensor for tensor, batched in zip(tensors, differ, strict=True)]
        return tuple(tensor for tensor, batched in zip(tensors, differ, strict=True) if batched)

    def put(self, batched: list[Tensor], size: int) -> Any:
        left = iter(batched)
        tensors = [next(left) if shared is None else shared for shared in self.shared]
        return _widen(self.structure, tensors, {id(tensor) for tensor in self.shared}, size)


def _widen(structure: Any, tensors: Sequence[Tensor], shared: set[int], size: int) -> Any:
    """Put a result together, with a batch in place of each trace, and every tensor as long as the batch."""
    if isinstance(structure, int):
        tensor = tensors[structure]
        return tensor.expand(size, *tensor.shape) if id(tensor) in shared else tensor
    if isinstance(structure, Opaque):
        return structure.value
    if issubclass(structure.kind, Trace | TraceBatch):
        columns, own = within(tensors, structure)
        return TraceBatch(columns, [id(column) in shared for column in columns], own, size)
    return assemble(structure, [_widen(part, tensors, shared, size) for part in structure.parts])


def _loop(call: Callable[[tuple[Any, ...]], Any], inputs: _Inputs) -> Any:
    """Do the runs one after another."""
    results = []
    for row in range(inputs.size):
        tensors = [
            tensor if dim is None else tensor.select(dim, row)
            for tensor, dim in zip(inputs.tensors, inputs.dims, strict=True)
        ]
        results.append(call(put_together(tensors, inputs.structure)))
    return _join(results)


def _join(results: Sequence[Any]) -> Any:
    first = results[0]
    if isinstance(first, Trace):
        return stack(results)
    if isinstance(first, Tensor):
        return torch.stack(list(results))
    kinds, parts = zip(*[one_level(result) for result in results], strict=True)
    if not isinstance(kinds[0], Inner):
        return first
    if any(kind != kinds[0] for kind in kinds):
        raise BatchStructureError("The runs of a batch returned values of different structures.")
    return assemble(kinds[0], [_join(column) for column in zip(*parts, strict=True)])


def _reason(error: RuntimeError) -> str:
    text = str(error)
    if "data-dependent control flow" in text:
        return "a branch or loop depends on a value that differs within the batch"
    if ".item()" in text:
        return "a Python number, an index or a length is made of a value that differs within the batch"
    return " ".join(text.split())


def _is_of_vmap(error: RuntimeError) -> bool:
    text = str(error)
    return "vmap" in text or "Batching rule not implemented" in text

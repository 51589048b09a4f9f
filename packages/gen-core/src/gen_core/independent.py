"""Traces of elements that are independent of each other, given their arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from gen_core.trace_batch import TraceBatch


class IndependentElements(Protocol):
    """What the trace of a Map, or of another function that runs a kernel for each element, can say.

    The elements are independent given the arguments: the score is the sum of theirs, and the score of each
    depends on its own choices only. Algorithms find such traces by this attribute and this method.
    """

    elements_have_indices: ClassVar[bool]
    """Whether element i has its choices below the address i; if not, each address has a row for every
    element."""

    def independent_elements(self) -> TraceBatch[Any] | None:
        """Return the traces of the elements, None if these have no common structure."""
        ...

"""What the operations of the interface return."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

    from gen_core.choicemap import ChoiceMap
    from gen_core.diff import Diff
    from gen_core.trace import Trace

R_co = TypeVar("R_co", covariant=True)


class Generated(NamedTuple, Generic[R_co]):
    """A trace that agrees with some constraints, and its log importance weight, shape `()`."""

    trace: Trace[R_co]
    weight: Tensor


class Assessed(NamedTuple, Generic[R_co]):
    """The log density of some choices, shape `()`, in nats, and what the function returns on them."""

    score: Tensor
    retval: R_co


class Proposed(NamedTuple, Generic[R_co]):
    """Freshly sampled choices, their log density, shape `()`, and what the function returned."""

    choices: ChoiceMap
    score: Tensor
    retval: R_co


class Updated(NamedTuple, Generic[R_co]):
    """An edited trace.

    `weight` has shape `()`; `retdiff` says how the return value changed; `discard` holds the old values
    of the choices that were replaced or are gone.
    """

    trace: Trace[R_co]
    weight: Tensor
    retdiff: Diff
    discard: ChoiceMap


class ArgGradients(NamedTuple):
    """Gradients in the arguments, in the arguments' own structure; None for what is not a float."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


class ChoiceGradients(NamedTuple):
    """Gradients in the arguments, and the selected choices with their gradients, at the same addresses."""

    args: ArgGradients
    values: ChoiceMap
    gradients: ChoiceMap

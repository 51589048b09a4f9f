"""Recurse: trees of random shape, grown from the root and folded from the leaves."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, Generic, TypeVar, final

from gen_combinators.composed import Composed
from gen_combinators.errors import KernelError
from gen_combinators.recurse_edit import tree_of
from gen_combinators.recurse_grow import assess, generate, simulate
from gen_combinators.recurse_regenerate import regenerate
from gen_combinators.recurse_update import update
from gen_core import GenerativeFunction, ParameterError, rooms, total

if TYPE_CHECKING:
    from torch import Tensor

    from gen_core import ArgDiffs, Call, ChoiceMap, Generated, Selection, Trace, Updated

U = TypeVar("U")
V = TypeVar("V")
W = TypeVar("W")


@final
class Recurse(Composed[Concatenate[U, ...], W], Generic[U, W]):
    """A random tree: `Recurse(production, aggregation, max_branch)(root_input, root_index=0)`.

    From the root downwards, level by level, the production kernel turns the input of a node into its
    value and the inputs of its children. Then, from the leaves up, the aggregation kernel turns the value
    of a node and the results of its children into the result of the node. The result of the root is
    returned.

    Nodes have numbers: the root is `root_index`, child k of node n is `n * max_branch + 1 + k`. The choices
    of the kernels at node n are below `(n, "production")` and `(n, "aggregation")`.

    An edit runs the productions that are constrained, selected, or whose input changed, grows what is new,
    drops what is gone, and runs the aggregations from there towards the root, until one reports that its
    result is unchanged. What it costs depends on what changed and the depth of the tree, not on its size.

    Two are equal if made of equal parts.

    Example:
        >>> @gen
        ... def split(length: float) -> tuple[float, list[float]]:
        ...     if length > 0.5 and bernoulli(0.8) @ "splits":
        ...         at = uniform(0.0, 1.0) @ "at"
        ...         return length, [at * length, (1 - at) * length]
        ...     return length, []
        >>>
        >>> @gen
        ... def count(length: float, leaves: Sequence[int]) -> int:
        ...     return sum(leaves) or 1
        >>>
        >>> pieces = Recurse(split, count, max_branch=2)
    """

    def __init__(
        self,
        production: Callable[[U], Call[tuple[V, Sequence[U]]]],
        aggregation: Callable[[V, Sequence[W]], Call[W]],
        max_branch: int,
    ) -> None:
        """Make a tree of two kernels.

        Args:
            production: The generative function `input -> (value, inputs of the children)`.
            aggregation: The generative function `(value, results of the children) -> result`; the results
                come as a tuple.
            max_branch: The most children that a node may have, at least 1.

        Raises:
            KernelError: A kernel is no generative function, or takes other arguments.
            ParameterError: `max_branch` is not a positive integer.
        """
        self.production = _kernel(production, ("an input",))
        self.aggregation = _kernel(aggregation, ("a value", "a sequence of results"))
        self.max_branch = operator.index(max_branch)
        name = f"Recurse({self.production.name}, {self.aggregation.name})"
        super().__init__(name, inspect.signature(_signature))
        if self.max_branch < 1:
            raise ParameterError(name, "max_branch", "at least 1", max_branch)

    def root_of(self, call: Call[Any]) -> int:
        """Return the number of the root.

        Raises:
            ParameterError: It is negative.
        """
        root = operator.index(call.args[1])
        if root < 0:
            raise ParameterError(self.name, "root_index", "the number of a node, at least 0", root)
        return root

    @property
    def parts(self) -> tuple[object, ...]:
        """The two kernels and the largest number of children."""
        return self.production, self.aggregation, self.max_branch

    def do_simulate(self, call: Call[Any], /) -> Trace[W]:
        """Draw every choice of every kernel."""
        return simulate(self, call)

    def do_generate(self, call: Call[Any], constraints: ChoiceMap, /) -> Generated[W]:
        """Weight: the sum of the kernels' generate weights."""
        return generate(self, call, constraints)

    def do_assess(self, call: Call[Any], choices: ChoiceMap, /) -> Trace[W]:
        """Take every choice from `choices`."""
        return assess(self, call, choices)

    def do_update(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, constraints: ChoiceMap, /
    ) -> Updated[W]:
        """Weight: kernels' update weights, generate weights of new kernels, minus scores of vanished ones."""
        return update(self, trace, call, argdiffs, constraints)

    def do_regenerate(
        self, trace: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, selection: Selection, /
    ) -> Updated[W]:
        """Weight: kernels' weights, minus project(NONE) of vanished kernels."""
        return regenerate(self, trace, call, argdiffs, selection)

    def do_project(self, trace: Trace[Any], selection: Selection, /) -> Tensor:
        """Sum the kernels' projections; those of kernels that are not selected are not always 0."""
        tree = tree_of(trace)
        return total(
            rooms.project(kernel, selection.child(number).child(part))
            for number, node in tree.nodes.items()
            for part, kernel in node.kernels()
        )


def _kernel(given: object, arguments: tuple[str, ...]) -> GenerativeFunction[..., Any]:
    if not isinstance(given, GenerativeFunction):
        raise KernelError("Recurse", given, "be a generative function")
    try:
        given.binder.bind(arguments, {})
    except TypeError:
        raise KernelError("Recurse", given, f"take {' and '.join(arguments)}") from None
    return given


def _signature(root_input: Any, root_index: int = 0) -> Any:
    raise NotImplementedError

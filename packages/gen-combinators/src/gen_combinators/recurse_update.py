"""update of a tree: kernels keep every choice that is not constrained."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, final

from gen_combinators.recurse_edit import Edit, tree_of
from gen_core import Updated, derived, rooms

if TYPE_CHECKING:
    from torch import Tensor

    from gen_combinators.recurse import Recurse
    from gen_combinators.recurse_trace import RecurseTrace
    from gen_core import ArgDiffs, Call, ChoiceMap, Generated, Path, Trace
    from gen_core.address import PathPart


def update(
    gen_fn: Recurse[Any, Any], old: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, constraints: ChoiceMap
) -> Updated[Any]:
    """Return the updated tree.

    weight = sum of the update weights of kernels that stay, + generate weights of new ones, - scores of
    vanished ones
    """
    tree = tree_of(old)
    if gen_fn.root_of(call) != gen_fn.root_of(tree.call):
        return derived.update(tree, call, constraints)  # every number may stand for another node
    return _Update(gen_fn, tree, call, constraints).run(argdiffs[0])


@final
class _Update(Edit):
    def __init__(
        self, gen_fn: Recurse[Any, Any], old: RecurseTrace[Any], call: Call[Any], constraints: ChoiceMap
    ) -> None:
        super().__init__(gen_fn, old, call)
        self.constraints = constraints

    def touched(self) -> Iterable[PathPart]:
        return self.constraints.child_keys()

    def touches(self, path: Path) -> bool:
        return not self.constraints.submap(path).is_empty

    def edit(self, path: Path, kernel: Trace[Any], call: Call[Any], diffs: ArgDiffs) -> Updated[Any]:
        return rooms.update(kernel, call, diffs, self.constraints.submap(path))

    def add(self, path: Path, call: Call[Any]) -> Generated[Any]:
        return rooms.generate(call, self.constraints.submap(path))

    def leave(self, kernel: Trace[Any]) -> Tensor:
        return -kernel.score

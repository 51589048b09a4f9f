"""regenerate of a tree: kernels draw their selected choices again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, final

from gen_combinators.recurse_edit import Edit, tree_of
from gen_core import EMPTY, NONE, Updated, derived, rooms

if TYPE_CHECKING:
    from torch import Tensor

    from gen_combinators.recurse import Recurse
    from gen_combinators.recurse_trace import RecurseTrace
    from gen_core import ArgDiffs, Call, Generated, Path, Selection, Trace
    from gen_core.address import PathPart


def regenerate(
    gen_fn: Recurse[Any, Any], old: Trace[Any], call: Call[Any], argdiffs: ArgDiffs, selection: Selection
) -> Updated[Any]:
    """Return the regenerated tree.

    weight = sum of the regenerate weights of kernels that stay, + generate weights of new ones, -
    project(NONE) of vanished ones
    """
    tree = tree_of(old)
    if gen_fn.root_of(call) != gen_fn.root_of(tree.call):
        return derived.regenerate(tree, call, selection)  # every number may stand for another node
    return _Regenerate(gen_fn, tree, call, selection).run(argdiffs[0])


@final
class _Regenerate(Edit):
    def __init__(
        self, gen_fn: Recurse[Any, Any], old: RecurseTrace[Any], call: Call[Any], selection: Selection
    ) -> None:
        super().__init__(gen_fn, old, call)
        self.selection = selection

    def touched(self) -> Iterable[PathPart]:
        keys = self.selection.keys()
        return self.old.nodes if keys is None else keys

    def touches(self, path: Path) -> bool:
        return self.selection.under(path) is not NONE

    def edit(self, path: Path, kernel: Trace[Any], call: Call[Any], diffs: ArgDiffs) -> Updated[Any]:
        return rooms.regenerate(kernel, call, diffs, self.selection.under(path))

    def add(self, path: Path, call: Call[Any]) -> Generated[Any]:
        return rooms.generate(call, EMPTY)

    def leave(self, kernel: Trace[Any]) -> Tensor:
        return -rooms.project(kernel, NONE)

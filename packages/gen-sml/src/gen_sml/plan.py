"""The plan of a graph: which slot of a trace holds what each node computes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, final

from gen_core.address import Path, PathPart
from gen_sml.claims import Claims
from gen_sml.graph import Argument, Compute, Expression, Graph, Parameter, Visit


@final
class Plan:
    """Numbers for the visits of a graph, and for the values that a trace keeps.

    A visit at an address has a record, `@ inline` a splice, and a deterministic node or parameter that
    anything reads has a value for each variable that it defines.
    """

    def __init__(self, graph: Graph) -> None:
        """Number the slots of a graph.

        Raises:
            DuplicateAddressError: Two visits have one literal address, or one is below another's.
        """
        read = {name for node in graph.nodes for name in node.reads} | set(graph.result.reads)
        self.graph = graph
        self.arguments = tuple(node.name for node in graph.nodes if isinstance(node, Argument))
        self.visits = tuple(graph.visits())
        """In the order of the source; their positions are the numbers that edits use."""
        self.numbers = tuple(_slot_numbers(self.visits))
        """For each visit, the number of its record or splice, and whether it is a splice."""
        self.records = tuple(visit for visit in self.visits if visit.address is not None)
        self.splices = tuple(visit for visit in self.visits if visit.address is None)
        self.slots = {
            **{visit.target: f"records[{i}].retval" for i, visit in enumerate(self.records)},
            **{visit.target: f"splices[{i}].retval" for i, visit in enumerate(self.splices)},
        }
        """Where a trace has the value of each variable, as generated code writes it."""
        self.values = {name: i for i, name in enumerate(_kept(graph, read))}
        self.slots |= {name: f"values[{i}]" for name, i in self.values.items()}
        self.literals = tuple(map(literal_path, self.records))
        """The address of each record, None where a part of it is computed."""
        self.is_fixed = not self.splices and None not in self.literals
        """Whether every trace has the same addresses."""
        self.index = {path: i for i, path in enumerate(self.literals) if path is not None}
        self.depth = max([1, *map(len, self.index)]) if self.is_fixed else sys.maxsize
        """How many parts the addresses of visits have at most."""
        self.unchanged = (False,) * len(self.arguments)
        """What is said of the arguments of an edit that changes none."""
        self.tree = AddressTree()
        """The visits by the literal parts that their addresses begin with."""
        for number, visit in enumerate(self.visits):
            self.tree.place(number, visit)
        self._refuse_duplicates()

    def _refuse_duplicates(self) -> None:
        claims = Claims()
        for visit, path in zip(self.records, self.literals, strict=True):
            if path is not None:
                claims.add(path, self.place_of(visit))

    def place_of(self, node: Any) -> str:
        """Return `name (file:line)`, as messages name a node."""
        return f"{self.graph.name} ({node.place.file}:{node.place.line})"


@final
class AddressTree:
    """Visits by address, as far as it is literal."""

    __slots__ = ("below", "computed", "visit")

    def __init__(self) -> None:
        self.visit: int | None = None
        """The visit whose address ends here."""
        self.computed: list[int] = []
        """Visits whose addresses go on with a part that is computed; here `@ inline` is too."""
        self.below: dict[PathPart, AddressTree] = {}

    def place(self, number: int, visit: Visit) -> None:
        """Add a visit."""
        tree = self
        for part in visit.address or ():
            if isinstance(part, Expression):
                break
            tree = tree.below.setdefault(part, AddressTree())
        if literal_path(visit) is None:
            tree.computed.append(number)
        else:
            tree.visit = number


def literal_path(visit: Visit) -> Path | None:
    """Return the address of a visit if no part of it is computed."""
    parts = visit.address or ()
    literal = tuple(part for part in parts if not isinstance(part, Expression))
    return literal if len(literal) == len(parts) and visit.address is not None else None


def _slot_numbers(visits: tuple[Visit, ...]) -> Iterator[tuple[int, bool]]:
    counts = {False: 0, True: 0}
    for visit in visits:
        is_splice = visit.address is None
        yield counts[is_splice], is_splice
        counts[is_splice] += 1


def _kept(graph: Graph, read: set[str]) -> Iterator[str]:
    for node in graph.nodes:
        if isinstance(node, Compute | Parameter):
            yield from (target for target in node.targets if target in read)

"""Generated code: the body of a static function, as one operation runs it.

Simulate, generate, assess and sample run every node in order. So do edits that nothing is known about:
what runs is the user's body, with traced calls handed to the run. `codegen_edit` writes the others.
"""

from __future__ import annotations

import inspect
import linecache
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

from gen_sml.graph import Argument, Compute, Expression, Graph, Parameter, Place, Visit

if TYPE_CHECKING:
    from gen_sml.plan import Plan


@final
class Names:
    """Names that do not collide with those of the user."""

    def __init__(self, graph: Graph) -> None:
        """Know every identifier that occurs in a graph."""
        expressions = [graph.result.source]
        for node in graph.nodes:
            expressions += _sources(node)
        self._taken = {word for source in expressions for word in _WORD.findall(source)}
        self._taken |= {target for node in graph.nodes for target in node.targets}
        self._taken |= {*graph.signature.parameters, *graph.scope.cells}

    def fresh(self, name: str) -> str:
        """Return `name`, with underscores behind it where the user has it already."""
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name


@final
@dataclass
class Code:
    """Lines of generated code, and the user's line that each stands for."""

    name: str
    lines: list[str] = field(default_factory=list[str])
    places: dict[int, Place] = field(default_factory=dict[int, Place])
    _indent: int = 0
    _place: Place | None = None

    def add(self, text: str) -> None:
        """Add lines at the current indentation."""
        for line in text.splitlines():
            self.lines.append("    " * self._indent + line)
            if self._place is not None:
                self.places[len(self.lines)] = self._place

    def at(self, place: Place) -> None:
        """Say in a comment which line of the user the next lines stand for."""
        self._place = place
        text = linecache.getline(place.file, place.line).strip()
        name = re.split(r"[\\/]", place.file)[-1]
        self.add(f"# {name}:{place.line}  {text}".rstrip())

    def indent(self, levels: int = 1) -> None:
        """Indent the next lines by so many levels more."""
        self._indent += levels

    @property
    def text(self) -> str:
        """All lines."""
        return "\n".join(self.lines) + "\n"


def straight(plan: Plan, operation: str) -> Code:
    """Return code that runs every node in order."""
    graph = plan.graph
    names = Names(graph)
    run = names.fresh("run")
    # The user may mean something else by the operation's name.
    code = Code(names.fresh(operation))
    code.add(f"def {code.name}({parameters(graph, run)}):")
    code.indent()
    for node in graph.nodes:
        if isinstance(node, Argument):
            continue
        code.at(node.place)
        if isinstance(node, Visit):
            method = "at" if node.address is not None else "inline"
            code.add(f"{node.target} = {run}.{method}({visit_arguments(node, run)})")
        else:
            code.add(assignment(node))
    code.at(graph.place)
    code.add(f"{run}.values = [{', '.join(plan.values)}]")
    code.add(f"return {graph.result.source}")
    return code


def parameters(graph: Graph, run: str) -> str:
    """Return the parameters of a generated function: the run, and those of the user without defaults."""
    kinds = [parameter.kind for parameter in graph.signature.parameters.values()]
    parts = [run]
    if inspect.Parameter.POSITIONAL_ONLY not in kinds:
        parts.append("/")
    has_star = False
    for position, (name, kind) in enumerate(zip(graph.signature.parameters, kinds, strict=True)):
        if kind is inspect.Parameter.VAR_POSITIONAL:
            parts.append(f"*{name}")
            has_star = True
        elif kind is inspect.Parameter.VAR_KEYWORD:
            parts.append(f"**{name}")
        elif kind is inspect.Parameter.KEYWORD_ONLY and not has_star:
            parts += ["*", name]
            has_star = True
        else:
            parts.append(name)
        is_last_positional_only = kinds[position + 1 : position + 2] != [inspect.Parameter.POSITIONAL_ONLY]
        if kind is inspect.Parameter.POSITIONAL_ONLY and is_last_positional_only:
            parts.append("/")
    return ", ".join(parts)


def assignment(node: Compute | Parameter) -> str:
    """Return the user's statement for a node that makes no random choice."""
    if isinstance(node, Parameter):
        return f"{node.target} = {node.call.source}"
    if not node.is_expression:
        return node.body.source
    return f"{node.targets[0]} = {node.body.source}" if node.targets else node.body.source


def visit_arguments(visit: Visit, run: str) -> str:
    """Return what the run is told of a visit: the call, and the address."""
    return visit.call.source if visit.address is None else f"{visit.call.source}, {address(visit, run)}"


def address(visit: Visit, run: str) -> str:
    """Return the source of a normalised address."""
    parts = visit.address or ()
    if all(not isinstance(part, Expression) for part in parts):
        return repr(parts)
    sources = [part.source if isinstance(part, Expression) else repr(part) for part in parts]
    given = f"({sources[0]})" if len(parts) == 1 else f"({', '.join(sources)})"
    return f"{run}.path{given}" if len(parts) == 1 else f"{run}.path({given})"


def _sources(node: object) -> list[str]:
    if isinstance(node, Compute):
        return [node.body.source]
    if isinstance(node, Parameter):
        return [node.call.source]
    if isinstance(node, Visit):
        parts = [part.source for part in node.address or () if isinstance(part, Expression)]
        return [node.call.source, *parts]
    return []


_WORD = re.compile(r"[^\W\d]\w*")

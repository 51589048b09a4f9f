"""Names in a syntax tree: what statements bind, and renaming that respects Python's scopes."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from typing import Any, TypeAlias, final

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)

Read: TypeAlias = "Callable[[ast.Name], ast.expr]"
"""What stands for a name that is read."""

Write: TypeAlias = "Callable[[str], str]"
"""What a name is called where it is assigned."""


def bound_names(statements: Iterable[ast.AST]) -> list[str]:
    """Return the names that statements, or an expression, bind in their own scope, in order."""
    names = dict[str, None]()
    for statement in statements:
        for name in _bindings(statement):
            names[name] = None
    return list(names)


def all_names(tree: ast.AST) -> set[str]:
    """Return every name that occurs, in whichever scope."""
    names = set[str]()
    for node in ast.walk(tree):
        names.update(_names_of(node))
        if isinstance(node, ast.Name):
            names.add(node.id)
    return names


def bound_anywhere(tree: ast.AST) -> set[str]:
    """Return every name that is bound in any scope of `tree`."""
    names = set[str]()
    for node in ast.walk(tree):
        names.update(_names_of(node))
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
    return names


def parameters(arguments: ast.arguments) -> list[ast.arg]:
    """Return the parameters of a function, in the order of its signature."""
    stars = [arguments.vararg] if arguments.vararg else []
    keywords = [arguments.kwarg] if arguments.kwarg else []
    return [*arguments.posonlyargs, *arguments.args, *stars, *arguments.kwonlyargs, *keywords]


def name(identifier: str, at: ast.AST, *, store: bool = False) -> ast.Name:
    """Return a name in the place of another node."""
    made = ast.Name(identifier, ast.Store() if store else ast.Load())
    return ast.copy_location(made, at)


def variable(identifier: str, at: ast.AST) -> ast.Name:
    """Return a name that reads a variable of the graph."""
    made = name(identifier, at)
    _mark(made)
    return made


def reads_of(tree: ast.AST) -> tuple[str, ...]:
    """Return the variables of the graph that a tree reads, in order of first use."""
    return tuple(
        dict.fromkeys(node.id for node in _in_order(tree) if isinstance(node, ast.Name) and _is(node))
    )


def rename(tree: Any, read: Read, write: Write) -> Any:
    """Return a copy of a tree with the names of its own scope replaced.

    Names that a nested function, class or comprehension binds are left alone inside of it.
    """
    return _Renamer(read, write).visit(deepcopy(tree))


def _mark(node: ast.Name) -> None:
    setattr(node, _MARK, True)


def _is(node: ast.Name) -> bool:
    return getattr(node, _MARK, False)


def _in_order(tree: ast.AST) -> Iterator[ast.AST]:
    yield tree
    for child in ast.iter_child_nodes(tree):
        yield from _in_order(child)


def _names_of(node: ast.AST) -> Iterator[str]:
    """Yield the names that a node binds by itself, other than as `ast.Name`."""
    if isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.alias):
        yield node.asname or node.name.partition(".")[0]
    elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
        yield node.name
    elif isinstance(node, ast.MatchMapping) and node.rest:
        yield node.rest


def _bindings(node: ast.AST) -> Iterator[str]:
    yield from _names_of(node)
    if isinstance(node, ast.Name):
        if not isinstance(node.ctx, ast.Load):
            yield node.id
    elif isinstance(node, COMPREHENSIONS):
        # Its targets are its own; what `:=` assigns in it is not.
        for inner in ast.walk(node):
            if isinstance(inner, ast.NamedExpr):
                yield from _bindings(inner.target)
    else:
        for child in _outer_parts(node):
            yield from _bindings(child)


def _outer_parts(node: ast.AST) -> Iterable[ast.AST]:
    """Return the children of a node that are evaluated in the scope around it."""
    if isinstance(node, ast.Lambda):
        return _defaults(node.args)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return [*node.decorator_list, *_defaults(node.args)]
    if isinstance(node, ast.ClassDef):
        return [*node.decorator_list, *node.bases, *node.keywords]
    return ast.iter_child_nodes(node)


def _defaults(arguments: ast.arguments) -> list[ast.expr]:
    return [*arguments.defaults, *(default for default in arguments.kw_defaults if default)]


@final
class _Renamer(ast.NodeTransformer):
    def __init__(self, read: Read, write: Write) -> None:
        self.read = read
        self.write = write
        self.hidden = frozenset[str]()
        self.class_hidden = frozenset[str]()

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self.hidden or node.id in self.class_hidden or _is(node):
            return node
        if isinstance(node.ctx, ast.Load):
            return self.read(node)
        node.id = self.write(node.id)
        return node

    def visit_NamedExpr(self, node: ast.NamedExpr) -> ast.expr:
        node.value = self.visit(node.value)
        node.target = self.visit(node.target)
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.expr:
        self._visit_defaults(node.args)
        own = [argument.arg for argument in parameters(node.args)]
        node.body = self._inside([*own, *bound_names([node.body])], [node.body])[0]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.stmt:
        node.decorator_list = [self.visit(decorator) for decorator in node.decorator_list]
        self._visit_defaults(node.args)
        for argument in parameters(node.args):
            if argument.annotation:
                argument.annotation = self.visit(argument.annotation)
        if node.returns:
            node.returns = self.visit(node.returns)
        own = [argument.arg for argument in parameters(node.args)]
        node.name = self._written(node.name)
        node.body = self._inside([*own, *bound_names(node.body)], node.body)
        return node

    visit_AsyncFunctionDef: Any = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.stmt:
        node.decorator_list = [self.visit(decorator) for decorator in node.decorator_list]
        node.bases = [self.visit(base) for base in node.bases]
        node.keywords = [self.visit(keyword) for keyword in node.keywords]
        node.name = self._written(node.name)
        outer = self.class_hidden
        self.class_hidden = frozenset(bound_names(node.body))
        node.body = [self.visit(statement) for statement in node.body]
        self.class_hidden = outer
        return node

    def visit_comprehension_of(self, node: Any) -> ast.expr:
        first, *others = node.generators
        first.iter = self.visit(first.iter)
        own = bound_names(generator.target for generator in node.generators)
        parts: list[Any] = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        targets = [first.target, *first.ifs, *others]
        done = self._inside(own, [*parts, *targets])
        if isinstance(node, ast.DictComp):
            node.key, node.value = done[:2]
        else:
            node.elt = done[0]
        done = done[len(parts) :]
        first.target, first.ifs = done[0], done[1 : 1 + len(first.ifs)]
        node.generators = [first, *done[1 + len(first.ifs) :]]
        return node  # type: ignore[no-any-return]

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_comprehension_of

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        if node.name:
            node.name = self._written(node.name)
        return self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs) -> ast.AST:
        if node.name:
            node.name = self._written(node.name)
        return self.generic_visit(node)

    def visit_MatchStar(self, node: ast.MatchStar) -> ast.AST:
        if node.name:
            node.name = self._written(node.name)
        return node

    def visit_MatchMapping(self, node: ast.MatchMapping) -> ast.AST:
        if node.rest:
            node.rest = self._written(node.rest)
        return self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> ast.AST | list[ast.stmt]:
        return [self._imported(alias, node) for alias in node.names]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        for alias in node.names:
            written = self._written(alias.asname or alias.name)
            alias.asname = written if written != alias.name else None
        return node

    def _imported(self, alias: ast.alias, node: ast.Import) -> ast.stmt:
        own = alias.asname or alias.name.partition(".")[0]
        written = self._written(own)
        if written == own:
            made: ast.stmt = ast.Import([alias])
        elif alias.asname or "." not in alias.name:
            made = ast.Import([ast.alias(alias.name, written)])
        else:  # `import a.b` binds `a`
            value = ast.Call(ast.Name("__import__", ast.Load()), [ast.Constant(alias.name)], [])
            made = ast.Assign([ast.Name(written, ast.Store())], value)
        return ast.fix_missing_locations(ast.copy_location(made, node))

    def _written(self, identifier: str) -> str:
        return identifier if identifier in self.hidden | self.class_hidden else self.write(identifier)

    def _visit_defaults(self, arguments: ast.arguments) -> None:
        arguments.defaults = [self.visit(default) for default in arguments.defaults]
        arguments.kw_defaults = [default and self.visit(default) for default in arguments.kw_defaults]

    def _inside(self, own: Iterable[str], parts: Sequence[Any]) -> list[Any]:
        """Visit parts of a nested scope that binds `own`; a function does not see a class around it."""
        outer = self.hidden, self.class_hidden
        self.hidden, self.class_hidden = self.hidden | frozenset(own), frozenset()
        try:
            return [self.visit(part) for part in parts]
        finally:
            self.hidden, self.class_hidden = outer


_MARK = "gen_variable"

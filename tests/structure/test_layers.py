"""Imports between our packages only point down."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = sorted(path.name.replace("-", "_") for path in (ROOT / "packages").iterdir())
BELOW = {
    "gen_core": set[str](),
    "gen_distributions": {"gen_core"},
    "gen_dml": {"gen_core", "gen_distributions"},
    "gen_sml": {"gen_core", "gen_distributions"},
    "gen_combinators": {"gen_core", "gen_distributions"},
    "gen_torch": {"gen_core", "gen_distributions"},
    "gen_inflib": {"gen_core", "gen_distributions"},
}
# An extra may be missing, so it is imported where it is used.
INSIDE_FUNCTIONS = {"gen_inflib": {"gen_torch"}}


class Import(NamedTuple):
    package: str
    line: int
    inside_function: bool


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_only_point_down(package: str) -> None:
    source = ROOT / "packages" / package.replace("_", "-") / "src" / package

    upward = [
        f"{path.relative_to(ROOT)}:{found.line} imports {found.package}"
        for path in sorted(source.rglob("*.py"))
        for found in imports(ast.parse(path.read_text(encoding="utf-8")))
        if not is_allowed(package, found)
    ]

    assert upward == []


def test_an_upward_import_is_found_wherever_it_hides() -> None:
    program = "def run():\n    import os, gen_torch.loops\n\nif True:\n    from gen_dml import gen\n"

    found = list(imports(ast.parse(program)))

    assert Import("gen_torch", 2, inside_function=True) in found
    assert Import("gen_dml", 5, inside_function=False) in found
    assert [is_allowed("gen_inflib", each) for each in found] == [True, True, False]
    assert not is_allowed("gen_inflib", Import("gen_torch", 1, inside_function=False))


def is_allowed(importer: str, found: Import) -> bool:
    if found.package not in BELOW or found.package in {importer} | BELOW[importer]:
        return True
    return found.inside_function and found.package in INSIDE_FUNCTIONS.get(importer, set())


def imports(node: ast.AST, inside_function: bool = False) -> Iterator[Import]:
    inside_function = inside_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name.split(".")[0], child.lineno, inside_function)
        elif isinstance(child, ast.ImportFrom) and child.level == 0:
            yield Import((child.module or "").split(".")[0], child.lineno, inside_function)
        else:
            yield from imports(child, inside_function)

"""Public names change on purpose.

`python tests/structure/test_public_names.py --update`, inside `hatch shell`, pins what there is now.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PINNED = Path(__file__).parent / "public_names"
PACKAGES = sorted(path.name.replace("-", "_") for path in (ROOT / "packages").iterdir())


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_are_the_pinned_ones(package: str) -> None:
    pin = PINNED / f"{package}.txt"
    pinned = pin.read_text(encoding="utf-8").split() if pin.exists() else []

    assert public_names(package) == pinned, "run this file with --update, if that is meant"


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_are_sorted_and_exist(package: str) -> None:
    module = importlib.import_module(package)
    names = public_names(package)

    assert names == sorted(set(names))
    assert [name for name in names if not hasattr(module, name)] == []


def public_names(package: str) -> list[str]:
    return list(importlib.import_module(package).__all__)


def pin_public_names() -> None:
    PINNED.mkdir(exist_ok=True)
    for package in PACKAGES:
        text = "".join(f"{name}\n" for name in public_names(package))
        (PINNED / f"{package}.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] != ["--update"]:
        sys.exit(f"usage: python {sys.argv[0]} --update")
    pin_public_names()

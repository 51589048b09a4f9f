"""The reference of inference speaks of every public name, and of every option of every algorithm."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import gen_inflib
from gen_inflib import diagnostics

PAGES = Path(__file__).parents[2] / "docs" / "reference" / "inference"
TEXT = {page.name: page.read_text(encoding="utf-8") for page in PAGES.glob("*.md")}
FUNCTIONS = [name for name in gen_inflib.__all__ if inspect.isfunction(getattr(gen_inflib, name))]


def public_names() -> list[str]:
    return [name for module in (gen_inflib, diagnostics) for name in module.__all__]


@pytest.mark.parametrize("name", public_names())
def test_a_page_speaks_of_every_public_name(name: str) -> None:
    assert any(re.search(rf"\b{name}\b", text) for text in TEXT.values())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_option_of_a_function_is_in_its_signature_in_the_reference(name: str) -> None:
    signatures = [
        found.group(0)
        for text in TEXT.values()
        for found in re.finditer(rf"^(\| `)?{name}\(.*?(\n\n|```|\|)", text, re.MULTILINE | re.DOTALL)
    ]
    options = list(inspect.signature(getattr(gen_inflib, name)).parameters)

    assert any(all(re.search(rf"\b{option}\b", text) for option in options) for text in signatures)

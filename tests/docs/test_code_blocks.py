"""Every Python code block in the README and the docs runs; the blocks of one file share a namespace."""

from __future__ import annotations

import linecache
import re
from pathlib import Path

import pytest
import torch
from sybil import Example, Sybil
from sybil.evaluators.python import pad
from sybil.parsers.markdown import PythonCodeBlockParser

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("packages/*/*.md")])
# A block in another language does not run, so a slip like ```py must not be one.
LANGUAGES = {"bash", "csv", "dot", "json", "julia", "mermaid", "python", "text", "toml"}
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
COUNTING = {
    "docs/how-to/edit-traces.md",
    "docs/tutorials/combinators.md",
    "docs/tutorials/scaling-with-the-static-language.md",
}
"""Pages that count or time what an edit runs, or train what no hint speaks of."""
PAGES = [
    pytest.param(path, id=name, marks=pytest.mark.unverified if name in COUNTING else ())
    for path, name in zip(DOCUMENTS, NAMES, strict=True)
]


@pytest.mark.parametrize("document", PAGES)
def test_code_blocks_run(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    torch.manual_seed(0)

    for example in examples_of(document, monkeypatch):
        example.evaluate()


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_every_code_block_names_its_language(document: Path) -> None:
    fences = re.findall(r"^[ \t]*(?:```|~~~)(.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)

    assert set(fences[::2]) <= LANGUAGES
    assert set(fences[1::2]) <= {""}


def test_a_python_block_that_fails_is_noticed(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("```python\nx = 1\n```\n\n```python\nassert x == 2\n```\n", encoding="utf-8")
    first, second = Sybil(parsers=[PythonCodeBlockParser()]).parse(document)

    first.evaluate()

    with pytest.raises(AssertionError):
        second.evaluate()


def examples_of(document: Path, monkeypatch: pytest.MonkeyPatch) -> list[Example]:
    """Return the Python blocks of a page, and let those who ask for its source see these alone.

    A static function is parsed from its source, which Python would look up in the page.
    """
    examples = list(Sybil(parsers=[PythonCodeBlockParser()]).parse(document))
    lines: list[str] = []
    for example in examples:
        padded = pad(example.parsed, example.line + example.parsed.line_offset)
        lines += padded.splitlines(keepends=True)[len(lines) :]
    # Without a time of change, the entry is not compared with the file.
    monkeypatch.setitem(linecache.cache, str(document), (len(lines), None, lines, str(document)))
    return examples

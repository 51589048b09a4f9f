"""What mypy and pyright, both strict, say about the accepted and the rejected programs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SOURCES = sorted(str(path) for path in (ROOT / "packages").glob("*/src"))


class Mistake(NamedTuple):
    line: int
    message: str


@pytest.fixture(scope="module", params=["mypy", "pyright"])
def checker(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def mistakes(checker: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Mistake]]:
    files = [HERE / "accepted.py", HERE / "rejected.py"]
    return mypy(files) if checker == "mypy" else pyright(files, tmp_path_factory.mktemp("pyright"))


def test_accepted_programs_have_no_mistake(mistakes: dict[str, list[Mistake]]) -> None:
    assert mistakes["accepted.py"] == []


def test_every_marked_line_is_rejected(checker: str, mistakes: dict[str, list[Mistake]]) -> None:
    found = {mistake.line for mistake in mistakes["rejected.py"]}

    assert [line for line in marked(checker) if line not in found] == []


def test_no_other_line_is_rejected(checker: str, mistakes: dict[str, list[Mistake]]) -> None:
    expected = marked(checker)

    assert [mistake for mistake in mistakes["rejected.py"] if mistake.line not in expected] == []


def test_the_marks_are_read() -> None:
    assert len(marked("mypy")) >= 25
    assert len(marked("pyright")) >= 25


def marked(checker: str) -> list[int]:
    """Return the numbers of the lines that `checker` must reject."""
    mark = re.compile(rf"# E(\({checker}\))?: ")
    lines = (HERE / "rejected.py").read_text(encoding="utf-8").splitlines()
    return [number for number, line in enumerate(lines, start=1) if mark.search(line)]


def mypy(files: list[Path]) -> dict[str, list[Mistake]]:
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "mypy.ini"), "--output=json"]
    done = subprocess.run([*command, *map(str, files)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    reports = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    errors = [report for report in reports if report["severity"] == "error"]
    return by_file(files, [(each["file"], each["line"], each["message"]) for each in errors])


def pyright(files: list[Path], folder: Path) -> dict[str, list[Mistake]]:
    # `normal(0.0, 1.0) @ "x"` is a statement: it makes a choice.
    statements = {"reportUnusedExpression": False}
    settings = {"extraPaths": SOURCES, "typeCheckingMode": "strict", "pythonVersion": "3.11", **statements}
    for path in files:  # it looks at no file above its settings
        shutil.copy(path, folder)
    project = folder / "pyrightconfig.json"
    project.write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-m", "pyright", "--project", str(project), "--pythonpath", sys.executable]
    done = subprocess.run([*command, "--outputjson"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == len(files)
    errors = [each for each in report["generalDiagnostics"] if each["severity"] == "error"]
    return by_file(
        files, [(each["file"], each["range"]["start"]["line"] + 1, each["message"]) for each in errors]
    )


def by_file(files: list[Path], errors: list[tuple[Any, Any, Any]]) -> dict[str, list[Mistake]]:
    found: dict[str, list[Mistake]] = {path.name: [] for path in files}
    for file, line, message in errors:
        found[Path(file).name].append(Mistake(line, message))
    return found

"""The top level of the repository holds what it is said to hold, and nothing else."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
ALLOWED = {"LICENSE", "README.md", "docs", "hatch.toml", "mypy.ini", "packages", "tests"}


def test_the_top_level_holds_exactly_the_allowed_names() -> None:
    names = {path.split("/")[0] for path in repository_files()}

    assert {name for name in names if not name.startswith(".")} == ALLOWED


def repository_files() -> list[str]:
    """List what git tracks or would track; where there is no git, what lies there."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        return [path.name for path in ROOT.iterdir()]
    return [path for path in listing.stdout.split("\0") if path and (ROOT / path).exists()]

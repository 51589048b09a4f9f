"""The third-party packages of this folder, built as wheels and installed by pip in a folder of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

HERE = Path(__file__).parent

Run: TypeAlias = Callable[..., str]
"""Runs a program with some of the packages installed, and returns what it prints."""


@pytest.fixture(scope="module")
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return what runs programs beside the packages that the test's module names in `PACKAGES`."""
    wheels, site = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("site")
    for package in request.module.PACKAGES:
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)]
        subprocess.run(build, cwd=HERE / package, check=True, capture_output=True)
    pip = [sys.executable, "-m", "pip", "--isolated", "install", "--quiet", "--no-deps", "--no-index"]
    found = map(str, wheels.glob("*.whl"))
    subprocess.run([*pip, "--target", str(site), *found], check=True, capture_output=True)

    def run(program: str, **variables: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1", **variables}
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "GenWarning" not in done.stderr
        return done.stdout.strip()

    return run

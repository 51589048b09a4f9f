"""What tests of the static language share."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Define = Callable[..., Any]

PRELUDE = """\
import torch
from torch import Tensor

import gen_core
import gen_distributions
from gen_core import Key, inline, param
from gen_distributions import bernoulli, normal, uniform_discrete

SLOPE = Key("slope")
NESTED = Key("nested", 3)
NAME = "named"
PAIR = ("a", 1)
WEIGHTS = torch.eye(2)
RESULTS = []


def double(x):
    return 2 * x


def pair(x):
    return x, x + 1


"""


@pytest.fixture
def define(tmp_path: Path) -> Define:
    """Return a function that writes source to a file, runs it, and returns what it calls `model`."""
    count = iter(range(1000))

    def define(source: str, name: str = "model") -> Any:
        path = tmp_path / f"snippet_{next(count)}.py"
        path.write_text(PRELUDE + textwrap.dedent(source))
        scope: dict[str, Any] = {"__name__": "snippet", "__file__": str(path)}
        exec(compile(path.read_text(), str(path), "exec", dont_inherit=True), scope)
        return scope[name]

    return define

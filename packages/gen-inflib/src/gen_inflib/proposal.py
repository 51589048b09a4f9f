"""Proposals that look at the current trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from gen_core import Call, Trace

R = TypeVar("R")

Proposal: TypeAlias = Callable[[Trace[R]], Call[Any]]
"""A generative function of the current trace, or any function from it to a call."""

"""Gradients switched off for a while."""

from __future__ import annotations

from typing import final

import torch


@final
class WithoutGradients:
    """What `torch.no_grad()` is as a context manager, in a fifth of its time: each edit enters one."""

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before = torch.is_grad_enabled()
        torch._C._set_grad_enabled(False)

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        torch._C._set_grad_enabled(self._before)

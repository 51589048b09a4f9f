"""Records: what runs have reached from a generative function."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, final

from torch import nn

if TYPE_CHECKING:
    from gen_core import GenerativeFunction, Parameters
    from gen_torch.held import Names
    from gen_torch.module import ModelModule


class RecordedModule(NamedTuple):
    """A module that the body of a function called, and a name for it if nothing holds it."""

    module: nn.Module
    names: Names


@final
@dataclass(slots=True)
class Record:
    """What runs of one function have reached, and its `nn.Module` once somebody has asked for it."""

    seen: dict[int, object] = field(default_factory=dict)
    """Modules and `Parameters` by identity, those within callees too; weak references to some."""
    modules: list[RecordedModule] = field(default_factory=list)
    """The modules that the function itself called, without those within them."""
    callees: dict[int, GenerativeFunction[..., Any]] = field(default_factory=dict)
    """The callees through which others were reached."""
    module: ModelModule | None = None


def record_of(params: Parameters) -> Record:
    """Return the record that belongs to a function's parameters, making it at first."""
    record: Record | None = params.record
    if record is None:
        with LOCK:
            if params.record is None:
                params.record = Record()
            record = params.record
    return record


LOCK = threading.RLock()
"""Held while records and the modules made of them change."""

"""What algorithms are given: a call of a generative function, or a trace of one."""

from __future__ import annotations

from gen_core import Call, GenerativeFunction, Trace
from gen_inflib.errors import ModelError


def check_call(model: object) -> None:
    """Raise ModelError unless `model` is a call of a generative function."""
    if isinstance(model, Call):
        return
    name = model.name if isinstance(model, GenerativeFunction) else "model"
    raise ModelError(model, f"a call of a generative function, with its arguments, as in `{name}(...)`")


def check_trace(trace: object) -> None:
    """Raise ModelError unless `trace` is a trace."""
    if not isinstance(trace, Trace):
        raise ModelError(trace, "a trace, such as `model.generate(observations, ...).trace`")

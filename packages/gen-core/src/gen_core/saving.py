"""Saving and loading of choices and traces, as data that `torch.load(..., weights_only=True)` accepts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from os import PathLike
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, BinaryIO

import torch

from gen_core.choicemap import ChoiceMap
from gen_core.choicemap_build import Choices, choicemap
from gen_core.draw import draw_sample, drawing
from gen_core.errors import UnvisitedConstraintsError
from gen_core.judge import unvisited
from gen_core.plain import Writer, from_plain
from gen_core.saving_errors import ChangedFunctionError, FileFormatError
from gen_core.trace import Trace

if TYPE_CHECKING:
    from gen_core.call import Call

State = Mapping[str, Any]
"""Plain data: tensors, numbers, strings, None, and lists, tuples, sets and dicts of these."""

NUM_REPLAYS = 8
"""How often a function is run to restore a trace, if its untraced randomness stands in the way."""

VERSION = 1
"""The version of the format; it changes when older readers would misread what is written."""


def save(value: Trace[Any] | Choices, path: str | PathLike[str] | BinaryIO) -> None:
    """Write a trace or choices to a file.

    Of a trace, the choices, the arguments and the name of its function are written; parameters and
    modules are not: they are in the `state_dict` of the model's module.

    Raises:
        UnsavableError: An argument or a value is nothing that can be saved; names it.
        NoReferenceError: The function cannot be imported by a name: it is nested, bound or anonymous.
    """
    state = trace_to_state(value) if isinstance(value, Trace) else choices_to_state(value)
    torch.save(dict(state), path)


def load(
    path: str | PathLike[str] | BinaryIO, *, map_location: str | torch.device | None = None
) -> Trace[Any] | ChoiceMap:
    """Read what `save` wrote: see `trace_from_state` for what is checked.

    Args:
        path: A file.
        map_location: The device to put tensors on, as in `torch.load`.

    Raises:
        FileFormatError: It was not written by `save`, or by a newer version of it.
        MissingReferenceError: The function of the trace, or a class, does not exist any more.
        ChangedFunctionError: The function of the trace does something else now.
    """
    try:
        state = torch.load(path, map_location=map_location, weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError) as error:
        raise FileFormatError(f"{path} is not a file that gen_core.save wrote: {error}") from error
    kind = state.get("gen") if isinstance(state, dict) else None
    return choices_from_state(state) if kind == "choices" else trace_from_state(state)


def choices_to_state(choices: Choices) -> State:
    """Return choices as plain data."""
    return {"gen": "choices", "version": VERSION, "choices": _choices(choicemap(choices), Writer())}


def choices_from_state(state: State) -> ChoiceMap:
    """Return the choices that `choices_to_state` was given.

    Raises:
        FileFormatError: `state` is something else, or of a newer version.
    """
    _check_format(state, "choices")
    choices: ChoiceMap = from_plain(state["choices"])
    return choices


def trace_to_state(trace: Trace[Any]) -> State:
    """Return a trace as plain data; raises as `save` does."""
    call = trace.call
    name = call.gen_fn.name
    names = call.gen_fn.binder.names(call.args, call.kwargs)
    writer = Writer()
    values = [
        writer.plain(value, f"the argument `{parameter}` of {name}")
        for parameter, value in zip(names, call.values(), strict=True)
    ]
    return {
        "gen": "trace",
        "version": VERSION,
        "name": name,
        "gen_fn": writer.plain(call.gen_fn, f"a trace of {name}"),
        "args": values[: len(call.args)],
        "kwargs": dict(zip(call.kwargs, values[len(call.args) :], strict=True)),
        "choices": _choices(trace.choices, writer),
        "score": float(trace.score.detach()),
    }


def trace_from_state(state: State) -> Trace[Any]:
    """Return the trace that `trace_to_state` was given, by running its function on the saved choices.

    The run must make exactly the saved choices and give the saved score, up to rounding. A function that
    uses untraced randomness may do otherwise, so a few runs are tried until one does; if none does, the last
    is returned although its score is not the saved one.

    Raises:
        FileFormatError: `state` is something else, or of a newer version.
        MissingReferenceError: The function, or a class, does not exist any more.
        UnknownNameError: No plugin provides a distribution any more.
        ChangedFunctionError: The function does something else now; says what. Parameters are not saved,
            so that other values of them can be the reason.
    """
    _check_format(state, "trace")
    gen_fn = from_plain(state["gen_fn"])
    kwargs = {name: from_plain(value) for name, value in state["kwargs"].items()}
    try:
        call = gen_fn(*map(from_plain, state["args"]), **kwargs)
    except TypeError as error:
        raise ChangedFunctionError(state["name"], f"it does not take the saved arguments: {error}") from error
    choices: ChoiceMap = from_plain(state["choices"])
    return _replay_until(call, choices, state["score"])


def _replay_until(call: Call[Any], choices: ChoiceMap, saved: float) -> Trace[Any]:
    """Run the function on the saved choices until it gives the saved score."""
    drawn: list[object] = []

    def draw(distribution: Any, args: Any, kwargs: Any) -> Any:
        drawn.append(distribution)  # not a choice, since these are all given
        return draw_sample(distribution, args, kwargs)

    runs: list[Trace[Any]] = []
    refusal: ChangedFunctionError | None = None
    for _ in range(NUM_REPLAYS):
        try:
            with drawing(draw):
                runs.append(_replay(call, choices))
        except ChangedFunctionError as error:
            refusal = error
        else:
            if _agree(saved, _score(runs[-1])):
                return runs[-1]
    if not runs and refusal is not None:
        raise refusal
    score = _score(runs[-1])
    if drawn or not all(_agree(score, _score(run)) for run in runs):
        return runs[-1]
    raise ChangedFunctionError(
        call.gen_fn.name,
        f"the saved score is {saved:.6g}, and the same choices have score {score:.6g} now. If it has "
        f"trainable parameters or modules, load their `state_dict` first",
    )


def _score(trace: Trace[Any]) -> float:
    return float(trace.score.detach())


def _replay(call: Call[Any], choices: ChoiceMap) -> Trace[Any]:
    try:
        with unvisited("error"):
            trace = call.generate(choices).trace
    except UnvisitedConstraintsError as error:
        raise ChangedFunctionError(
            call.gen_fn.name, f"it does not make all saved choices: {error}"
        ) from error
    added = [path for path in trace.choices.paths() if path not in choices]
    if added:
        raise ChangedFunctionError(
            call.gen_fn.name, f"it makes a choice at {added[0]!r}, which the saved trace does not have"
        )
    return trace


def _choices(choices: ChoiceMap, writer: Writer) -> dict[str, Any]:
    plain: dict[str, Any] = writer.plain(choices, "the choices")
    return plain


def _check_format(state: Any, kind: str) -> None:
    found = state.get("gen") if isinstance(state, Mapping) else None
    if found not in ("choices", "trace"):
        raise FileFormatError(f"Expected saved {kind}, but got data that Gen did not save.")
    if found != kind:
        raise FileFormatError(f"Expected saved {kind}, but got saved {found}.")
    if state["version"] != VERSION:
        raise FileFormatError(
            f"The saved {kind} has version {state['version']} of the format, and this gen-core reads version "
            f"{VERSION}. Load it with the gen-core that saved it, or upgrade."
        )


def _agree(saved: float, score: float) -> bool:
    # A saved score may be the sum of many edits, in float32 for each choice.
    return saved == score or math.isclose(saved, score, rel_tol=1e-4, abs_tol=1e-3) or saved != saved != score

"""Checkpoints: a run on disk, from which a killed one goes on as if nothing had happened."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gen_core.plain import Writer, from_plain
from gen_inflib.chain_errors import CheckpointError
from gen_inflib.collecting import Collector

VERSION = 1


class Checkpoint(NamedTuple):
    """A run between two steps."""

    step: int
    """How many steps were taken."""
    chains: dict[str, Any]
    """Where the chains are: what `snapshot` returned."""
    collector: Collector
    rng: dict[str, Tensor]
    """The states of the random number generators, by device."""


def write_checkpoint(path: str | os.PathLike[str], run: Mapping[str, Any], checkpoint: Checkpoint) -> None:
    """Write a checkpoint of the run that `run` describes, in place of the one before.

    Whatever happens while it is written, the file holds this one or the one before.

    Raises:
        UnsavableError: Something that was collected cannot be saved; names it.
    """
    writer = Writer()
    state = {
        "gen": "mcmc",
        "version": VERSION,
        "run": dict(run),
        "step": checkpoint.step,
        "chains": writer.plain(checkpoint.chains, "where the chains are"),
        "collector": writer.plain(vars(checkpoint.collector), "what the chains collected"),
        "rng": checkpoint.rng,
    }
    target = Path(path)
    partial = target.with_name(f"{target.name}.partial")
    torch.save(state, partial)
    os.replace(partial, target)


def read_checkpoint(path: str | os.PathLike[str], run: Mapping[str, Any]) -> Checkpoint | None:
    """Return the checkpoint at `path`, None if there is no file.

    Raises:
        CheckpointError: The file is something else, or a checkpoint of a run that differs; says in what.
    """
    if not Path(path).exists():
        return None
    try:
        state = torch.load(path, weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError) as error:
        raise CheckpointError(path, f"it cannot be read ({error})") from error
    if not isinstance(state, dict) or state.get("gen") != "mcmc":
        raise CheckpointError(path, "it is another kind of file")
    if state["version"] != VERSION:
        raise CheckpointError(path, f"it has version {state['version']} of the format, not {VERSION}")
    for name, value in run.items():
        if state["run"].get(name) != value:
            raise CheckpointError(
                path, f"it was written with {name} {state['run'].get(name)!r}, not {value!r}"
            )
    collector = Collector(**from_plain(state["collector"]))
    return Checkpoint(state["step"], from_plain(state["chains"]), collector, state["rng"])


def rng_states() -> dict[str, Tensor]:
    """Return the states of the random number generators that are in use."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        for device in range(torch.cuda.device_count()):
            states[f"cuda:{device}"] = torch.cuda.get_rng_state(device)
    return states


def set_rng_states(states: Mapping[str, Tensor]) -> None:
    """Set the states of the random number generators."""
    for device, state in states.items():
        if device == "cpu":
            torch.set_rng_state(state)
        else:
            torch.cuda.set_rng_state(state, device)

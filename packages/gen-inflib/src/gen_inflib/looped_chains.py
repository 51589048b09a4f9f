"""Chains one after another, for models and kernels that cannot be batched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import torch

from gen_core import Call, ChoiceMap, Trace
from gen_core.structure import put_together, take_apart
from gen_inflib.adaptive import Progress
from gen_inflib.batched_chains import Stepping, continued
from gen_inflib.replay import replayed
from gen_inflib.stretch import Stretch, stretch_of_rows
from gen_inflib.visits import Visit


@final
class LoopedChains:
    """Chains that take turns, a step each, so that the numbers they draw do not depend on the stretches."""

    def __init__(
        self, stepping: Stepping, model: Call[Any], traces: Sequence[Trace[Any]], states: Sequence[Any] | None
    ) -> None:
        """Prepare chains that start at `traces`; `states` are those of a run that goes on."""
        self._stepping = stepping
        self._model = model
        self._traces = list(traces)
        first = [stepping.kernel.initial(trace) for trace in traces]
        self._states = first if states is None else list(map(continued, states, first))

    @property
    def last(self) -> tuple[Trace[Any], ...]:
        """The traces where the chains are."""
        return tuple(self._traces)

    @property
    def state(self) -> tuple[Any, ...]:
        """The kernel's state of each chain."""
        return tuple(self._states)

    def advance(self, first: int, count: int) -> Stretch:
        """Take `count` steps, numbered from `first`."""
        steps = torch.arange(first, first + count).unbind()
        return stretch_of_rows([[self._step(chain, step) for chain in self._chains] for step in steps])

    def snapshot(self) -> dict[str, Any]:
        """Return where the chains are: the choices, and the tensors of the states.

        The chains go on from traces made of these choices, as a run that is resumed does: sums over many
        edits and over one run differ in the last digit.

        Raises:
            UntracedRandomnessError: The choices do not determine a trace.
        """
        choices = [trace.choices for trace in self._traces]
        self._traces = [self._replayed(each) for each in choices]
        return {"choices": choices, "states": [take_apart(each, once=False).tensors for each in self._states]}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Go back to where the chains were."""
        self._traces = [self._replayed(choices) for choices in snapshot["choices"]]
        saved = zip(self._states, snapshot["states"], strict=True)
        self._states = [
            put_together(tensors, take_apart(state, once=False).structure) for state, tensors in saved
        ]

    @property
    def _chains(self) -> range:
        return range(len(self._traces))

    def _step(self, chain: int, step: Any) -> Visit:
        kernel = self._stepping.kernel
        progress = Progress(step, self._stepping.num_warmup)
        trace, state, info = kernel.step(self._traces[chain], self._states[chain], progress)
        self._traces[chain], self._states[chain] = trace, state
        return self._stepping.watch.visit(trace, kernel, info)

    def _replayed(self, choices: ChoiceMap) -> Trace[Any]:
        return replayed(self._model, choices)

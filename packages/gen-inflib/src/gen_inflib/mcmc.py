"""Markov chain Monte Carlo: many chains, side by side, with warm-up, checkpoints and streaming statistics."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, final

import torch

from gen_core import ALL, Call, ChoiceMap, Choices, GenWarning, Selection, Trace, TraceBatch, choicemap
from gen_core.structure import put_together, take_apart
from gen_inflib.adaptive import AnyKernel, as_adaptive
from gen_inflib.adaptive_hamiltonian import as_hamiltonian
from gen_inflib.batched_chains import BatchedChains, Stepping
from gen_inflib.calls import check_call
from gen_inflib.chain_errors import StartError
from gen_inflib.chains import Chains
from gen_inflib.checkpoint import rng_states, set_rng_states
from gen_inflib.collecting import Collector, Kept
from gen_inflib.counts import check_count
from gen_inflib.errors import OptionsError, UndefinedWeightError
from gen_inflib.flat_chains import FlatChains
from gen_inflib.kernel import kernel_name
from gen_inflib.latent import latents
from gen_inflib.looped_chains import LoopedChains
from gen_inflib.running import Run
from gen_inflib.starting import Start, batched_start, count_of, looped_start
from gen_inflib.stretch import stack_values
from gen_inflib.visits import Watch

R = TypeVar("R")


def mcmc(
    model: Call[R],
    observations: Choices,
    kernel: AnyKernel[R],
    *,
    num_samples: int,
    num_warmup: int = 0,
    num_chains: int | None = None,
    thin: int = 1,
    collect: Callable[[Trace[R]], Any] | None = None,
    keep_draws: bool = True,
    covariance: bool = False,
    compile: bool | Literal["auto", "inductor", "graph"] = False,
    batched: bool | None = None,
    progress: bool | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int = 1000,
    init: Start | None = None,
) -> Chains[R]:
    """Run Markov chains whose stationary distribution is the posterior of `model` given `observations`.

    Each chain starts at a trace that agrees with the observations, takes `num_warmup` steps of the kernel
    that are forgotten, in which adaptive kernels learn, and then `num_samples * thin` steps, of which every
    `thin`-th is a draw.

    Several chains move side by side, as one batch, where model and kernel allow it. Compiled, many steps of
    all chains are one program. The same seed gives the same numbers batched and with compile="graph", bit for
    bit; machine code rounds otherwise, and may draw the numbers of a step in another order. Chains that run
    one after another draw in another order, too.

    An interrupt from the keyboard is raised as always; with a checkpoint, at most `checkpoint_every` steps
    are lost, since the same call goes on from there.

    Args:
        model: A generative function with its arguments.
        observations: Values of the observed choices, by address. Kernels must leave them alone.
        kernel: A kernel, such as `partial(metropolis_hastings, proposal=select("x"))`, or an adaptive one,
            or several composed by `cycle`, `mixture` and the like.
        num_samples: How many draws to make of each chain.
        num_warmup: How many steps to take first.
        num_chains: How many chains; by default as many as `init` holds, or one.
        thin: Keep every so many-th step.
        collect: Maps a trace to what is to be kept of it beside the choices: numbers, tensors and containers.
        keep_draws: Whether to keep the draws; if not, `moments` of the choices (or, where their structure
            varies, of what `collect` returns) are kept instead, in memory that does not grow.
        covariance: Whether the moments have the covariance of all elements too.
        compile: Whether to compile, through gen-torch; or the backend of `gen_torch.jit` to do it with.
        batched: Whether to run the chains side by side. By default several are if they can be, and
            `Chains.why_looped` says why if they cannot.
        progress: Whether to show a progress bar; by default, where standard error is a terminal.
        checkpoint: A file to write the run to every `checkpoint_every` steps, and to go on from if it is
            there. A run that goes on gives the numbers that it would have given without a break. It may
            have more samples than the one before.
        checkpoint_every: How many steps to take from one checkpoint to the next.
        init: Where to start: `Chains`, to go on where they ended, with what the kernel has learned if it
            is the same; a trace for each chain; one trace for all; or values of some choices. By default
            chains start at traces generated under the observations.

    Raises:
        ModelError: `model` is no call of a generative function.
        CountError: A count is too small.
        OptionsError: The options contradict each other.
        KernelError: `kernel` is no kernel.
        StartError: No possible trace was found to start at, or those of `init` contradict the observations.
        UnvisitedConstraintsError: The model never visited an address that is observed.
        NotBatchableError: With batched=True or compile=True, the model or the kernel cannot be batched.
        BatchStructureError: With the same, the structure of traces changes.
        StagingError: With compile=True, control flow depends on the value of a tensor.
        CheckpointError: The file is no checkpoint of this run.
    """
    check_call(model)
    check_count("num_samples", num_samples)
    check_count("num_warmup", num_warmup, least=0)
    check_count("thin", thin)
    check_count("checkpoint_every", checkpoint_every)
    num_chains = count_of(init, num_chains)
    check_count("num_chains", num_chains)
    if compile and batched is False:
        raise OptionsError("compile=True runs the chains in a batch: leave out batched=False.")
    given = choicemap(observations)
    setting = _Setting(
        model=model,
        observations=given,
        stepping=Stepping(as_adaptive(kernel), Watch(_latents(given), collect), num_warmup),
        init=init,
        num_chains=num_chains,
        backend="auto" if compile is True else compile or None,
        batched=batched,
    )
    with torch.no_grad(), latents(_latents(given)):
        chains, why_looped = setting.start()
        run = Run(
            chains=chains,
            kept=Kept(thin, keep_draws, collect is not None, covariance),
            num_warmup=num_warmup,
            num_steps=num_warmup + num_samples * thin,
            is_compiled=setting.backend is not None,
            checkpoint=checkpoint,
            checkpoint_every=checkpoint_every,
            about={
                "model": model.gen_fn.name,
                "kernel": kernel_name(kernel),
                "num_chains": num_chains,
                "num_warmup": num_warmup,
                "thin": thin,
                "keep_draws": keep_draws,
                "covariance": covariance,
                "batched": not isinstance(chains, LoopedChains),
            },
        )
        collector = run.execute(progress)
        return _chains(setting, chains, collector, why_looped)


@final
@dataclass(frozen=True, kw_only=True)
class _Setting:
    """Which chains to run, and how."""

    model: Call[Any]
    observations: ChoiceMap
    stepping: Stepping
    init: Start | None
    num_chains: int
    backend: str | None
    batched: bool | None

    def start(self) -> tuple[BatchedChains | FlatChains | LoopedChains, str | None]:
        """Return the chains at their start; and, where they could not be batched, why."""
        must = self.batched is True or self.backend is not None
        if not must and (self.batched is False or self.num_chains == 1):
            return self._looped(), None
        before = rng_states()
        try:
            return self._batched(), None
        except (StartError, UndefinedWeightError):
            raise
        except Exception as error:
            # Whatever does not work in a batch either works in a loop or says there what is wrong.
            if must:
                raise
            set_rng_states(before)
            reason = f"{type(error).__name__}: {error}"
        return self._looped(), reason

    def _batched(self) -> BatchedChains | FlatChains:
        traces = batched_start(self.model, self.observations, self.init, self.num_chains)
        state = None
        if isinstance(self.init, Chains):
            state = self.init.kernel_state
            if not isinstance(self.init.last, TraceBatch):
                state = stack_values(state)
        flat = as_hamiltonian(self.stepping.kernel)
        if flat is not None:
            return FlatChains(self.stepping, flat, traces, state, self.backend)
        return BatchedChains(self.stepping, traces, state, self.backend)

    def _looped(self) -> LoopedChains:
        traces = looped_start(self.model, self.observations, self.init, self.num_chains)
        states: Sequence[Any] | None = None
        if isinstance(self.init, Chains):
            states = self.init.kernel_state
            if isinstance(self.init.last, TraceBatch):
                tensors, structure = take_apart(states, once=False)
                states = [
                    put_together([t[chain] for t in tensors], structure) for chain in range(len(traces))
                ]
        return LoopedChains(self.stepping, self.model, traces, states)


def _latents(observations: ChoiceMap) -> Selection:
    return ALL if observations.is_empty else ~observations.addresses()


def _chains(
    setting: _Setting,
    chains: BatchedChains | FlatChains | LoopedChains,
    collector: Collector,
    why_looped: str | None,
) -> Chains[Any]:
    _warn_of_nans(collector.num_nans(), setting.model)
    return Chains(
        model=setting.model,
        observations=setting.observations,
        num_chains=setting.num_chains,
        num_draws=collector.num_draws,
        statistics=collector.statistics(),
        statistic_means=collector.statistic_means(),
        acceptance_rates=collector.acceptance_rates(),
        move_rates=collector.move_rates(),
        last=chains.last,
        kernel_state=chains.state,
        collected=collector.collection(),
        moments=collector.moments,
        collected_moments=collector.collected_moments,
        why_looped=why_looped,
        kept=collector.draws(),
    )


def _warn_of_nans(num_nans: int, model: Call[Any]) -> None:
    """Warn of log acceptance ratios that were NaN, which a batch rejects where a loop raises."""
    if num_nans:
        warnings.warn(
            f"In {num_nans} steps after warm-up, the log acceptance ratio of {model.gen_fn.name} was NaN and "
            f"the step was rejected: a density is NaN somewhere. Run it with batched=False to see where.",
            GenWarning,
            stacklevel=3,
        )

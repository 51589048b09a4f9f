"""Errors of inference: what an algorithm was given, or met, that it cannot work with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gen_core import GenError, Path
from gen_core.address import show, show_all


class CountError(GenError, ValueError):
    """A number of particles, samples or steps is too small."""

    def __init__(self, name: str, least: int, given: object) -> None:
        super().__init__(f"Expected `{name}` to be an integer of at least {least}, but got {given!r}.")


class ProposalError(GenError, TypeError):
    """Something else stands where a proposal is expected."""

    def __init__(self, given: object, expected: str) -> None:
        super().__init__(f"Expected {expected}, but got {given!r} ({type(given).__name__}).")


class ImpossibleObservationsError(GenError, ValueError):
    """Every particle has probability zero."""

    def __init__(self, model: str, num_particles: int) -> None:
        super().__init__(
            f"All {num_particles} particles of {model} have weight -inf: none of them can produce the "
            f"observations. Check the observed values against their supports, or give a proposal that "
            f"finds values from which they are possible."
        )


class UndefinedWeightError(GenError, ArithmeticError):
    """A log weight or a log acceptance ratio is no number that an algorithm can use."""

    def __init__(self, what: str, model: str, value: float, parts: Mapping[str, float]) -> None:
        made_of = ", ".join(f"{name} {number:.6g}" for name, number in parts.items())
        super().__init__(
            f"{what} of {model} is {value}, made of: {made_of}. A NaN comes from a density that is NaN or "
            f"from a difference of infinities, for example from a trace of score -inf; look at the log "
            f"densities in print(trace)."
        )


class NoBijectionError(GenError, ValueError):
    """A choice cannot be moved to the real line."""

    def __init__(self, support: str, why: str) -> None:
        super().__init__(
            f"The support {support} has no bijection from the real line: {why}. Register one with "
            f"`torch.distributions.biject_to.register`, or leave the choice to another kernel."
        )


class NoPositionError(GenError, ValueError):
    """A selection has no choices, or some that cannot move on the real line."""

    def __init__(self, model: str, what: str) -> None:
        super().__init__(
            f"{what} of {model} cannot be moved on the real line. Select continuous choices; leave others to "
            f"another kernel and combine the two with `cycle`, or name finite ones in `enumerate` of an "
            f"algorithm that follows gradients."
        )

    @classmethod
    def empty(cls, model: str, selection: object) -> NoPositionError:
        """Return the error for a selection that has no choices."""
        error = cls(model, "")
        error.args = (
            f"{model} has no choice that {selection!r} selects. Select choices that it makes; where a trace "
            f"has them only sometimes, apply the kernel by `when`.",
        )
        return error


class ImpossibleStartError(GenError, ArithmeticError):
    """A trace has no finite log density to start from."""

    def __init__(self, model: str, log_density: float, score: float) -> None:
        super().__init__(
            f"The log density of {model} on the real line is {log_density} at the trace to start from, "
            f"whose score is {score}. Start from a trace that is possible; look at the log densities in "
            f"print(trace)."
        )


class StepSizeError(GenError, ValueError):
    """A step size is not a positive number."""

    def __init__(self, given: object) -> None:
        super().__init__(f"Expected `step_size` to be a positive number, but got {given!r}.")


class MetricError(GenError, ValueError):
    """A metric does not fit the choices that it is for, or is not positive."""


class EnumerationError(GenError, ValueError):
    """Finite choices were to be summed over, and cannot be."""


class ThresholdError(GenError, ValueError):
    """A threshold of the effective sample size is no share of the particles."""

    def __init__(self, given: object, most: str) -> None:
        super().__init__(
            f"Expected `threshold` to be a share of the particles between 0 and {most}, but got {given!r}."
        )


class DrawsError(GenError, ValueError):
    """Draws or weights from which nothing can be learnt."""


class MissingExtraError(GenError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, what: str, extra: str, package: str) -> None:
        super().__init__(f'{what} needs {package}. Install it: pip install "gen-inflib[{extra}]".')


class NotANumberError(GenError, ArithmeticError):
    """A number that an algorithm decides by is NaN."""

    def __init__(self, what: str, model: str) -> None:
        super().__init__(
            f"{what} of {model} is NaN. It comes from a density that is NaN or from a difference of "
            f"infinities; look at the log densities in print(trace)."
        )


class NotPlainError(GenError, TypeError):
    """A kernel that adapts stands where only a kernel without state can be."""

    def __init__(self, kernel: str, where: str) -> None:
        super().__init__(
            f"{kernel} adapts, and {where}. Run it by `mcmc`, which keeps its state, or pass "
            f"`kernel.frozen(state)`, which is a plain kernel."
        )


class KernelError(GenError, TypeError):
    """Something else stands where a kernel is expected."""

    def __init__(self, given: object) -> None:
        super().__init__(
            f"Expected a kernel: a function from a trace to a trace and what happened, such as "
            f"partial(metropolis_hastings, proposal=select('x')), or an adaptive kernel. Got {given!r} "
            f"({type(given).__name__})."
        )


class StagedBatchError(GenError, RuntimeError):
    """A loop of unknown length in a batch was to be compiled."""

    def __init__(self) -> None:
        super().__init__(
            "A loop whose length depends on values, such as that of a NUTS transition, cannot be compiled in "
            "a batch: each run would stop at another time. Run `adaptive_nuts` by itself, which has a form "
            "for that, run one chain, or use `hmc` in combinations of kernels."
        )


class VaryingStructureError(GenError, ValueError):
    """Something needs draws of one structure."""

    def __init__(self, what: str) -> None:
        super().__init__(f"Expected draws of one structure, but {what}.")


class DrawsNotKeptError(GenError, LookupError):
    """Draws were asked for that were not kept."""

    def __init__(self) -> None:
        super().__init__(
            "The draws were not kept, since `mcmc` ran with keep_draws=False. Read `moments`, or run it "
            "with keep_draws=True."
        )


class UntracedRandomnessError(GenError, ValueError):
    """The choices of a model do not determine its trace."""

    def __init__(self, model: str) -> None:
        super().__init__(
            f"{model} draws random numbers that it does not trace, so that its choices do not determine its "
            f"trace, and a chain cannot be resumed from them. Trace them, by `@` an address, or run "
            f"without a checkpoint."
        )


class StartError(GenError, ValueError):
    """Chains cannot start where they were told to."""

    def __init__(self, what: str) -> None:
        super().__init__(f"Chains cannot start: {what}.")


class CheckpointError(GenError, ValueError):
    """A file is no checkpoint of this run."""

    def __init__(self, path: object, what: str) -> None:
        super().__init__(f"{path} is no checkpoint of this run: {what}. Delete it to start anew.")


class OptionsError(GenError, ValueError):
    """Options of an algorithm contradict each other."""


class MixtureError(GenError, ValueError):
    """The weights of a mixture of kernels are no weights."""

    def __init__(self, weights: object) -> None:
        super().__init__(
            f"Expected nonnegative weights of kernels with a positive, finite sum, but got {weights}."
        )


class UnknownLatentsError(GenError, LookupError):
    """`ALL_LATENT` was used where nobody says what is observed."""

    def __init__(self) -> None:
        super().__init__(
            "ALL_LATENT means every choice that is not observed, which is known within `mcmc`. Elsewhere "
            "select the choices, for example ~select('ys')."
        )


class StructureChangedError(GenError, ValueError):
    """A kernel that moves values changed which choices a trace has."""

    def __init__(self, model: str, before: Iterable[Path], after: Iterable[Path]) -> None:
        other = sorted(set(before) ^ set(after), key=repr)
        super().__init__(
            f"Other values of the choices that this kernel moves change which choices {model} makes: "
            f"{show_all(other, limit=3)} appeared or vanished. Move them by metropolis_hastings, with a "
            f"selection or with a proposal that has a way back."
        )


class ScaleError(GenError, ValueError):
    """A scale, a width or a tolerance is not positive."""

    def __init__(self, name: str, given: object) -> None:
        super().__init__(f"Expected `{name}` to be positive and finite, but got {given!r}.")


class TargetAcceptanceError(GenError, ValueError):
    """A target is no probability."""

    def __init__(self, given: object) -> None:
        super().__init__(f"Expected `target_acceptance` to be between 0 and 1, but got {given!r}.")


class PriorError(GenError, TypeError):
    """A choice does not have the prior that an algorithm is for."""

    def __init__(self, address: object, distribution: str) -> None:
        super().__init__(
            f"Elliptical slice sampling moves choices with a normal prior: normal, multivariate_normal or "
            f"low_rank_multivariate_normal. The choice at {address!r} is from {distribution}."
        )


class InvolutionError(GenError, ValueError):
    """A map that should be its own inverse is not, or is no map between spaces of one dimension."""


class DiscardError(GenError, ValueError):
    """A step of sequential Monte Carlo replaced or removed choices, and nobody says how to go back."""

    def __init__(self, model: str, paths: Sequence[Path]) -> None:
        first = ", ".join(map(show, paths[:3])) + (", ..." if len(paths) > 3 else "")
        super().__init__(
            f"Extending {model} replaced or removed the choices at {first}. Give `backward`, which proposes "
            f"the old values from the new trace; or constrain and propose new choices only, and move old "
            f"ones with `rejuvenate`."
        )


class StrataError(GenError, ValueError):
    """There are no strata, or more than particles."""

    def __init__(self, num_strata: int, num_particles: int) -> None:
        super().__init__(
            f"Expected between 1 and num_particles={num_particles} strata, but got {num_strata}. Each "
            f"stratum needs a particle."
        )


class SequenceError(GenError, TypeError):
    """A sequence model was expected, or an observation is outside of it."""

    def __init__(self, given: str) -> None:
        super().__init__(
            f"Expected a call of a sequence function, such as Unfold(kernel)(length, initial_state), but got "
            f"one of {given}. For other models use `particle_filter`."
        )

    @classmethod
    def without(cls, observed: object, function: str) -> SequenceError:
        """Return the error for a selection of observations that has none."""
        error = cls("")
        error.args = (
            f"No choice of {function} is observed: {observed!r} selects none. Observed addresses are those "
            f"below the sequence, such as select((ANY, 'y')); if there are none, say NONE.",
        )
        return error

    @classmethod
    def outside(cls, key: object, length: int) -> SequenceError:
        """Return the error for an observation at a step that does not exist."""
        error = cls("")
        error.args = (
            f"Observations are given at {key!r}, but the steps of this model are 0 to {length - 1}. "
            f"Observe addresses (step, ...), or make the model longer.",
        )
        return error


class VaryingStepsError(GenError, ValueError):
    """A compiled filter needs observations of the same addresses and shapes at every step."""

    def __init__(self) -> None:
        super().__init__(
            "The steps observe different addresses or shapes, and a compiled filter is one loop over them. "
            "Observe the same addresses at every step, or leave out compile=True."
        )


class HistoryNotKeptError(GenError, LookupError):
    """What happened at earlier steps was not kept."""

    def __init__(self) -> None:
        super().__init__(
            "The filter ran with keep_history=False. Run it with keep_history=True to read this."
        )


class ImpossibleStepError(ImpossibleObservationsError):
    """Every particle has probability zero at a step."""

    def __init__(self, model: str, step: int) -> None:
        ValueError.__init__(
            self,
            f"At step {step} of {model} every particle has weight -inf: none of them can produce the "
            f"observations of the step. Check these against their supports, use more particles, or give a "
            f"proposal that looks at them.",
        )


class ControlChangedError(GenError, ValueError):
    """A kernel changed the value that decides whether, or how often, it is applied."""

    def __init__(self, what: str, kernel: str, before: object, after: object) -> None:
        super().__init__(
            f"{kernel} changed {what}, from {before!r} to {after!r}. What controls a kernel must not be "
            f"changed by it, or the distribution of traces does not stay as it is."
        )


class ObservationChangedError(GenError, ValueError):
    """A kernel changed what was observed."""

    def __init__(self, kernel: str, path: Path, before: object, after: object) -> None:
        now = "is gone" if after is None else f"became {after!r}"
        super().__init__(
            f"{kernel} changed the observation at {show(path)}: {before!r} {now}. Leave observed addresses "
            f"out of its selection or proposal."
        )


class UncheckableError(GenError, RuntimeError):
    """A check needs values where they cannot be read."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} compares values, which cannot be read in a batch or in a compiled program. Run the "
            f"chains one after another, with batched=False."
        )


class IrreversibleKernelError(GenError, LookupError):
    """The reversal of a kernel is not known."""

    def __init__(self, kernel: str) -> None:
        super().__init__(
            f"The reversal of {kernel} is not known. Say what it is by declare_reversal(kernel, reversal), "
            f"or by declare_reversal(kernel) if it has detailed balance and so is its own."
        )


class PowersError(GenError, ValueError):
    """The powers of an annealed run do not lead from the prior to the posterior."""

    def __init__(self, powers: Sequence[float]) -> None:
        super().__init__(f"Expected powers that increase from above 0 to 1, but got {list(powers)}.")


class LaplaceError(GenError, ArithmeticError):
    """There is no Gaussian to put in place of a posterior."""

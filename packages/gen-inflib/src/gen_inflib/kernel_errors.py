"""Errors of kernels and of what combines them."""

from __future__ import annotations

from collections.abc import Iterable

from gen_core import GenError, Path
from gen_core.address import show, show_all


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

"""Inference algorithms for any generative function."""

from gen_inflib.accept import accept_or_stay
from gen_inflib.adaptive import AdaptiveKernel, Progress, Stepped
from gen_inflib.chain import Chain, run_chain
from gen_inflib.chains import Chains
from gen_inflib.checked import checked
from gen_inflib.control import for_each, for_random, when
from gen_inflib.elliptical_slice import elliptical_slice
from gen_inflib.errors import (
    CheckpointError,
    ControlChangedError,
    CountError,
    DrawsNotKeptError,
    ImpossibleObservationsError,
    InvolutionError,
    IrreversibleKernelError,
    KernelError,
    MixtureError,
    NotANumberError,
    NotPlainError,
    ObservationChangedError,
    OptionsError,
    PriorError,
    ProposalError,
    ScaleError,
    StartError,
    StructureChangedError,
    UncheckableError,
    UndefinedWeightError,
    UntracedRandomnessError,
    VaryingStructureError,
)
from gen_inflib.gibbs import GibbsInfo, gibbs
from gen_inflib.importance import importance_sampling
from gen_inflib.importance_resampling import Resampled, importance_resampling
from gen_inflib.involution import Involuted, Involution, involution_of, involutive_metropolis_hastings
from gen_inflib.kernel import Kernel, Move, Moves
from gen_inflib.kernels import cycle, mixture, repeat
from gen_inflib.mcmc import mcmc
from gen_inflib.metropolis_hastings import MetropolisHastingsInfo, Proposal, metropolis_hastings
from gen_inflib.pointwise import pointwise_log_likelihood
from gen_inflib.predictive import posterior_predictive, prior_predictive
from gen_inflib.random_walk import random_walk
from gen_inflib.resampling import Resampler, multinomial, residual, stratified, systematic
from gen_inflib.reversal import declare_reversal, reversed_kernel
from gen_inflib.slice import SliceInfo, slice_sampling
from gen_inflib.statistics import Moments
from gen_inflib.to_arviz import to_arviz
from gen_inflib.weighted import Weighted

__all__ = [
    "AdaptiveKernel",
    "Chain",
    "Chains",
    "CheckpointError",
    "ControlChangedError",
    "CountError",
    "DrawsNotKeptError",
    "GibbsInfo",
    "ImpossibleObservationsError",
    "Involuted",
    "Involution",
    "InvolutionError",
    "IrreversibleKernelError",
    "Kernel",
    "KernelError",
    "MetropolisHastingsInfo",
    "MixtureError",
    "Moments",
    "Move",
    "Moves",
    "NotANumberError",
    "NotPlainError",
    "ObservationChangedError",
    "OptionsError",
    "PriorError",
    "Progress",
    "Proposal",
    "ProposalError",
    "Resampled",
    "Resampler",
    "ScaleError",
    "SliceInfo",
    "StartError",
    "Stepped",
    "StructureChangedError",
    "UncheckableError",
    "UndefinedWeightError",
    "UntracedRandomnessError",
    "VaryingStructureError",
    "Weighted",
    "accept_or_stay",
    "checked",
    "cycle",
    "declare_reversal",
    "elliptical_slice",
    "for_each",
    "for_random",
    "gibbs",
    "importance_resampling",
    "importance_sampling",
    "involution_of",
    "involutive_metropolis_hastings",
    "mcmc",
    "metropolis_hastings",
    "mixture",
    "multinomial",
    "pointwise_log_likelihood",
    "posterior_predictive",
    "prior_predictive",
    "random_walk",
    "repeat",
    "residual",
    "reversed_kernel",
    "run_chain",
    "slice_sampling",
    "stratified",
    "systematic",
    "to_arviz",
    "when",
]

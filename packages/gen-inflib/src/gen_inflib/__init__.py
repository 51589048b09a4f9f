"""Inference algorithms for any generative function."""

from gen_inflib.accept import accept_or_stay
from gen_inflib.adaptive import AdaptiveKernel, Progress, Stepped
from gen_inflib.adaptive_hamiltonian import adaptive_hmc, adaptive_nuts
from gen_inflib.annealed import annealed_smc
from gen_inflib.chain import Chain, run_chain
from gen_inflib.chain_errors import (
    CheckpointError,
    DrawsError,
    DrawsNotKeptError,
    StagedBatchError,
    StartError,
    UntracedRandomnessError,
    VaryingStructureError,
)
from gen_inflib.chains import Chains
from gen_inflib.checked import checked
from gen_inflib.control import for_each, for_random, when
from gen_inflib.elliptical_slice import elliptical_slice
from gen_inflib.errors import (
    CountError,
    ImpossibleObservationsError,
    MissingExtraError,
    ModelError,
    NotANumberError,
    OptionsError,
    ProposalError,
    UndefinedWeightError,
)
from gen_inflib.filtered import Filtered
from gen_inflib.gibbs import GibbsInfo, gibbs
from gen_inflib.hmc import HamiltonianInfo, hmc
from gen_inflib.importance import importance_sampling
from gen_inflib.importance_resampling import Resampled, importance_resampling
from gen_inflib.integrators import Phase, leapfrog
from gen_inflib.involution import Involuted, Involution, involution_of, involutive_metropolis_hastings
from gen_inflib.kernel import Kernel, Move, Moves
from gen_inflib.kernel_errors import (
    ControlChangedError,
    InvolutionError,
    IrreversibleKernelError,
    KernelError,
    MixtureError,
    NotPlainError,
    ObservationChangedError,
    PriorError,
    ScaleError,
    StructureChangedError,
    TargetAcceptanceError,
    UncheckableError,
    UnknownLatentsError,
)
from gen_inflib.kernels import cycle, mixture, repeat
from gen_inflib.laplace import Laplace, laplace
from gen_inflib.latent import ALL_LATENT
from gen_inflib.mala import mala
from gen_inflib.map_optimize import Optimized, map_optimize
from gen_inflib.mcmc import mcmc
from gen_inflib.metrics import IDENTITY, Metric, dense_metric, diagonal_metric
from gen_inflib.metropolis_hastings import MetropolisHastingsInfo, metropolis_hastings
from gen_inflib.nuts import NutsInfo, nuts
from gen_inflib.particle_filter import particle_filter
from gen_inflib.particle_gibbs import ParticleGibbsInfo, particle_gibbs
from gen_inflib.pointwise import pointwise_log_likelihood
from gen_inflib.position_errors import (
    EnumerationError,
    ImpossibleStartError,
    LaplaceError,
    MetricError,
    NoBijectionError,
    NoPositionError,
    StepSizeError,
)
from gen_inflib.predictive import posterior_predictive, prior_predictive
from gen_inflib.proposal import Proposal
from gen_inflib.random_walk import random_walk
from gen_inflib.resampling import Resampler, multinomial, residual, stratified, systematic
from gen_inflib.reversal import declare_reversal, reversed_kernel
from gen_inflib.sequence_filter import sequence_filter
from gen_inflib.sequential import extend, rejuvenate, rejuvenate_and_reweight, resample
from gen_inflib.sequential_errors import (
    DiscardError,
    HistoryNotKeptError,
    ImpossibleStepError,
    PowersError,
    SequenceError,
    StrataError,
    ThresholdError,
    VaryingStepsError,
)
from gen_inflib.slice import SliceInfo, slice_sampling
from gen_inflib.statistics import Moments
from gen_inflib.stratified_start import stratified_start
from gen_inflib.tempered import Tempered
from gen_inflib.to_arviz import to_arviz
from gen_inflib.unconstrained import Unconstrained
from gen_inflib.weighted import Weighted

__all__ = [
    "ALL_LATENT",
    "AdaptiveKernel",
    "Chain",
    "Chains",
    "CheckpointError",
    "ControlChangedError",
    "CountError",
    "DiscardError",
    "DrawsError",
    "DrawsNotKeptError",
    "EnumerationError",
    "Filtered",
    "GibbsInfo",
    "HamiltonianInfo",
    "HistoryNotKeptError",
    "IDENTITY",
    "ImpossibleObservationsError",
    "ImpossibleStartError",
    "ImpossibleStepError",
    "Involuted",
    "Involution",
    "InvolutionError",
    "IrreversibleKernelError",
    "Kernel",
    "KernelError",
    "Laplace",
    "LaplaceError",
    "Metric",
    "MetricError",
    "MetropolisHastingsInfo",
    "MissingExtraError",
    "MixtureError",
    "ModelError",
    "Moments",
    "Move",
    "Moves",
    "NoBijectionError",
    "NoPositionError",
    "NotANumberError",
    "NotPlainError",
    "NutsInfo",
    "ObservationChangedError",
    "Optimized",
    "OptionsError",
    "ParticleGibbsInfo",
    "Phase",
    "PowersError",
    "PriorError",
    "Progress",
    "Proposal",
    "ProposalError",
    "Resampled",
    "Resampler",
    "ScaleError",
    "SequenceError",
    "SliceInfo",
    "StagedBatchError",
    "StartError",
    "StepSizeError",
    "Stepped",
    "StrataError",
    "StructureChangedError",
    "TargetAcceptanceError",
    "Tempered",
    "ThresholdError",
    "UncheckableError",
    "Unconstrained",
    "UndefinedWeightError",
    "UnknownLatentsError",
    "UntracedRandomnessError",
    "VaryingStepsError",
    "VaryingStructureError",
    "Weighted",
    "accept_or_stay",
    "adaptive_hmc",
    "adaptive_nuts",
    "annealed_smc",
    "checked",
    "cycle",
    "declare_reversal",
    "dense_metric",
    "diagonal_metric",
    "elliptical_slice",
    "extend",
    "for_each",
    "for_random",
    "gibbs",
    "hmc",
    "importance_resampling",
    "importance_sampling",
    "involution_of",
    "involutive_metropolis_hastings",
    "laplace",
    "leapfrog",
    "mala",
    "map_optimize",
    "mcmc",
    "metropolis_hastings",
    "mixture",
    "multinomial",
    "nuts",
    "particle_filter",
    "particle_gibbs",
    "pointwise_log_likelihood",
    "posterior_predictive",
    "prior_predictive",
    "random_walk",
    "rejuvenate",
    "rejuvenate_and_reweight",
    "repeat",
    "resample",
    "residual",
    "reversed_kernel",
    "run_chain",
    "sequence_filter",
    "slice_sampling",
    "stratified",
    "stratified_start",
    "systematic",
    "to_arviz",
    "when",
]

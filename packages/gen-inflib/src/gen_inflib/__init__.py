"""Inference algorithms for any generative function."""

from gen_inflib.chain import Chain, run_chain
from gen_inflib.errors import CountError, ImpossibleObservationsError, ProposalError, UndefinedWeightError
from gen_inflib.importance import Weighted, importance_sampling
from gen_inflib.importance_resampling import Resampled, importance_resampling
from gen_inflib.kernels import Kernel, Move, Moves, cycle, mixture, repeat
from gen_inflib.metropolis_hastings import MetropolisHastingsInfo, Proposal, metropolis_hastings

__all__ = [
    "Chain",
    "CountError",
    "ImpossibleObservationsError",
    "Kernel",
    "MetropolisHastingsInfo",
    "Move",
    "Moves",
    "Proposal",
    "ProposalError",
    "Resampled",
    "UndefinedWeightError",
    "Weighted",
    "cycle",
    "importance_resampling",
    "importance_sampling",
    "metropolis_hastings",
    "mixture",
    "repeat",
    "run_chain",
]

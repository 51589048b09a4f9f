"""Gen and PyTorch: networks and parameters of models, and models compiled to machine code."""

from gen_torch.errors import LoopError, StagingError, UnknownParameterError
from gen_torch.functional import functional_call
from gen_torch.jit import Jitted, jit
from gen_torch.loops import cond, fori_loop, scan, while_loop
from gen_torch.module import ModelModule

__all__ = [
    "Jitted",
    "LoopError",
    "ModelModule",
    "StagingError",
    "UnknownParameterError",
    "cond",
    "fori_loop",
    "functional_call",
    "jit",
    "scan",
    "while_loop",
]

"""Gen and PyTorch: networks and parameters of models."""

from gen_torch.errors import UnknownParameterError
from gen_torch.functional import functional_call
from gen_torch.module import ModelModule

__all__ = ["ModelModule", "UnknownParameterError", "functional_call"]

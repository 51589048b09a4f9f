"""Skew normal choices and Gaussian random walks."""

from gen_gaussians.skew_normal import skew_normal
from gen_gaussians.walk import Walk, walk

__all__ = ["Walk", "skew_normal", "walk"]

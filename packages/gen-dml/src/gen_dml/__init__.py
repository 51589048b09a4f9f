"""The dynamic modelling language: generative functions written as ordinary Python functions."""

from gen_core import inline, param
from gen_dml.language import DynamicFunction, gen
from gen_dml.trace import DynamicTrace

__all__ = ["DynamicFunction", "DynamicTrace", "gen", "inline", "param"]

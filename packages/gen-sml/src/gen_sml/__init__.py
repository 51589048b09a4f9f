"""Gen's static modelling language: functions parsed into graphs, with generated operations."""

from gen_core import inline, param
from gen_sml.build import GraphBuilder, Variable
from gen_sml.check import check_graph
from gen_sml.errors import (
    AugmentedAssignmentError,
    GraphError,
    HiddenCallError,
    NoSourceError,
    NotACallError,
    RecursiveInlineError,
    StaticSyntaxError,
    UnboundVariableError,
)
from gen_sml.graph import Argument, Compute, Expression, Graph, Node, Parameter, Place, Scope, Visit
from gen_sml.language import StaticFunction, static, static_function
from gen_sml.parse import parse
from gen_sml.trace import StaticTrace

__all__ = [
    "Argument",
    "AugmentedAssignmentError",
    "Compute",
    "Expression",
    "Graph",
    "GraphBuilder",
    "GraphError",
    "HiddenCallError",
    "NoSourceError",
    "Node",
    "NotACallError",
    "Parameter",
    "Place",
    "RecursiveInlineError",
    "Scope",
    "StaticFunction",
    "StaticSyntaxError",
    "StaticTrace",
    "UnboundVariableError",
    "Variable",
    "Visit",
    "check_graph",
    "inline",
    "param",
    "parse",
    "static",
    "static_function",
]

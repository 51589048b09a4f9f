"""Gen's interfaces: generative functions, traces, choice maps, selections, change hints, plugins."""

from gen_core import rooms
from gen_core.address import Address, Key, Path
from gen_core.call import Call
from gen_core.choice import ChoiceTrace
from gen_core.choicemap import EMPTY, ChoiceMap, Leaf
from gen_core.choicemap_build import Choices, choicemap
from gen_core.diff import UNCHANGED, UNKNOWN, ArgDiffs, Diff, IntDiff, VectorDiff
from gen_core.distribution import Distribution
from gen_core.draw import draw, drawing
from gen_core.errors import (
    AddressCollisionError,
    AddressError,
    ArgumentDiffError,
    BrokenPluginError,
    ChangedInPlaceError,
    ChoicesError,
    DuplicateAddressError,
    ForgottenAddressError,
    GenError,
    GenWarning,
    GradientError,
    HintError,
    InlineError,
    MissingChoiceError,
    NoChoiceError,
    NotFloatingPointError,
    OtherFunctionError,
    OutsideModelError,
    ParameterError,
    PluginConflictError,
    SelectionError,
    UnknownNameError,
    UnknownSelectionError,
    UnvisitedConstraintsError,
    ValueShapeError,
    VectorLengthError,
)
from gen_core.family import Family, Requirement
from gen_core.interface import GenerativeFunction
from gen_core.judge import unvisited
from gen_core.parameters import Parameters
from gen_core.plugins import plugins
from gen_core.results import ArgGradients, Assessed, ChoiceGradients, Generated, Proposed, Updated
from gen_core.rooms import Rooms
from gen_core.run import Handler
from gen_core.selection import ALL, NONE, Selection
from gen_core.selection_build import ANY, select, selection_of, where
from gen_core.surface import inline, param
from gen_core.trace import Trace
from gen_core.verify import verify_hints

__all__ = [
    "ALL",
    "ANY",
    "Address",
    "AddressCollisionError",
    "AddressError",
    "ArgDiffs",
    "ArgGradients",
    "ArgumentDiffError",
    "Assessed",
    "BrokenPluginError",
    "Call",
    "ChangedInPlaceError",
    "ChoiceGradients",
    "ChoiceMap",
    "ChoiceTrace",
    "Choices",
    "ChoicesError",
    "Diff",
    "Distribution",
    "DuplicateAddressError",
    "EMPTY",
    "Family",
    "ForgottenAddressError",
    "GenError",
    "GenWarning",
    "Generated",
    "GenerativeFunction",
    "GradientError",
    "Handler",
    "HintError",
    "InlineError",
    "IntDiff",
    "Key",
    "Leaf",
    "MissingChoiceError",
    "NONE",
    "NoChoiceError",
    "NotFloatingPointError",
    "OtherFunctionError",
    "OutsideModelError",
    "ParameterError",
    "Parameters",
    "Path",
    "PluginConflictError",
    "Proposed",
    "Requirement",
    "Rooms",
    "Selection",
    "SelectionError",
    "Trace",
    "UNCHANGED",
    "UNKNOWN",
    "UnknownNameError",
    "UnknownSelectionError",
    "UnvisitedConstraintsError",
    "Updated",
    "ValueShapeError",
    "VectorDiff",
    "VectorLengthError",
    "choicemap",
    "draw",
    "drawing",
    "inline",
    "param",
    "plugins",
    "rooms",
    "select",
    "selection_of",
    "unvisited",
    "verify_hints",
    "where",
]

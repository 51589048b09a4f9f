"""Gen's interfaces: generative functions, traces, choice maps, selections, change hints, plugins."""

from gen_core import rooms
from gen_core.address import Address, Key, Path
from gen_core.address_errors import (
    AddressCollisionError,
    AddressError,
    ChoicesError,
    NoChoiceError,
    NotFloatingPointError,
    RowsError,
    SelectionError,
    VectorLengthError,
)
from gen_core.batch import batch
from gen_core.batch_errors import BatchSizeError, BatchStructureError, NotBatchableError
from gen_core.call import Call
from gen_core.choice import ChoiceTrace
from gen_core.choicemap import EMPTY, ChoiceMap, Leaf
from gen_core.choicemap_build import Choices, choicemap
from gen_core.choicemap_rows import rows
from gen_core.choose import choose
from gen_core.diff import UNCHANGED, UNKNOWN, ArgDiffs, Diff, IntDiff, VectorDiff
from gen_core.distribution import Distribution
from gen_core.draw import draw, drawing
from gen_core.errors import (
    ArgumentDiffError,
    ChangedInPlaceError,
    DuplicateAddressError,
    ForgottenAddressError,
    GenError,
    GenWarning,
    GradientError,
    HintError,
    InlineError,
    MissingChoiceError,
    OtherFunctionError,
    OutsideModelError,
    ParameterError,
    UnknownSelectionError,
    UnvisitedConstraintsError,
    ValueShapeError,
)
from gen_core.family import Family, Requirement
from gen_core.independent import IndependentElements
from gen_core.interface import GenerativeFunction
from gen_core.judge import unvisited
from gen_core.parameters import Parameters
from gen_core.plugin_errors import (
    BrokenPluginError,
    MissingPackageError,
    PluginConflictError,
    UnknownNameError,
)
from gen_core.plugins import plugins
from gen_core.pytree import Records, register_choices, register_trace
from gen_core.results import ArgGradients, Assessed, ChoiceGradients, Generated, Proposed, Updated
from gen_core.rooms import Rooms
from gen_core.run import Handler
from gen_core.saving import (
    choices_from_state,
    choices_to_state,
    load,
    save,
    trace_from_state,
    trace_to_state,
)
from gen_core.saving_errors import (
    ChangedFunctionError,
    FileFormatError,
    MissingReferenceError,
    NoReferenceError,
    UnsavableError,
)
from gen_core.selection import ALL, NONE, Selection
from gen_core.selection_build import ANY, select, selection_of, where
from gen_core.sequence import SequenceFunction
from gen_core.stack import stack
from gen_core.surface import inline, param
from gen_core.totals import total
from gen_core.trace import Trace
from gen_core.trace_batch import TraceBatch
from gen_core.verify import verify_hints
from gen_core.vmap import vmap

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
    "BatchSizeError",
    "BatchStructureError",
    "BrokenPluginError",
    "Call",
    "ChangedFunctionError",
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
    "FileFormatError",
    "ForgottenAddressError",
    "GenError",
    "GenWarning",
    "Generated",
    "GenerativeFunction",
    "GradientError",
    "Handler",
    "HintError",
    "IndependentElements",
    "InlineError",
    "IntDiff",
    "Key",
    "Leaf",
    "MissingChoiceError",
    "MissingPackageError",
    "MissingReferenceError",
    "NONE",
    "NoChoiceError",
    "NoReferenceError",
    "NotBatchableError",
    "NotFloatingPointError",
    "OtherFunctionError",
    "OutsideModelError",
    "ParameterError",
    "Parameters",
    "Path",
    "PluginConflictError",
    "Proposed",
    "Records",
    "Requirement",
    "Rooms",
    "RowsError",
    "Selection",
    "SelectionError",
    "SequenceFunction",
    "Trace",
    "TraceBatch",
    "UNCHANGED",
    "UNKNOWN",
    "UnknownNameError",
    "UnknownSelectionError",
    "UnsavableError",
    "UnvisitedConstraintsError",
    "Updated",
    "ValueShapeError",
    "VectorDiff",
    "VectorLengthError",
    "batch",
    "choicemap",
    "choices_from_state",
    "choices_to_state",
    "choose",
    "draw",
    "drawing",
    "inline",
    "load",
    "param",
    "plugins",
    "register_choices",
    "register_trace",
    "rooms",
    "rows",
    "save",
    "select",
    "selection_of",
    "stack",
    "total",
    "trace_from_state",
    "trace_to_state",
    "unvisited",
    "verify_hints",
    "vmap",
    "where",
]

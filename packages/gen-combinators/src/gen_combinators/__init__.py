"""Gen's combinators: generative functions built of generative functions."""

from gen_combinators.call_at import call_at, choice_at
from gen_combinators.custom import CustomDeterministic
from gen_combinators.custom_gradient import CustomGradient
from gen_combinators.deterministic import deterministic, with_gradient
from gen_combinators.dimap import dimap, map_args, map_retval
from gen_combinators.errors import (
    BranchArgumentsError,
    BranchesDifferError,
    BranchIndexError,
    ChangedArgumentsError,
    ComputedKeyError,
    CopiesError,
    CustomRetvalError,
    DeterministicChoiceError,
    ElementsLengthError,
    FlagError,
    InputsError,
    KernelError,
    LengthError,
    LengthTypeError,
    NoBranchesError,
    NoElementsError,
    NoElementsTraceError,
    ProductionError,
    StepRetvalError,
    TooManyChildrenError,
)
from gen_combinators.map import Map
from gen_combinators.mask import Mask
from gen_combinators.masked import Masked
from gen_combinators.mix import mix
from gen_combinators.or_else import or_else
from gen_combinators.recurse import Recurse
from gen_combinators.repeat import repeat
from gen_combinators.scan import Scan
from gen_combinators.shared import Shared, shared
from gen_combinators.storage import storage_of
from gen_combinators.switch import Switch
from gen_combinators.unfold import Unfold
from gen_combinators.vector import Vector

__all__ = [
    "BranchArgumentsError",
    "BranchIndexError",
    "BranchesDifferError",
    "ChangedArgumentsError",
    "ComputedKeyError",
    "CopiesError",
    "CustomDeterministic",
    "CustomGradient",
    "CustomRetvalError",
    "DeterministicChoiceError",
    "ElementsLengthError",
    "FlagError",
    "InputsError",
    "KernelError",
    "LengthError",
    "LengthTypeError",
    "Map",
    "Mask",
    "Masked",
    "NoBranchesError",
    "NoElementsError",
    "NoElementsTraceError",
    "ProductionError",
    "Recurse",
    "Scan",
    "Shared",
    "StepRetvalError",
    "Switch",
    "TooManyChildrenError",
    "Unfold",
    "Vector",
    "call_at",
    "choice_at",
    "deterministic",
    "dimap",
    "map_args",
    "map_retval",
    "mix",
    "or_else",
    "repeat",
    "shared",
    "storage_of",
    "with_gradient",
]

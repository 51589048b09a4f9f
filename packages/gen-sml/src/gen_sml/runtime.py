"""What parsed code calls while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeVar, final

from gen_sml.errors import AugmentedAssignmentError, UnboundVariableError

T = TypeVar("T")


@final
class Unbound:
    """The type of `UNBOUND`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNBOUND"

    def __copy__(self) -> Unbound:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Unbound:
        return self

    def __reduce__(self) -> str:
        return "UNBOUND"


UNBOUND: Final = Unbound()
"""The value of a variable that statements may or may not have assigned, where they have not."""


@final
@dataclass(frozen=True)
class Bound:
    """Reads variables that may be unbound, in one function of the user."""

    function: str
    file: str

    def __call__(self, value: T, name: str, line: int, /) -> T:
        """Return the value of a variable.

        Raises:
            UnboundVariableError: It has none.
        """
        if value is UNBOUND:
            raise UnboundVariableError(name, f"{self.function} ({self.file}:{line})")
        return value


@final
@dataclass(frozen=True)
class Unchanging:
    """Checks the left sides of augmented assignments, in one function of the user."""

    function: str
    file: str

    def __call__(self, value: T, name: str, symbol: str, line: int, /) -> T:
        """Return the value of a variable, for which `value += x` must mean `value + x`.

        Raises:
            AugmentedAssignmentError: It is not an immutable Python value.
        """
        if value is not None and type(value) not in _IMMUTABLE:
            raise AugmentedAssignmentError(name, symbol, value, f"{self.function} ({self.file}:{line})")
        return value


_IMMUTABLE: Final = frozenset([int, float, complex, bool, str, bytes, tuple, frozenset, range])

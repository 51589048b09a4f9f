"""Errors of addresses, choice maps and selections."""

from __future__ import annotations

from collections.abc import Iterable

from gen_core.address import Path, nearest, show, show_all
from gen_core.errors import GenError


class AddressError(GenError, TypeError):
    """Something was used as an address that cannot be one."""

    def __init__(self, part: object, address: object) -> None:
        where = f" in the address {address!r}" if isinstance(address, tuple) else ""
        super().__init__(
            f"{part!r} ({type(part).__name__}){where} is not a key. An address is a key or a flat "
            f"tuple of keys, and a key is a string or an index (anything with `__index__`), "
            f"as in 'x', 3 and ('y', 3)."
        )


class NoChoiceError(GenError, KeyError):
    """There is no value at an address that was asked for."""

    def __init__(self, path: Path, known: Iterable[Path]) -> None:
        known = list(known)
        below = [other for other in known if other[: len(path)] == path]
        if not known:
            what = f"No choice at {show(path)}: there are no choices at all."
        elif below:
            what = (
                f"No value at {show(path)}, only below it, at {show_all(below, limit=3)}. "
                f"Ask for one of these, or for the submap."
            )
        else:
            close = show_all(nearest(path, known))
            what = f"No choice at {show(path)}. The nearest of {len(known)}: {close}."
        super().__init__(what)


class AddressCollisionError(GenError, ValueError):
    """Two values claim one address, or one claims an address and another one below it."""

    def __init__(self, path: Path, below: Path | None = None) -> None:
        what = (
            f"There are two values at {show(path)}."
            if below is None
            else f"There is a value at {show(path)} and another one below it, at {show(below)}."
        )
        super().__init__(
            f"{what} An address holds one value or a submap: rename one of them, "
            f"or use `override` to let one choice map win over another."
        )


class ChoicesError(GenError, TypeError):
    """Something else stands where choices are expected."""

    def __init__(self, given: object) -> None:
        super().__init__(
            f"Expected choices, as a dict or a choice map, but got {given!r} "
            f"({type(given).__name__}). Constraints come first, before the model's arguments: "
            f"model.generate({{'x': 1.0}}, *args), or {{}} for none. A trace's are `trace.choices`."
        )


class SelectionError(GenError, TypeError):
    """Something else stands where a selection is expected."""

    def __init__(self, given: object) -> None:
        super().__init__(
            f"Expected a selection, but got {given!r} ({type(given).__name__}). Write "
            f"select('x', ('y', 3)) for addresses, or selection_of(choices) for those of choices."
        )


class NotFloatingPointError(GenError, TypeError):
    """A choice that is not a floating point number was to become part of a vector."""

    def __init__(self, path: Path, value: str) -> None:
        super().__init__(
            f"The choice at {show(path)} is {value}, and a vector holds only floating point tensors "
            f"and floats. Leave it out: choices.filter(~select({show(path)})).to_vector()."
        )


class VectorLengthError(GenError, ValueError):
    """A vector does not have one element for each element of the choices."""

    def __init__(self, expected: int, shape: tuple[int, ...]) -> None:
        super().__init__(
            f"Expected a vector of shape ({expected},), one element for each element of the "
            f"choices, but got shape {shape}."
        )


class RowsError(GenError, ValueError):
    """The values of many elements do not have one row for each element."""

    def __init__(self, shapes: dict[Path, tuple[int, ...]], num_keys: int | None = None) -> None:
        each = ", ".join(f"{show(path)}: {shape}" for path, shape in list(shapes.items())[:5])
        keys = "" if num_keys is None else f" and {num_keys} keys"
        super().__init__(
            f"Expected tensors whose first dimension is the elements', the same in all, but got the shapes "
            f"{each}{keys}."
        )

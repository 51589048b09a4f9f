"""References: `module:qualified.name`, under which an import finds a function or a class."""

from __future__ import annotations

import importlib
from typing import Any

from gen_core.saving_errors import MissingReferenceError


def reference_of(value: Any) -> str:
    """Return the reference that a class or a function claims for itself."""
    return f"{value.__module__}:{value.__qualname__}"


def find(reference: str) -> Any:
    """Import what a reference names.

    Raises:
        MissingReferenceError: The module cannot be imported, or lacks the name.
    """
    module, _, name = reference.partition(":")
    try:
        found = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise MissingReferenceError(reference, error) from error
    return found


def is_found(reference: str, value: object) -> bool:
    """Return whether a reference leads back to `value`."""
    try:
        found = find(reference)
    except MissingReferenceError:
        return False
    return found is value or bool(found == value)

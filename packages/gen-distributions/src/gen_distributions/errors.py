"""Errors of distributions: one class for each mistake."""

from __future__ import annotations

from gen_core.errors import GenError


class ValueKindError(GenError, TypeError):
    """A given value is not of the kind that a distribution draws."""

    def __init__(self, distribution: str, value: object, expected: str) -> None:
        text = repr(value)
        shown = text if len(text) <= 60 else f"{text[:57]}..."
        super().__init__(f"Expected a value of {distribution} to be {expected}, but got {shown}.")


class OneParameterizationError(GenError, TypeError):
    """None or several of the alternative parameters of a distribution were given."""

    def __init__(self, distribution: str, names: tuple[str, ...], given: tuple[str, ...]) -> None:
        got = " and ".join(f"`{name}`" for name in given) if given else "none of them"
        super().__init__(
            f"{distribution} takes exactly one of {', '.join(f'`{name}`' for name in names)}, but got {got}."
        )


class NotEnumerableError(GenError, TypeError):
    """The support of a distribution was to be listed, and is infinite or too large."""

    def __init__(self, distribution: str, why: str = "its support is not a finite set") -> None:
        super().__init__(f"{distribution} cannot be enumerated: {why}. Ask `is_enumerable` first.")


class DistBodyError(GenError, SyntaxError):
    """The body of a `@dist` function is not one that a density can be found for."""

    def __init__(self, function: str, why: str, where: str | None = None) -> None:
        place = f" ({where})" if where else ""
        super().__init__(
            f"@dist cannot read {function}{place}: {why}. A body makes one random call, such as "
            f"`normal.sample(mu, sigma)`, and applies +, -, *, /, **, exp, log or a label lookup to it."
        )


class ComponentError(GenError, TypeError):
    """A distribution was built of parts that do not fit together."""

"""The laws by number, and the error that says which one was broken, by which operation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import final


class LawError(AssertionError):
    """A generative function broke a law."""


@final
class Law(Enum):
    """A law, as `(number, sentence)`; the numbers are those of the specification."""

    IDENTITIES = 1, "every weight follows from `project`, and `project(ALL)` is the score"
    ASSESS = 2, "`assess` of a trace's choices returns its score and return value"
    IMMUTABLE = 3, "no operation changes the old trace or what it was given"
    NOTHING = 4, "an edit with nothing is the identity"
    REVERSIBLE = 5, "the discard leads back, with the weight negated"
    PROPOSAL = 6, "what is not given is drawn with probability exp(score - project(what is given))"
    BALANCE = 7, "regenerate's weight balances moves against their reverse"
    RETDIFF = 8, "a return value that is UNCHANGED is equal"
    LOOKUP = 9, "`trace[a]` is `trace.choices[a]`"
    GRADIENTS = 10, "gradients agree with finite differences"
    HINTS = 11, "change hints never change a result"
    ROUND_TRIPS = 12, "what is flattened or saved comes back"
    ERRORS = 13, "unvisited, missing and unknown addresses raise, and no handler is left behind"
    BELOW = 14, "every law holds one level below a caller"
    BATCHES = 15, "a batch of n runs has the law of n runs, and equal scores one by one"

    @property
    def number(self) -> int:
        """The number in the specification."""
        return self.value[0]

    @property
    def title(self) -> str:
        """`law 3 (no operation changes ...)`."""
        return f"law {self.value[0]} ({self.value[1]})"

    def broken(self, operation: object, found: str) -> LawError:
        """Return the error to raise.

        Args:
            operation: What was run; it is printed only now, since printing choices is slow.
            found: What was found instead, as in `the score is 1, not 2`.
        """
        return LawError(f"{self.title} is broken by {operation}: {found}.")

    @contextmanager
    def checked_on(self, operation: object) -> Iterator[None]:
        """Turn an exception of the block, which checks `operation`, into a broken law."""
        try:
            yield
        except LawError:
            raise
        except Exception as error:
            raise self.broken(operation, f"it raised {type(error).__name__}: {error}") from error

"""Errors of combinators: one class for each mistake."""

from __future__ import annotations

from collections.abc import Mapping

from gen_core import GenError, NotBatchableError


class ProductionError(GenError, TypeError):
    """The production kernel of a Recurse did not return a pair of a value and the children's inputs."""

    def __init__(self, model: str, kernel: str, node: int, retval: object) -> None:
        super().__init__(
            f"Expected {kernel}, the production kernel of {model}, to return (value, children), with a "
            f"sequence of one input for each child, but at node {node} it returned {brief(retval)}. A leaf "
            f"returns (value, [])."
        )


class TooManyChildrenError(GenError, ValueError):
    """A node of a Recurse has more children than it may have."""

    def __init__(self, model: str, node: int, num_children: int, max_branch: int) -> None:
        super().__init__(
            f"Node {node} of {model} has {num_children} children, and max_branch is {max_branch}: numbers of "
            f"nodes would collide. Make max_branch the largest number of children there can be."
        )


class DeterministicChoiceError(GenError, RuntimeError):
    """A deterministic function visited a call."""

    def __init__(self, function: str, expression: str) -> None:
        super().__init__(
            f"{expression} ran inside {function}, a deterministic function, which makes no traced choices. "
            f"Make the choice in the model and pass its value, or decorate the function with @gen."
        )


class CustomRetvalError(GenError, TypeError):
    """A method of a custom function did not return what it has to."""

    def __init__(self, function: str, method: str, expected: str, returned: object) -> None:
        super().__init__(
            f"Expected {method} of {function} to return {expected}, but it returned {brief(returned)}."
        )


class KernelError(GenError, TypeError):
    """What a combinator is built of is no generative function, or does not take what it must."""

    def __init__(self, combinator: str, kernel: object, must: str) -> None:
        super().__init__(f"Expected the kernel of {combinator} to {must}, but got {brief(kernel)}.")


class StepRetvalError(GenError, TypeError):
    """The kernel of a Scan did not return a pair of a carry and an output."""

    def __init__(self, function: str, retval: object) -> None:
        super().__init__(
            f"Expected the kernel of {function} to return a pair (carry, y), but it returned "
            f"{brief(retval)}. A kernel that returns the carry only is one for Unfold."
        )


class InputsError(GenError, TypeError):
    """The inputs of a Scan have no length."""

    def __init__(self, function: str, inputs: object) -> None:
        super().__init__(
            f"Expected `xs` of {function} to be a sequence or tensor with a value for each step, but got "
            f"{brief(inputs)} ({type(inputs).__name__})."
        )


class LengthError(GenError, ValueError):
    """A number of steps is negative."""

    def __init__(self, function: str, length: int) -> None:
        super().__init__(f"Expected `length` of {function} to be at least 0, but got {length}.")


class LengthTypeError(GenError, TypeError):
    """A number of steps is no integer."""

    def __init__(self, function: str, length: object) -> None:
        super().__init__(
            f"Expected `length` of {function} to be an int, or an integer tensor of shape (), but got "
            f"{brief(length)} ({type(length).__name__})."
        )


class BranchIndexError(GenError, ValueError):
    """The index of a Switch is no index, or there is no such branch."""

    def __init__(self, function: str, index: object, num_branches: int) -> None:
        super().__init__(
            f"Expected the index of {function} to be an int, a bool or an integer tensor of shape (), from 0 "
            f"to {num_branches - 1}, but got {brief(index)} ({type(index).__name__})."
        )


class FlagError(GenError, TypeError):
    """The condition of an `or_else`, or the flag of a Mask, is neither true nor false."""

    def __init__(self, function: str, parameter: str, given: object) -> None:
        super().__init__(
            f"Expected `{parameter}` of {function} to be a bool, or a boolean tensor of shape (), but got "
            f"{brief(given)} ({type(given).__name__})."
        )


class BranchArgumentsError(GenError, TypeError):
    """A branch does not take the arguments that it was given."""

    def __init__(self, function: str, number: int, branch: str, reason: object) -> None:
        super().__init__(f"Branch {number} of {function}, {branch}, does not take its arguments: {reason}.")


class BranchesDifferError(NotBatchableError):
    """Branches that run side by side, in a batch or a compiled program, differ where they have to agree."""

    def __init__(self, what: str, place: str, found: Mapping[int, str]) -> None:
        each = ", ".join(f"branch {number} has {value}" for number, value in found.items())
        GenError.__init__(
            self,
            f"In a batch or a compiled program all branches run, so Gen needs every branch of {what} the "
            f"same kind of value{place}, but {each}. Make them agree, or give the index as a Python int.",
        )


class NoBranchesError(GenError, TypeError):
    """A combinator of several generative functions was given too few."""

    def __init__(self, combinator: str) -> None:
        super().__init__(f"{combinator}() needs at least one generative function.")


class ChangedArgumentsError(GenError, TypeError):
    """The function that changes arguments for a kernel did not return a tuple."""

    def __init__(self, function: str, pre: str, returned: object) -> None:
        super().__init__(
            f"Expected `{pre}`, which makes the arguments of the kernel of {function}, to return a tuple, "
            f"but it returned {brief(returned)} ({type(returned).__name__}). For one argument: `return (x,)`."
        )


class ComputedKeyError(GenError, TypeError):
    """The computed address of a `call_at` is no address."""

    def __init__(self, function: str, key: object) -> None:
        super().__init__(
            f"Expected `key` of {function} to be a string, an index or a tuple of these, not empty, but got "
            f"{brief(key)} ({type(key).__name__})."
        )


def brief(value: object) -> str:
    """Return a short text for a value in a message."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


class NoElementsError(GenError, TypeError):
    """An argument of a Map has no length, or none has."""

    def __init__(self, function: str, parameter: str | None = None, value: object = None) -> None:
        what = (
            f"Expected an argument of {function} to be a sequence or tensor with a value for each element, "
            f"but all are shared. To run a kernel n times on the same arguments, write repeat(kernel, n)."
            if parameter is None
            else f"Expected `{parameter}` of {function} to be a sequence or tensor with a value for each "
            f"element, but got {' '.join(repr(value).split())[:80]} ({type(value).__name__}). To give all "
            f"elements the same value, write shared(...)."
        )
        super().__init__(what)


class ElementsLengthError(GenError, ValueError):
    """The arguments of a Map have different lengths."""

    def __init__(self, function: str, lengths: dict[str, int]) -> None:
        each = ", ".join(f"`{parameter}` has {length}" for parameter, length in lengths.items())
        super().__init__(
            f"Expected arguments of one length for {function}, a value for each element, but {each}. To give "
            f"all elements the same value, write shared(...)."
        )


class CopiesError(GenError, ValueError):
    """The number of runs of `repeat` is not a number of runs."""

    def __init__(self, kernel: str, given: object) -> None:
        super().__init__(f"Expected repeat({kernel}, n) to have n runs, 0 or more, but got {given!r}.")


class NoElementsTraceError(GenError, TypeError):
    """A trace without elements was asked how it holds them."""

    def __init__(self, gen_fn: str) -> None:
        super().__init__(
            f"Expected a trace of a Map, repeat, Unfold or Scan, but got one of {gen_fn}. "
            f"Take the callee's: storage_of(trace.subtrace(address))."
        )

"""The handler of a custom function's body: it makes no traced choices, and may have parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, final

from gen_combinators.errors import DeterministicChoiceError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions.constraints import Constraint

    from gen_core import Call, GenerativeFunction
    from gen_core.run import Running


@final
class CustomRun:
    """Without it, `call @ address` in the body would make a choice of the caller."""

    def __init__(self, gen_fn: GenerativeFunction[..., Any], call: Call[Any]) -> None:
        """Prepare a run of `gen_fn` on the arguments of `call`."""
        self.gen_fn = gen_fn
        self.call = call
        self.outer: Running | None = None

    def visit(self, call: Call[Any], address: object, /) -> NoReturn:
        """Refuse `call @ address`."""
        raise DeterministicChoiceError(self.gen_fn.name, f"{call.gen_fn.name}(...) @ {address!r}")

    def param(self, name: str, init: object, constraint: Constraint | None, /) -> Tensor:
        """Handle `param(name, init, constraint)`."""
        return self.gen_fn.params.value(name, init, constraint)

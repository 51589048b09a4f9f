"""Trainable parameters of generative functions: what `param` makes and returns."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor, nn
from torch.distributions import transform_to

from gen_core.errors import ParameterError
from gen_core.readable import outside_transforms

if TYPE_CHECKING:
    from torch.distributions.constraints import Constraint


PARAMETERS = "__gen_parameters__"
"""The attribute in which an object keeps the parameters of its generative methods, by method."""


@final
class Parameters(Mapping[str, nn.Parameter]):
    """The parameters of one generative function: unconstrained `nn.Parameter`s by name."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self.store: dict[str, nn.Parameter] = {}
        """Where they are: the function's `nn.Module` has the same dict, so the two always agree."""
        self.record: Any = None
        """What gen-torch knows of this function's modules."""
        self._constraints: dict[str, Constraint | None] = {}
        self._lock = threading.Lock()

    def value(self, name: str, init: object, constraint: Constraint | None) -> Tensor:
        """Return the current, constrained value of `name`, making the parameter at the first call."""
        parameter = self.store.get(name)
        if parameter is None:
            with self._lock:
                parameter = self.store.get(name)
                if parameter is None:
                    with outside_transforms(), torch.enable_grad():
                        parameter = self._make(name, init, constraint)
        if self._constraints[name] is not constraint:
            self._check_same_constraint(name, constraint)
        return parameter if constraint is None else _to(constraint)(parameter)

    def constraint(self, name: str) -> Constraint | None:
        """Return the constraint that `name` was made with."""
        return self._constraints[name]

    def __getitem__(self, name: str) -> nn.Parameter:
        return self.store[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.store)

    def __len__(self) -> int:
        return len(self.store)

    def __getstate__(self) -> dict[str, Any]:
        # A copied or unpickled object has parameters of its own; locks and records are not copied.
        return {**self.__dict__, "record": None, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    def _make(self, name: str, init: object, constraint: Constraint | None) -> nn.Parameter:
        if "." in name or not name:
            raise ParameterError(self._owner, "param's name", "a name without dots", name)
        given = init() if callable(init) and not isinstance(init, Tensor) else init
        value = torch.as_tensor(given, dtype=None if isinstance(given, Tensor) else torch.get_default_dtype())
        value = value.detach().clone()
        if not value.is_floating_point():
            raise ParameterError(self._owner, name, "floating point", value)
        if constraint is not None:
            if not bool(constraint.check(value).all()):
                raise ParameterError(self._owner, name, f"inside {constraint!r}", value)
            value = _to(constraint).inv(value)
        # Order matters to other threads: a parameter that can be seen has its constraint.
        self._constraints[name] = constraint
        parameter = self.store[name] = nn.Parameter(value)
        return parameter

    def _check_same_constraint(self, name: str, constraint: Constraint | None) -> None:
        known = self._constraints[name]
        if type(known) is not type(constraint) or repr(known) != repr(constraint):
            raise ParameterError(self._owner, name, f"constrained as before, to {known!r}", constraint)


def _to(constraint: Constraint) -> Any:
    transform: Callable[..., Any] = transform_to(constraint)
    return transform

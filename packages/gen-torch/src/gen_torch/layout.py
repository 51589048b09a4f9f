"""Where each module and parameter that a generative function reaches stands in its `nn.Module`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, final

from torch import nn

from gen_core import Distribution, GenerativeFunction
from gen_torch.held import HeldTensor, Names, held_by, name_within
from gen_torch.namespace import Namespace
from gen_torch.record import record_of


class _Reached(NamedTuple):
    """A function that is reached, and the names that lead to it from the one that calls it."""

    gen_fn: GenerativeFunction[..., Any]
    caller: _Reached | None
    names: Names


@final
class Layout:
    """The tree below the module of one generative function. What stands in it keeps its name.

    Everything is there once, at the first place that leads to it: what the function itself holds, then
    what its callees hold, then what runs have recorded.
    """

    def __init__(self, gen_fn: GenerativeFunction[..., Any], root: Namespace) -> None:
        self._gen_fn = gen_fn
        self._root = root
        self._namespaces: dict[int, Namespace] = {id(gen_fn.params): root}
        self._placed: dict[nn.Module, Namespace] = {}
        self._slots = set[tuple[int, str]]()
        self._kept: list[object] = []

    def refresh(self) -> None:
        """Add what was reached since. Callers hold the lock of the records."""
        reached = list(self._functions())
        for each in reached:
            if each.gen_fn.params:
                self._namespace(each).make_way()
            held = [held for held in held_by(each.gen_fn) if not isinstance(held.value, GenerativeFunction)]
            modules = [held.value for held in held if isinstance(held.value, nn.Module)]
            # `net` before `net.encoder`, which is within it.
            within = {part for module in modules for part in module.modules() if part is not module}
            for names, value in held:
                if not isinstance(value, nn.Module) or value not in within:
                    self._place(each, names, value)
        for each in reached:
            for module, names in record_of(each.gen_fn.params).modules:
                if not self._is_placed(module):
                    self._place(each, name_within(each.gen_fn, module) or names, module)

    def _functions(self) -> Iterator[_Reached]:
        """Yield the function and its callees: those that it holds, directly or not, then recorded ones."""
        seen = {id(self._gen_fn.params)}
        reached = [_Reached(self._gen_fn, None, ())]

        def add(callee: GenerativeFunction[..., Any], caller: _Reached, names: Names) -> None:
            if id(callee.params) not in seen and not isinstance(callee, Distribution):
                seen.add(id(callee.params))
                reached.append(_Reached(callee, caller, names))

        done = 0
        recorded = 0
        while recorded < len(reached):
            while done < len(reached):
                for names, value in held_by(reached[done].gen_fn):
                    if isinstance(value, GenerativeFunction):
                        add(value, reached[done], names)
                done += 1
            for callee in record_of(reached[recorded].gen_fn.params).callees.values():
                add(callee, reached[recorded], (callee.name,))
            recorded += 1
        return iter(reached)

    def _place(self, reached: _Reached, names: Names, value: Any) -> None:
        if isinstance(value, HeldTensor):
            self._place_tensor(reached, names, value)
        elif isinstance(value, nn.Module) and not self._is_placed(value):
            parts = [part for part in value.modules() if part in self._placed]
            for part in parts:
                self._placed.pop(part).remove_child(part)
            if parts:
                self._root.prune()
            namespace = self._within(reached, names)
            namespace.add_child(names[-1], value)
            self._placed[value] = namespace

    def _place_tensor(self, reached: _Reached, names: Names, held: HeldTensor) -> None:
        if held.key in self._slots or any(held.tensor is other for other in self._tensors()):
            return
        self._slots.add(held.key)
        self._kept.append(held)
        namespace = self._within(reached, names)
        if held.kind == "parameter":
            namespace.add_parameter(names[-1], held.slot)
        else:
            namespace.add_buffer(names[-1], held.slot, persistent=held.kind == "buffer")

    def _tensors(self) -> Iterator[object]:
        for module in self._placed:
            yield from module.parameters()
            yield from module.buffers()

    def _is_placed(self, module: nn.Module) -> bool:
        return any(part is module for placed in self._placed for part in placed.modules())

    def _within(self, reached: _Reached, names: Names) -> Namespace:
        namespace = self._namespace(reached)
        for name in names[:-1]:
            namespace = namespace.entered(name)
        return namespace

    def _namespace(self, reached: _Reached) -> Namespace:
        """Return the namespace of a function, made when something is placed there."""
        found = self._namespaces.get(id(reached.gen_fn.params))
        if found is None:
            assert reached.caller is not None
            params = reached.gen_fn.params
            found = self._namespaces[id(params)] = Namespace(params.store)
            self._kept.append(params)
            self._within(reached.caller, reached.names).add_child(reached.names[-1], found)
        return found

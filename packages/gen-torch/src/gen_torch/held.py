"""What a generative function holds before it runs: modules, parameters and callees, with their names."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any, Literal, NamedTuple, TypeAlias

from torch import Tensor, nn

from gen_core import GenerativeFunction
from gen_core.captured import Captured, Link
from gen_torch.namespace import Namespace
from gen_torch.redirected import Slot

Names: TypeAlias = tuple[str, ...]
Kind: TypeAlias = Literal["parameter", "buffer", "temporary buffer"]


class HeldTensor(NamedTuple):
    """A parameter or buffer that is not in a held module."""

    tensor: Tensor
    slot: Slot
    kind: Kind
    key: tuple[int, str]
    """What tells it from others, also while something else is in its slot."""


class Held(NamedTuple):
    """Something of a model, and the names that lead to it."""

    names: Names
    value: nn.Module | HeldTensor | GenerativeFunction[..., Any]


def held_by(gen_fn: GenerativeFunction[..., Any]) -> Iterator[Held]:
    """Yield what the names in a function's body lead to.

    Of `net.encoder(x)` that is the encoder, of `net.weight` the net, of `self.net(x)` in a method the net,
    as `net`; of a list or dict of modules each of them.
    """
    for chain in gen_fn.captured():
        yield from _longest(chain)


def name_within(gen_fn: GenerativeFunction[..., Any], module: nn.Module) -> Names | None:
    """Return the names of a module that is somewhere within a module that the function reaches."""
    for chain in gen_fn.captured():
        if isinstance(chain[0].value, nn.Module):
            names = path_within(chain[0].value, module)
            if names is not None:
                return (*_names(chain[:1]), *names)
    return None


def path_within(outer: nn.Module, module: nn.Module) -> Names | None:
    """Return the names that lead from one module to another."""
    return next(
        (tuple(filter(None, path.split("."))) for path, m in outer.named_modules() if m is module), None
    )


def _longest(chain: Captured) -> Iterator[Held]:
    for length in range(len(chain), 0, -1):
        found = list(_at(chain[:length]))
        if found:
            yield from found
            return


def _at(chain: Captured) -> Iterator[Held]:
    last = chain[-1]
    names = _names(chain)
    if isinstance(last.value, nn.Module):
        # The object of a method is not part of itself, and neither are the modules that this package makes.
        if last.name and not isinstance(last.value, Namespace):
            yield Held(names, last.value)
    elif isinstance(last.value, GenerativeFunction):
        yield Held(names, last.value)
    elif isinstance(last.value, Tensor):
        yield from _tensor(chain)
    elif isinstance(last.value, list | tuple | dict) and len(last.value) <= _MOST_ELEMENTS:
        items = last.value.items() if isinstance(last.value, dict) else enumerate(last.value)
        for key, value in list(items):
            yield from _at((*chain, Link(str(key), value)))


def _tensor(chain: Captured) -> Iterator[Held]:
    last = chain[-1]
    owner = chain[-2].value if len(chain) > 1 else None
    if isinstance(owner, nn.Module):
        if last.name in owner._parameters:
            yield _in(owner._parameters, chain, "parameter")
        elif last.name in owner._buffers:
            is_temporary = last.name in owner._non_persistent_buffers_set
            yield _in(owner._buffers, chain, "temporary buffer" if is_temporary else "buffer")
    elif isinstance(last.value, nn.Parameter):
        attributes = getattr(owner, "__dict__", {})
        if last.name in attributes:
            yield _in(attributes, chain, "parameter")
        else:
            # A variable's value cannot be replaced for those who read it; `.to()` does not need that.
            slot = Slot({last.name: last.value}, last.name)
            yield Held(_names(chain), HeldTensor(last.value, slot, "parameter", (id(last.value), "")))


def _in(owner: MutableMapping[str, Any], chain: Captured, kind: Kind) -> Held:
    name, value = chain[-1]
    return Held(_names(chain), HeldTensor(value, Slot(owner, name), kind, (id(owner), name)))


def _names(chain: Captured) -> Names:
    return tuple(link.name for link in chain if link.name)


_MOST_ELEMENTS = 1000  # Longer lists are data.

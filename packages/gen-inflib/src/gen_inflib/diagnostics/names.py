"""Names of the numbers in choices, as tables and exports write them."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from gen_core import ChoiceMap, Path


def name_of(path: Path) -> str:
    """Return an address as one name: `("ys", 3, "x")` is `ys[3].x`."""
    name = ""
    for part in path:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else part
    return name


def columns(draws: ChoiceMap) -> Iterator[tuple[str, Tensor]]:
    """Yield each number's name and its draws, shape `(num_chains, num_draws)`."""
    for path, value in draws.leaves():
        if value.dim() == 2:
            yield name_of(path), value
            continue
        flat = value.flatten(2)
        for position in range(flat.shape[2]):
            yield f"{name_of(path)}[{_index(position, value.shape[2:])}]", flat[:, :, position]


def _index(position: int, shape: tuple[int, ...]) -> str:
    parts = []
    for size in reversed(shape):
        position, part = divmod(position, size)
        parts.append(str(part))
    return ", ".join(reversed(parts))

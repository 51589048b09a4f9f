"""The plugin registry: tables filled once from every plugin that is installed.

Environment variables: `GEN_PLUGINS_DISABLED` names plugins (comma separated) that are not loaded;
`GEN_PLUGINS_STRICT=1` turns the warning about a broken plugin into an error.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Any, NamedTuple, final

import pluggy

from gen_core import hookspecs
from gen_core.errors import GenWarning
from gen_core.hookspecs import ValueCodec
from gen_core.plugin_errors import BrokenPluginError, PluginConflictError, UnknownNameError

if TYPE_CHECKING:
    from gen_core.distribution import Distribution
    from gen_core.hookspecs import Runtime
    from gen_core.interface import GenerativeFunction


@final
class Plugins:
    """Everything that plugins provide. Discovery happens at the first use."""

    def __init__(self) -> None:
        self._registered: dict[str, object] = {}
        self._listeners: list[Callable[[], None]] = []
        self._tables: _Tables | None = None
        self._loading: _Tables | None = None
        self._lock = threading.RLock()

    def distribution(self, name: str) -> Distribution[..., Any]:
        """Return a distribution by name.

        Raises:
            UnknownNameError: No plugin provides it; names the nearest, and broken plugins.
            PluginConflictError: Two plugins do.
        """
        found: Distribution[..., Any] = self._lookup("distribution", self._loaded().distributions, name)
        return found

    def combinator(self, name: str) -> Callable[..., GenerativeFunction[..., Any]]:
        """Return a combinator by name; raises as `distribution` does."""
        found: Callable[..., GenerativeFunction[..., Any]] = self._lookup(
            "combinator", self._loaded().combinators, name
        )
        return found

    @property
    def distributions(self) -> list[str]:
        """The names of all distributions, sorted."""
        return sorted(self._loaded().distributions)

    @property
    def combinators(self) -> list[str]:
        """The names of all combinators, sorted."""
        return sorted(self._loaded().combinators)

    @property
    def edits(self) -> Mapping[tuple[type[Any], str], Callable[..., Any]]:
        """Rooms supplied or replaced by plugins, by (generative function type, operation)."""
        return self._loaded().edits

    @property
    def runtimes(self) -> list[Runtime]:
        """What is entered with each outermost run."""
        tables = self._tables
        return tables.runtimes if tables is not None else self._loaded().runtimes

    @property
    def values(self) -> Mapping[type[Any], ValueCodec]:
        """How values of foreign types are taken apart, by type."""
        return self._loaded().values

    @property
    def broken(self) -> list[str]:
        """The plugins that could not be loaded."""
        return list(self._loaded().broken)

    def register(self, plugin: object, name: str) -> None:
        """Add a plugin that is not installed: a module or object with hook implementations."""
        self._registered[name] = plugin
        self._reset()

    def unregister(self, name: str) -> None:
        """Take back what `register` added."""
        del self._registered[name]
        self._reset()

    @contextmanager
    def registered(self, plugin: object, name: str) -> Iterator[None]:
        """Add a plugin while the block runs."""
        self.register(plugin, name)
        try:
            yield
        finally:
            self.unregister(name)

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever the tables become invalid."""
        self._listeners.append(listener)

    def _reset(self) -> None:
        self._tables = None
        self._notify()

    def _notify(self) -> None:
        for listener in self._listeners:
            listener()

    def _loaded(self) -> _Tables:
        tables = self._tables
        return self._load() if tables is None else tables

    def _load(self) -> _Tables:
        with self._lock:
            if self._tables is not None:  # another thread was faster
                return self._tables
            if self._loading is not None:  # a plugin that is being loaded asks for others
                return self._loading
            self._loading = _Tables()
            try:
                _load(self._loading, self._registered)
                self._tables = self._loading
            finally:
                self._loading = None
                self._notify()  # what was looked up meanwhile came from half of the tables
            return self._tables

    def _lookup(self, kind: str, table: Mapping[str, _Entry], name: str) -> Any:
        entry = table.get(name)
        if entry is None:
            raise UnknownNameError(kind, name, sorted(table), self._loaded().broken)
        if len(entry.plugins) > 1:
            raise PluginConflictError(kind, name, entry.plugins)
        return entry.value


@dataclass
class _Entry:
    """What a name stands for, and every plugin that claims the name."""

    value: Any
    plugins: list[str]


@dataclass
class _Tables:
    distributions: dict[str, _Entry] = field(default_factory=dict)
    combinators: dict[str, _Entry] = field(default_factory=dict)
    edits: dict[tuple[type[Any], str], Callable[..., Any]] = field(default_factory=dict)
    runtimes: list[Runtime] = field(default_factory=list)
    values: dict[type[Any], ValueCodec] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    claims: dict[Any, list[str]] = field(default_factory=dict)

    def claim(self, key: object, plugin: str) -> list[str]:
        """Note that a plugin provides an edit or a codec; return all that do."""
        names = self.claims.setdefault(key, [])
        names.append(plugin)
        return names


def _load(tables: _Tables, registered: Mapping[str, object]) -> None:
    """Fill the tables from installed and registered plugins; a broken one costs a warning."""
    disabled = {name.strip() for name in os.environ.get("GEN_PLUGINS_DISABLED", "").split(",")}
    # Our own loop: pluggy's stops at the first plugin that fails, and does not name it.
    for entry_point in metadata.entry_points(group=hookspecs.PROJECT):
        if not disabled & {entry_point.name, entry_point.dist.name if entry_point.dist else ""} - {""}:
            _fill(tables, _described(entry_point), entry_point.load)
    for name, plugin in registered.items():
        if name not in disabled:
            _fill(tables, name, lambda plugin=plugin: plugin)  # type: ignore[misc]


def _fill(tables: _Tables, plugin: str, load: Callable[[], object]) -> None:
    try:
        provided = _provided(load(), plugin)
    except Exception as error:
        if os.environ.get("GEN_PLUGINS_STRICT", "") not in ("", "0"):
            raise BrokenPluginError(plugin, error) from error
        tables.broken.append(plugin)
        warnings.warn(str(BrokenPluginError(plugin, error)), GenWarning, stacklevel=2)
        return
    tables.runtimes.extend(provided.runtimes)
    for table, values in (
        (tables.distributions, provided.distributions),
        (tables.combinators, provided.combinators),
    ):
        for name, value in values.items():
            table.setdefault(name, _Entry(value, [])).plugins.append(plugin)
    for edit, implementation in provided.edits.items():
        kind, operation = edit
        names = tables.claim(edit, plugin)
        tables.edits[edit] = (
            implementation if len(names) == 1 else _conflict(f"implementation of {operation}", kind, names)
        )
    for kind, codec in provided.values.items():
        names = tables.claim(kind, plugin)
        tables.values[kind] = codec if len(names) == 1 else ValueCodec(*[_conflict("codec", kind, names)] * 4)


class _Provided(NamedTuple):
    """What one plugin's hooks returned."""

    distributions: dict[str, Any]
    combinators: dict[str, Any]
    edits: dict[tuple[type[Any], str], Callable[..., Any]]
    values: dict[type[Any], ValueCodec]
    runtimes: list[Runtime]


def _provided(plugin: object, name: str) -> _Provided:
    # One manager a plugin: a plugin that fails leaves nothing behind that the next is blamed for.
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(plugin, name=name)
    manager.check_pending()
    hook = manager.hook
    return _Provided(
        _merged(hook.gen_distributions()),
        _merged(hook.gen_combinators()),
        _merged(hook.gen_edits()),
        _merged(hook.gen_values()),
        [runtime for runtimes in hook.gen_runtimes() for runtime in runtimes],
    )


def _merged(returned: list[Mapping[Any, Any]]) -> dict[Any, Any]:
    merged: dict[Any, Any] = {}
    for mapping in returned:
        merged.update(mapping)
    return merged


def _conflict(what: str, kind: type[Any], plugins: list[str]) -> Callable[..., Any]:
    """Return an implementation that raises: who never uses what two plugins claim is not disturbed."""

    def refuse(*args: object) -> Any:
        raise PluginConflictError(f"{what} for", kind.__qualname__, plugins)

    return refuse


def _described(entry_point: metadata.EntryPoint) -> str:
    distribution = entry_point.dist
    return (
        f"{entry_point.name} ({distribution.name} {distribution.version})"
        if distribution
        else entry_point.name
    )


plugins = Plugins()
"""The registry of this process."""

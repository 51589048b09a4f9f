"""The plugin registry: tables filled once from every plugin that is installed.

Environment variables: `GEN_PLUGINS_DISABLED` names plugins (comma separated) that are not loaded;
`GEN_PLUGINS_STRICT=1` turns the warning about a broken plugin into an error.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Any, final

import pluggy

from gen_core import hookspecs
from gen_core.errors import BrokenPluginError, GenWarning, PluginConflictError, UnknownNameError

if TYPE_CHECKING:
    from gen_core.distribution import Distribution
    from gen_core.hookspecs import Runtime, ValueCodec
    from gen_core.interface import GenerativeFunction


@final
class Plugins:
    """Everything that plugins provide. Discovery happens at the first use."""

    def __init__(self) -> None:
        self._registered: dict[str, object] = {}
        self._listeners: list[Callable[[], None]] = []
        self._tables: _Tables | None = None

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
        for listener in self._listeners:
            listener()

    def _loaded(self) -> _Tables:
        if self._tables is None:
            self._tables = _load(self._registered)
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
    providers: dict[Any, str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)


def _load(registered: Mapping[str, object]) -> _Tables:
    """Fill the tables from installed and registered plugins; a broken one costs a warning each."""
    tables = _Tables()
    disabled = set(filter(None, os.environ.get("GEN_PLUGINS_DISABLED", "").split(",")))
    # Our own loop: pluggy's stops at the first plugin that fails, and does not name it.
    for entry_point in metadata.entry_points(group=hookspecs.PROJECT):
        if entry_point.name not in disabled:
            _fill(tables, _described(entry_point), entry_point.load)
    for name, plugin in registered.items():
        if name not in disabled:
            _fill(tables, name, lambda plugin=plugin: plugin)  # type: ignore[misc]
    return tables


def _fill(tables: _Tables, plugin: str, load: Callable[[], object]) -> None:
    try:
        # One manager a plugin: a plugin that fails leaves nothing behind that the next is blamed for.
        manager = pluggy.PluginManager(hookspecs.PROJECT)
        manager.add_hookspecs(hookspecs)
        manager.register(load(), name=plugin)
        manager.check_pending()
        provided = {hook: getattr(manager.hook, hook)() for hook in _HOOKS}
    except Exception as error:
        if os.environ.get("GEN_PLUGINS_STRICT", "") not in ("", "0"):
            raise BrokenPluginError(plugin, error) from error
        tables.broken.append(plugin)
        warnings.warn(str(BrokenPluginError(plugin, error)), GenWarning, stacklevel=2)
        return
    for table, hook in ((tables.distributions, "gen_distributions"), (tables.combinators, "gen_combinators")):
        for names in provided[hook]:
            for name, value in names.items():
                table.setdefault(name, _Entry(value, [])).plugins.append(plugin)
    for edits in provided["gen_edits"]:
        _add_unique(tables, tables.edits, edits, plugin)
    for values in provided["gen_values"]:
        _add_unique(tables, tables.values, values, plugin)
    for runtimes in provided["gen_runtimes"]:
        tables.runtimes.extend(runtimes)


def _add_unique(tables: _Tables, table: dict[Any, Any], added: Mapping[Any, Any], plugin: str) -> None:
    for key, value in added.items():
        if key in table:
            raise PluginConflictError("implementation", repr(key), [tables.providers[key], plugin])
        table[key] = value
        tables.providers[key] = plugin


def _described(entry_point: metadata.EntryPoint) -> str:
    distribution = entry_point.dist
    return (
        f"{entry_point.name} ({distribution.name} {distribution.version})"
        if distribution
        else entry_point.name
    )


_HOOKS = ("gen_distributions", "gen_combinators", "gen_edits", "gen_runtimes", "gen_values")

plugins = Plugins()
"""The registry of this process."""

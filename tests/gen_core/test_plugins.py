"""The plugin registry: discovery, lookup, and what goes wrong with plugins."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gen_core import (
    ALL,
    BrokenPluginError,
    Distribution,
    GenerativeFunction,
    GenWarning,
    PluginConflictError,
    UnknownNameError,
    plugins,
    rooms,
    select,
)
from gen_core.hookspecs import (
    Runtime,
    ValueCodec,
    gen_combinators,
    gen_distributions,
    gen_edits,
    gen_runtimes,
    gen_values,
    implements,
)
from gen_core.plugins import Plugins
from gen_distributions import gamma, normal
from gen_dml import DynamicFunction, gen


@gen
def line() -> None:
    normal(0.0, 1.0) @ "x"
    inner() @ "inner"


@gen
def inner() -> None:
    normal(0.0, 1.0) @ "x"


def provides(hook: Any, value: object) -> SimpleNamespace:
    """Return a plugin whose one hook returns `value`."""

    @implements(hook)
    def provide() -> Any:
        return value

    return SimpleNamespace(provide=provide)


def install(folder: Path, name: str, source: str, version: str = "1.0") -> None:
    """Lay out what pip would: a module, and the metadata of a distribution with its entry point."""
    module = name.replace("-", "_")
    (folder / f"{module}.py").write_text(source)
    info = folder / f"{module}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[gen]\n{module}_plugin = {module}\n")


WORKING = """
from gen_core.hookspecs import gen_distributions, implements

@implements(gen_distributions)
def distributions():
    from gen_distributions import gamma
    return {"their_gamma": gamma}
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("GEN_PLUGINS_STRICT", "GEN_PLUGINS_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    yield tmp_path
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


def test_an_installed_plugin_is_found_by_name(site: Path) -> None:
    install(site, "working", WORKING)
    registry = Plugins()

    assert registry.distribution("their_gamma") is gamma
    assert "their_gamma" in registry.distributions


def test_discovery_happens_once(site: Path) -> None:
    registry = Plugins()
    before = registry.distributions
    install(site, "later", WORKING)

    assert registry.distributions == before


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module", "No module named 'no_such_module'"),
        ("raise RuntimeError('out of order')", "RuntimeError: out of order"),
        (WORKING.replace("gamma\n", "nothing\n"), "cannot import name 'nothing'"),
        (WORKING.replace('{"their_gamma": gamma}', "3"), "TypeError"),
        (
            "import pluggy\n@pluggy.HookimplMarker('gen')\ndef gen_distribution():\n    return {}",
            "unknown hook 'gen_distribution'",
        ),
    ],
)
def test_a_broken_plugin_costs_one_warning_and_nothing_else(site: Path, source: str, reason: str) -> None:
    install(site, "broken", source, version="2.3")
    install(site, "working", WORKING)
    registry = Plugins()

    with pytest.warns(GenWarning) as caught:
        assert registry.distribution("their_gamma") is gamma
        assert registry.edits == registry.edits
    assert len(caught) == 1
    assert "The plugin broken_plugin (broken 2.3) is broken and was not loaded" in str(caught[0].message)
    assert reason in str(caught[0].message)


def test_a_broken_plugin_is_named_again_where_a_lookup_fails(site: Path) -> None:
    install(site, "broken", "import no_such_module", version="2.3")
    registry = Plugins()
    with pytest.warns(GenWarning, match="broken"):
        _ = registry.distributions

    with pytest.raises(UnknownNameError, match=r"named 'gama'.*broken_plugin \(broken 2\.3\)"):
        registry.distribution("gama")


def test_an_unknown_name_suggests_the_nearest() -> None:
    registry = Plugins()

    with (
        registry.registered(provides(gen_distributions, {"cauchy": normal, "gamma": gamma}), "mine"),
        pytest.raises(UnknownNameError, match=r"named 'gama'. The nearest of .*'gamma'"),
    ):
        registry.distribution("gama")


def test_strict_turns_the_warning_into_an_error(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(site, "broken", "import no_such_module", version="2.3")
    monkeypatch.setenv("GEN_PLUGINS_STRICT", "1")

    with pytest.raises(BrokenPluginError, match=r"broken_plugin \(broken 2\.3\) is broken"):
        _ = Plugins().distributions


@pytest.mark.parametrize("name", ["broken_plugin", " broken_plugin ,other", "broken"])
def test_disabled_plugins_are_not_loaded(site: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    install(site, "broken", "import no_such_module")
    install(site, "working", WORKING)
    monkeypatch.setenv("GEN_PLUGINS_DISABLED", name)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "their_gamma" in Plugins().distributions


def test_two_plugins_with_one_name_are_an_error_at_lookup() -> None:
    registry = Plugins()
    registry.register(provides(gen_distributions, {"mine": normal, "other": gamma}), "first")
    registry.register(provides(gen_distributions, {"mine": gamma}), "second")

    assert registry.distribution("other") is gamma
    with pytest.raises(PluginConflictError, match="distribution 'mine' is provided by first and by second"):
        registry.distribution("mine")


def test_combinators_are_looked_up_by_name() -> None:
    def twice(gen_fn: GenerativeFunction[..., Any]) -> GenerativeFunction[..., Any]:
        return gen_fn

    registry = Plugins()
    registry.register(provides(gen_combinators, {"twice": twice}), "mine")

    assert registry.combinator("twice") is twice
    assert "twice" in registry.combinators


def test_an_unregistered_plugin_is_gone() -> None:
    registry = Plugins()
    with registry.registered(provides(gen_distributions, {"mine": normal}), "mine"):
        assert registry.distribution("mine") is normal

    with pytest.raises(UnknownNameError):
        registry.distribution("mine")


def regenerate_nothing(gen_fn: Any, trace: Any, call: Any, argdiffs: Any, selection: Any) -> Any:
    return trace.update({})


def test_an_edit_replaces_a_room_for_doors_and_for_callers() -> None:
    trace = line.simulate()
    edits = {(DynamicFunction, "regenerate"): regenerate_nothing}

    with plugins.registered(provides(gen_edits, edits), "edits"):
        assert trace.regenerate(ALL).trace is trace
    assert trace.regenerate(ALL).trace["x"] != trace["x"]


def test_an_edit_of_distributions_is_used_inside_models() -> None:
    edits = {(Distribution, "regenerate"): regenerate_nothing}
    trace = line.simulate()

    with plugins.registered(provides(gen_edits, edits), "edits"):
        moved = trace.regenerate(select("x", "inner")).trace

    assert moved.choices == trace.choices


def test_the_edit_of_the_most_specific_type_wins() -> None:
    def refuse(*args: object) -> Any:
        raise AssertionError("a more specific edit was passed over")

    edits = {(GenerativeFunction, "regenerate"): refuse, (DynamicFunction, "regenerate"): regenerate_nothing}

    with plugins.registered(provides(gen_edits, edits), "edits"):
        trace = line.simulate()
        assert trace.regenerate(ALL).trace is trace
        with pytest.raises(AssertionError, match="passed over"):
            rooms.room(GenerativeFunction, "regenerate")()


def test_a_method_of_a_subclass_is_more_specific_than_an_edit_of_its_base() -> None:
    def refuse(*args: object) -> Any:
        raise AssertionError("the method was passed over")

    with plugins.registered(provides(gen_edits, {(GenerativeFunction, "regenerate"): refuse}), "edits"):
        assert line.simulate().regenerate(ALL).weight == 0
        assert not rooms.is_edited(Distribution)


def test_two_edits_of_one_room_are_an_error_where_it_is_entered() -> None:
    edits = {(DynamicFunction, "regenerate"): regenerate_nothing}
    trace = line.simulate()

    with (
        plugins.registered(provides(gen_edits, edits), "first"),
        plugins.registered(provides(gen_edits, edits), "second"),
    ):
        assert trace.update({"x": 1.0}).trace["x"] == 1.0
        with pytest.raises(
            PluginConflictError, match=r"regenerate for 'DynamicFunction'.*first and by second"
        ):
            trace.regenerate(ALL)


def test_two_codecs_of_one_type_are_an_error_where_they_are_used() -> None:
    nothing: Any = lambda *args: None
    codec = ValueCodec(nothing, nothing, nothing, nothing)
    registry = Plugins()
    registry.register(provides(gen_values, {int: codec}), "first")
    registry.register(provides(gen_values, {int: codec}), "second")

    with pytest.raises(PluginConflictError, match="codec for 'int' is provided by first and by second"):
        registry.values[int].to_state(3)


def test_runtimes_are_entered_once_around_an_outermost_run() -> None:
    seen: list[str] = []

    @contextmanager
    def runtime(gen_fn: GenerativeFunction[..., Any]) -> Iterator[None]:
        seen.append(f"enter {gen_fn.name}")
        try:
            yield
        finally:
            seen.append("leave")

    runtimes: list[Runtime] = [runtime]
    with plugins.registered(provides(gen_runtimes, runtimes), "runtimes"):
        line.simulate()

        with pytest.raises(RuntimeError, match="stop"):
            failing.simulate()
    line.simulate()

    assert seen == ["enter line", "leave", "enter failing", "leave"]


@gen
def failing() -> None:
    inner() @ "inner"
    raise RuntimeError("stop")


def test_a_plugin_may_use_the_registry_while_it_is_loaded(site: Path) -> None:
    install(site, "eager", "from gen_core import plugins\nknown = plugins.distributions\n" + WORKING)
    registry = Plugins()

    assert registry.distribution("their_gamma") is gamma


def test_threads_load_plugins_once() -> None:
    calls: list[int] = []

    class Counting:
        @implements(gen_distributions)
        def distributions() -> Mapping[str, Distribution[..., Any]]:  # type: ignore[misc]
            calls.append(1)
            return {"mine": normal}

    registry = Plugins()
    registry.register(Counting, "counting")
    found: list[object] = []
    look_up: Callable[[], None] = lambda: found.append(registry.distribution("mine"))
    threads = [threading.Thread(target=look_up) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [normal] * 8
    assert len(calls) == 1

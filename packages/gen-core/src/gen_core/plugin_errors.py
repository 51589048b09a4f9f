"""Errors of plugins."""

from __future__ import annotations

from gen_core.address import nearest, show_all
from gen_core.errors import GenError


class BrokenPluginError(GenError, RuntimeError):
    """A plugin could not be loaded."""

    def __init__(self, plugin: str, error: BaseException) -> None:
        super().__init__(
            f"The plugin {plugin} is broken and was not loaded: {type(error).__name__}: {error}. Upgrade or "
            f"uninstall it, or name it in GEN_PLUGINS_DISABLED."
        )


class PluginConflictError(GenError, LookupError):
    """Two plugins provide the same name."""

    def __init__(self, kind: str, name: str, plugins: list[str]) -> None:
        super().__init__(
            f"The {kind} {name!r} is provided by {' and by '.join(plugins)}. Import the one you mean, or "
            f"disable the other through GEN_PLUGINS_DISABLED."
        )


class UnknownNameError(GenError, LookupError):
    """No plugin provides a name."""

    def __init__(self, kind: str, name: str, known: list[str], broken: list[str]) -> None:
        near = show_all(nearest((name,), [(other,) for other in known])) if known else "none"
        hint = f" These plugins are broken and were not loaded: {', '.join(broken)}." if broken else ""
        super().__init__(f"There is no {kind} named {name!r}. The nearest of {len(known)}: {near}.{hint}")


class MissingPackageError(GenError, ImportError):
    """An operation needs a package that is not installed."""

    def __init__(self, operation: str, package: str, broken: list[str]) -> None:
        hint = f" These plugins are broken and were not loaded: {', '.join(broken)}." if broken else ""
        super().__init__(
            f"{operation} needs the package {package}, which is not installed or is disabled: "
            f"`pip install {package}`.{hint}"
        )

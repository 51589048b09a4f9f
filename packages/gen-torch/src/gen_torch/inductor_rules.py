"""A rule that Inductor lacks: how to stage again what it has put in order.

With the eager generator, Inductor ties the random operations of a graph together (`control_deps`), and
then stages the bodies of loops once more, which has no rule for the tie. There the operations are in
order already, so the tie may be left out.
"""

from __future__ import annotations

from typing import Any

from torch.fx.experimental.proxy_tensor import ProxyTorchDispatchMode


def add_missing_rules() -> None:
    """Add the rule, where this version of torch has ties without one."""
    try:
        from torch._inductor.fx_passes.control_dependencies import control_deps
    except ImportError:
        return
    if ProxyTorchDispatchMode not in control_deps.python_key_table:
        control_deps.py_impl(ProxyTorchDispatchMode)(_inline)


def _inline(mode: Any, dependencies: Any, body: Any, *args: Any, **kwargs: Any) -> Any:
    with mode:
        return body(*args, **kwargs)

"""Inductor's C++ wrapper, with loops that allocate their buffers once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from torch import fx
from torch._inductor import config
from torch._inductor.codegen.common import device_codegens, init_backend_registration
from torch._inductor.codegen.cpp_wrapper_cpu import CppWrapperCpu
from torch._inductor.custom_graph_pass import CustomGraphPass

from gen_torch.loop_buffers import with_buffers_before_loops


@contextmanager
def loops_that_allocate_once() -> Iterator[None]:
    """Have Inductor write loops for CPUs by `with_buffers_before_loops` while the block runs."""
    init_backend_registration()
    before = device_codegens["cpu"]
    device_codegens["cpu"] = replace(before, cpp_wrapper_codegen=_Wrapper)
    try:
        with config.patch({"post_grad_custom_post_pass": _CacheKey()}):
            yield
    finally:
        device_codegens["cpu"] = before


class _CacheKey(CustomGraphPass):
    """A pass that does nothing: its name tells these programs from others in Inductor's cache."""

    def __call__(self, graph: fx.Graph) -> None:
        """Leave the graph as it is."""

    def uuid(self) -> Any:
        """Return the name, to be changed whenever other code is written."""
        return "gen_torch.loop_buffers 2"


class _Wrapper(CppWrapperCpu):
    """Inductor's wrapper, whose text is rewritten once the function's body stands."""

    @staticmethod
    def create(*args: Any, **kwargs: Any) -> CppWrapperCpu:
        """Return a wrapper: Inductor's own method names its class."""
        return _Wrapper()  # type: ignore[no-untyped-call]

    def generate_before_suffix(self, result: Any) -> None:
        """Write the end of the function to `result`, which has all before it."""
        written = with_buffers_before_loops(result.getvalue())
        result.clear()
        result.writelines(written.splitlines())
        super().generate_before_suffix(result)  # type: ignore[no-untyped-call]

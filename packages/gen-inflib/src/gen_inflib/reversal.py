"""Reversals of kernels: what a kernel looks like backwards in time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from gen_inflib.adaptive import Plain, as_adaptive
from gen_inflib.checked import Checked
from gen_inflib.control import ForEach, ForRandom, When
from gen_inflib.elliptical_slice import elliptical_slice
from gen_inflib.gibbs import gibbs
from gen_inflib.hmc import hmc
from gen_inflib.involution import involutive_metropolis_hastings
from gen_inflib.kernel import Kernel, kernel_name
from gen_inflib.kernel_errors import IrreversibleKernelError
from gen_inflib.kernels import Composed, Cycle, Mixture, Repeat
from gen_inflib.mala import mala
from gen_inflib.metropolis_hastings import metropolis_hastings
from gen_inflib.nuts import nuts
from gen_inflib.particle_gibbs import particle_gibbs
from gen_inflib.random_walk import random_walk
from gen_inflib.slice import slice_sampling

K = TypeVar("K", bound=Callable[..., Any])


def reversed_kernel(kernel: Kernel[Any]) -> Kernel[Any]:
    """Return the reversal of a kernel.

    With respect to the distribution p that a kernel k leaves as it is, that is

        r(t | t') = k(t' | t) p(t) / p(t').

    A kernel with detailed balance is its own. That of a cycle applies the reversals in the opposite order;
    those of mixtures, loops and conditions apply the reversals of what is in them.

    Args:
        kernel: A kernel of this package, possibly with arguments bound by `partial`; one composed of such;
            or one that `declare_reversal` knows.

    Raises:
        IrreversibleKernelError: Nobody has said what its reversal is.
    """
    reversal: Kernel[Any] = _reversed(kernel)
    return reversal


def declare_reversal(kernel: K, reversal: Callable[..., Any] | None = None) -> K:
    """Say what the reversal of a kernel is; by default itself, as of every kernel with detailed balance.

    Args:
        kernel: A function, with whatever arguments beside the trace; those bound by `partial` are passed
            on to the reversal.
        reversal: The reversal, whose own is `kernel`.

    Returns:
        `kernel`, so that this is a decorator.
    """
    other = kernel if reversal is None else reversal
    _REVERSALS[kernel] = other
    _REVERSALS[other] = kernel
    return kernel


def _reversed(kernel: Any) -> Any:
    if isinstance(kernel, Composed):
        return replace(kernel, parts=_reversed(kernel.parts))
    if isinstance(kernel, Cycle):
        return Cycle(tuple(as_adaptive(_reversed(part)) for part in reversed(kernel.kernels)))
    if isinstance(kernel, Mixture):
        return replace(kernel, kernels=tuple(as_adaptive(_reversed(part)) for part in kernel.kernels))
    if isinstance(kernel, Plain):
        return _reversed(kernel.kernel)
    if isinstance(kernel, Repeat):
        return replace(kernel, kernel=as_adaptive(_reversed(kernel.kernel)))
    if isinstance(kernel, When | Checked):
        return replace(kernel, kernel=_reversed(kernel.kernel))
    if isinstance(kernel, ForEach):
        return _reversed_loop(kernel)
    if isinstance(kernel, ForRandom):
        kernel_of = kernel.kernel_of
        return replace(kernel, kernel_of=lambda value: _reversed(kernel_of(value)))
    if isinstance(kernel, partial):
        return partial(_reversed(kernel.func), *kernel.args, **kernel.keywords)
    try:
        return _REVERSALS[kernel]
    except (KeyError, TypeError):
        raise IrreversibleKernelError(kernel_name(kernel)) from None


def _reversed_loop(loop: ForEach) -> ForEach:
    values, kernel_of = loop.values, loop.kernel_of
    backwards = (
        (lambda trace: list(values(trace))[::-1]) if callable(values) else tuple(reversed(list(values)))
    )
    return replace(loop, values=backwards, kernel_of=lambda value: _reversed(kernel_of(value)))


_REVERSALS: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
for _own in (
    metropolis_hastings,
    involutive_metropolis_hastings,
    gibbs,
    slice_sampling,
    elliptical_slice,
    random_walk,
    hmc,
    mala,
    nuts,
    particle_gibbs,
):
    declare_reversal(_own)

"""Calls: a generative function with bound arguments."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gen_core import Call, ForgottenAddressError, OutsideModelError
from gen_distributions import bernoulli, normal
from gen_dml import gen


@gen
def model(a: int, /, b: int = 2, *rest: int, c: int = 3, **options: int) -> tuple[Any, ...]:
    normal(0.0, 1.0) @ "x"
    return a, b, rest, c, options


@gen
def simple(a: int, b: int = 2) -> int:
    return a + b


def test_defaults_are_filled_in_and_names_bound_once_at_the_door() -> None:
    assert simple(1).args == (1, 2)
    assert simple(b=5, a=1).args == (1, 5)
    assert simple(1, b=5).kwargs == {}


def test_every_kind_of_parameter_arrives_where_it_belongs() -> None:
    call = model(1, 5, 6, 7, c=8, d=9)

    assert call.args == (1, 5, 6, 7)
    assert call.kwargs == {"c": 8, "d": 9} or call.kwargs == {"c": 8, "options": {"d": 9}}
    assert call.sample() == (1, 5, (6, 7), 8, {"d": 9})
    assert model(1).sample() == (1, 2, (), 3, {})


def test_all_arguments_are_listed_keyword_arguments_last() -> None:
    assert model(1, c=4).values()[:3] == (1, 2, 4)
    assert simple(1).values() == (1, 2)


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, "missing a required argument: 'a'"),
        ((1, 2, 3), {}, "too many positional arguments"),
        ((1,), {"z": 3}, "got an unexpected keyword argument 'z'"),
        ((1,), {"a": 3}, "multiple values for argument 'a'"),
    ],
)
def test_a_wrong_call_raises_when_it_is_made(args: Any, kwargs: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        simple(*args, **kwargs)


def test_making_a_call_runs_nothing() -> None:
    ran: list[int] = []

    @gen
    def notes() -> None:
        ran.append(1)

    call = notes()

    assert ran == []
    call.sample()
    assert ran == [1]


def test_a_call_runs_again_with_every_operation() -> None:
    call = normal(0.0, 1.0)

    assert call.simulate().retval != call.simulate().retval
    assert call.generate({(): 1.0}).trace.retval == 1.0
    assert call.assess({(): 1.0}).score == normal.log_prob(torch.tensor(1.0), 0.0, 1.0)
    assert call.propose().choices[()] is not None
    assert call.sample() != call.sample()


def test_a_call_has_no_truth_value() -> None:
    for use in (bool, lambda call: not call, lambda call: call or 1, lambda call: 1 if call else 2):
        with pytest.raises(ForgottenAddressError, match=r"bernoulli\(...\) is a call that has not run"):
            use(bernoulli(0.5))


def test_a_call_is_not_visited_outside_a_model() -> None:
    with pytest.raises(OutsideModelError, match=r"or run normal by itself: normal.simulate\(...\)"):
        normal(0.0, 1.0) @ "x"


def test_a_call_is_immutable() -> None:
    call: Any = normal(0.0, 1.0)

    with pytest.raises(AttributeError):
        call.more = 1


def test_a_call_prints_as_it_is_written() -> None:
    assert repr(model(1, c=4)).startswith("model(1, 2, c=4")
    assert repr(Call(normal, (torch.zeros(100), 1.0))).endswith("..., 1.0)")

"""The runner: what chains keep, how they are batched and compiled, and how they stop and go on."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path
from time import sleep
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from gen_core import (
    BatchStructureError,
    GenWarning,
    NotBatchableError,
    Trace,
    TraceBatch,
    UnvisitedConstraintsError,
    select,
)
from gen_distributions import bernoulli, gamma, normal, uniform
from gen_dml import gen
from gen_inflib import (
    CheckpointError,
    CountError,
    DrawsNotKeptError,
    KernelError,
    MixtureError,
    Moments,
    OptionsError,
    Progress,
    StartError,
    Stepped,
    UntracedRandomnessError,
    VaryingStructureError,
    cycle,
    gibbs,
    mcmc,
    metropolis_hastings,
    mixture,
    random_walk,
    repeat,
    slice_sampling,
    when,
)


@gen
def line(xs: Tensor) -> Tensor:
    slope = normal(0.0, 2.0) @ "slope"
    level = normal(0.0, 2.0) @ "level"
    is_noisy = bernoulli(0.3) @ "is_noisy"
    normal(slope * xs + level, torch.where(is_noisy, 2.0, 1.0)) @ "ys"
    return slope


XS = torch.arange(5.0)
OBSERVED = {"ys": 0.5 * XS + 1.0}


@gen
def grows(observed: int = 1) -> None:
    """A model of random structure."""
    if bernoulli(0.5) @ "has_more":
        normal(0.0, 1.0) @ "more"
    normal(0.0, 1.0) @ "x"


@gen
def near(trace: Trace[Tensor]) -> None:
    normal(trace["slope"], 0.5) @ "slope"


def by(proposal: Any) -> Any:
    return partial(metropolis_hastings, proposal=proposal)


class Count(NamedTuple):
    """Says how many steps it was told of."""

    step: int | Tensor
    is_warming_up: bool | Tensor


class Counting:
    """An adaptive kernel that counts its steps, and adds the count of its warm-up to x."""

    def initial(self, trace: Trace[Any], /) -> Tensor:
        return torch.zeros(())

    def step(self, trace: Trace[Any], state: Tensor, progress: Progress, /) -> Stepped:
        learned = state + torch.as_tensor(progress.is_warming_up)
        moved = trace.update({"slope": trace["slope"] + learned}).trace
        return Stepped(moved, learned, Count(progress.step, progress.is_warming_up))

    def frozen(self, state: Tensor, /) -> Any:
        return lambda trace: (trace.update({"slope": trace["slope"] + state}).trace, None)


SWEEP = cycle(by(select("slope")), by(near), partial(random_walk, selection=select("level"), scale=0.5))
MIXED = mixture([(1.0, SWEEP), (2.0, repeat(partial(gibbs, selection=select("is_noisy")), 2))])
KERNELS = {
    "selection": by(select("slope")),
    "proposal": by(near),
    "cycle": SWEEP,
    "mixture": MIXED,
    "when": when(lambda trace: trace["is_noisy"], SWEEP),
    "gibbs": partial(gibbs, selection=select("is_noisy")),
    "slice": partial(slice_sampling, selection=select("slope"), max_steps_out=2, max_shrinks=4),
    "adaptive": cycle(Counting(), SWEEP),
}


def run(kernel: Any, **options: Any) -> Any:
    torch.manual_seed(0)
    return mcmc(line(XS), OBSERVED, kernel, **options)


def flat(chains: Any) -> Tensor:
    return torch.cat(
        [value.double().flatten() for _, value in chains.draws.leaves()]
        + [chains.statistics["log_density"].flatten()]
    )


def test_draws_have_chains_and_draws_first() -> None:
    chains = run(SWEEP, num_samples=5, num_warmup=3, num_chains=4)

    assert sorted(chains.draws) == ["is_noisy", "level", "slope"]
    assert chains.draws["slope"].shape == (4, 5)
    assert all(value.shape == (4, 5) for value in chains.statistics.values())
    assert chains.num_chains == 4
    assert chains.num_draws == 5
    assert isinstance(chains.last, TraceBatch)
    assert chains.why_looped is None
    assert torch.equal(chains.last.choices["slope"], chains.draws["slope"][:, -1])
    assert torch.equal(chains.last.score, chains.statistics["log_density"][:, -1])


def test_a_draw_can_be_made_a_trace_again() -> None:
    chains = run(SWEEP, num_samples=3, num_chains=2)

    trace = chains.trace(1, 2)

    assert trace["slope"] == chains.draws["slope"][1, 2]
    assert float(trace.score) == pytest.approx(float(chains.statistics["log_density"][1, 2]))
    assert [len(each) for each in chains.traces] == [3, 3]


def test_warm_up_is_left_out_and_thinning_keeps_every_so_many_th() -> None:
    every = run(SWEEP, num_samples=20, num_chains=3)
    some = run(SWEEP, num_samples=5, num_warmup=8, thin=2, num_chains=3)

    # From step 9 on, every second.
    assert torch.equal(some.draws["slope"], every.draws["slope"][:, 9:18:2])


@pytest.mark.parametrize("name", KERNELS)
def test_compiled_chains_are_the_batched_chains(name: str) -> None:
    batched = run(KERNELS[name], num_samples=12, num_warmup=4, num_chains=3, batched=True)
    compiled = run(KERNELS[name], num_samples=12, num_warmup=4, num_chains=3, compile="graph")

    assert torch.equal(flat(batched), flat(compiled))
    assert batched.statistics.keys() == compiled.statistics.keys()


@pytest.mark.slow
def test_machine_code_gives_the_same_chains_up_to_rounding() -> None:
    # Of more kernels, machine code may draw the numbers in another order.
    kernel = by(near)
    batched = run(kernel, num_samples=50, num_chains=3, batched=True)
    compiled = run(kernel, num_samples=50, num_chains=3, compile=True)

    torch.testing.assert_close(flat(batched), flat(compiled), rtol=1e-4, atol=1e-4)


def test_one_chain_runs_compiled_too() -> None:
    compiled = run(SWEEP, num_samples=6, compile="graph")

    assert compiled.draws["slope"].shape == (1, 6)


def test_batched_chains_have_the_law_of_single_ones() -> None:
    torch.manual_seed(1)
    batched = mcmc(line(XS), OBSERVED, MIXED, num_samples=40, num_warmup=10, num_chains=60)
    looped = mcmc(line(XS), OBSERVED, MIXED, num_samples=40, num_warmup=10, num_chains=12, batched=False)

    for address in ("slope", "level", "is_noisy"):
        one, other = batched.draws[address].double().mean(1), looped.draws[address].double().mean(1)
        # Four standard errors, from the means of independent chains.
        error = math.sqrt(float(one.var()) / 60 + float(other.var()) / 12)
        assert abs(float(one.mean() - other.mean())) < 4 * error
    for name, rate in batched.acceptance_rates.items():
        other = looped.acceptance_rates[name]
        error = math.sqrt(float(rate.var()) / 60 + float(other.var()) / 12)
        # Of steps that are always accepted, the error is 0.
        assert abs(float(rate.mean() - other.mean())) <= 4 * error


def test_a_model_of_random_structure_runs_in_a_loop_and_says_why() -> None:
    torch.manual_seed(0)
    chains = mcmc(grows(), {}, by(select("has_more", "x")), num_samples=20, num_chains=2)

    assert chains.why_looped is not None
    assert "cannot be batched" in chains.why_looped
    assert isinstance(chains.last, tuple)
    assert not chains.has_fixed_structure
    with pytest.raises(VaryingStructureError, match="the draws differ in their addresses"):
        chains.draws
    lengths = {len(chains.choices_of(1, draw)) for draw in range(20)}
    assert lengths == {2, 3}
    assert [len(each) for each in chains.traces] == [20, 20]
    assert chains.move_rates["x"].shape == (2,)


def test_a_loop_that_was_asked_for_or_a_single_chain_needs_no_reason() -> None:
    assert run(SWEEP, num_samples=2).why_looped is None
    assert run(SWEEP, num_samples=2, num_chains=2, batched=False).why_looped is None


def test_the_fallback_gives_the_numbers_of_the_loop() -> None:
    draws = []
    for batched in (None, False):
        torch.manual_seed(3)
        chains = mcmc(grows(), {}, by(select("x")), num_samples=5, num_chains=2, batched=batched)
        draws.append([float(chains.choices_of(1, draw)["x"]) for draw in range(5)])

    assert draws[0] == draws[1]


def test_what_cannot_be_batched_is_refused_where_a_batch_is_asked_for() -> None:
    with pytest.raises(NotBatchableError, match="grows"):
        mcmc(grows(), {}, by(select("x")), num_samples=5, num_chains=2, batched=True)


def test_a_kernel_that_changes_structure_in_a_batch_is_refused() -> None:
    def other(trace: Trace[Any]) -> tuple[Trace[Any], None]:
        return longer.generate({"n": torch.zeros(())}, 3).trace, None

    @gen
    def longer(k: int) -> None:
        normal(0.0, 1.0) @ "n"
        for i in range(k):
            normal(0.0, 1.0) @ ("x", i)

    with pytest.raises(BatchStructureError, match="changed the structure of the traces"):
        mcmc(longer(2), {}, other, num_samples=2, num_chains=2, batched=True)


def test_collect_keeps_what_it_returns() -> None:
    def collect(trace: Trace[Tensor]) -> Any:
        return {"twice": 2 * trace["slope"], "fixed": 1.5}

    for options in ({"num_chains": 2}, {"num_chains": 2, "batched": False}, {"compile": "graph"}):
        chains = run(SWEEP, num_samples=4, collect=collect, **options)

        assert torch.equal(chains.collected["twice"], 2 * chains.draws["slope"])
        assert chains.collected["fixed"].unique().tolist() == [1.5]


def test_values_that_do_not_stack_are_collected_by_chain() -> None:
    torch.manual_seed(0)
    chains = mcmc(
        grows(),
        {},
        by(select("has_more", "x")),
        num_samples=10,
        num_chains=2,
        collect=lambda trace: list(trace.choices.values()),
    )

    assert {len(values) for values in chains.collected[1]} == {2, 3}


@pytest.mark.parametrize("batched", [True, False])
def test_streaming_moments_are_those_of_the_draws(batched: bool) -> None:
    options: dict[str, Any] = {"num_samples": 60, "num_chains": 2, "batched": batched, "thin": 2}
    kept = run(SWEEP, **options)
    streamed = run(SWEEP, keep_draws=False, covariance=True, collect=lambda t: t["slope"], **options)

    slopes = kept.draws["slope"].double()
    assert streamed.num_draws == 60
    torch.testing.assert_close(streamed.moments.mean["slope"], slopes.mean(1))
    torch.testing.assert_close(streamed.moments.variance["slope"], slopes.var(1))
    torch.testing.assert_close(streamed.moments.minimum["slope"], slopes.amin(1))
    torch.testing.assert_close(streamed.moments.maximum["slope"], slopes.amax(1))
    torch.testing.assert_close(streamed.moments.standard_deviation["slope"], slopes.std(1))
    torch.testing.assert_close(streamed.collected_moments.mean, slopes.mean(1))
    rows = torch.stack([kept.draws[name].double() for name in ("is_noisy", "level", "slope")], 2)
    for chain in range(2):
        torch.testing.assert_close(streamed.moments.covariance[chain], rows[chain].T.cov())
    assert streamed.statistics == {}
    every = run(SWEEP, **{**options, "thin": 1, "num_samples": 120})
    torch.testing.assert_close(
        streamed.statistic_means["log_density"], every.statistics["log_density"].mean(1).double()
    )
    pooled = streamed.moments.pooled()
    torch.testing.assert_close(pooled.variance["slope"], slopes.flatten().var().reshape(1))
    torch.testing.assert_close(pooled.covariance[0], rows.flatten(0, 1).T.cov())
    with pytest.raises(DrawsNotKeptError, match="keep_draws=False"):
        streamed.draws


def test_streaming_takes_memory_that_does_not_grow(tmp_path: Path) -> None:
    sizes = []
    for num_samples in (20, 200):
        file = tmp_path / f"{num_samples}"
        run(SWEEP, num_samples=num_samples, num_chains=3, keep_draws=False, checkpoint=file)
        sizes.append(file.stat().st_size)  # of all that the run holds

    # A single number of each draw would take 4 * 3 * 180 bytes more; padding of the file takes some.
    assert abs(sizes[1] - sizes[0]) < 4 * 3 * 180 / 4


def test_moments_of_draws_of_any_shape() -> None:
    draws = {"a": torch.randn(2, 50, 3, 2), "b": torch.randn(2, 50) > 0}

    moments = Moments.of(draws)

    torch.testing.assert_close(moments.mean["a"], draws["a"].double().mean(1))
    assert moments.mean["b"].shape == (2,)
    with pytest.raises(ValueError, match="covariance=True"):
        moments.covariance


def test_streaming_needs_one_structure() -> None:
    torch.manual_seed(0)
    with pytest.raises(VaryingStructureError, match=r"has no mean\. Give `collect`"):
        mcmc(grows(), {}, by(select("has_more", "x")), num_samples=60, keep_draws=False)

    torch.manual_seed(0)
    chains = mcmc(
        grows(),
        {},
        by(select("has_more", "x")),
        num_samples=60,
        keep_draws=False,
        collect=lambda trace: float(trace["has_more"]),
    )
    assert chains.collected_moments is not None
    assert 0 < float(chains.collected_moments.mean) < 1


def test_acceptance_is_counted_by_kernel_and_by_address() -> None:
    chains = run(cycle(by(select("slope")), by(select("level"))), num_samples=200, num_chains=2)

    for address in ("slope", "level"):
        accepted = chains.acceptance_rates[f"metropolis_hastings(select({address!r}))"]
        # The first step has nothing before it to differ from.
        assert torch.allclose(chains.move_rates[address], accepted, atol=0.01)
        by_step = chains.statistics[f"metropolis_hastings(select({address!r})).accepted"]
        torch.testing.assert_close(by_step.double().mean(1), accepted)
    assert chains.move_rates["is_noisy"].tolist() == [0, 0]


@pytest.mark.parametrize("batched", [True, False])
def test_a_kernel_that_takes_no_move_in_a_step_reports_nothing(batched: bool) -> None:
    kernel = mixture([(1.0, by(select("slope"))), (1.0, by(near))])
    chains = run(kernel, num_samples=100, num_chains=2, batched=batched)

    one = chains.statistics["metropolis_hastings(select('slope')).accepted"]
    other = chains.statistics["metropolis_hastings(near).accepted"]
    assert torch.equal(one.isnan(), ~other.isnan())
    rate = chains.acceptance_rates["metropolis_hastings(near)"]
    torch.testing.assert_close(other.double().nanmean(1), rate)


@pytest.mark.parametrize("options", [{"batched": False}, {"batched": True}, {"compile": "graph"}])
def test_an_adaptive_kernel_is_told_how_far_the_run_is_and_keeps_its_state(options: dict[str, Any]) -> None:
    chains = run(Counting(), num_samples=4, num_warmup=3, num_chains=2, init={"slope": 0.0}, **options)

    # Warm-up adds 1, 2, 3; then 3 at each step.
    assert chains.draws["slope"].tolist() == [[9, 12, 15, 18]] * 2
    assert chains.statistics["step"].tolist() == [[3, 4, 5, 6]] * 2
    assert not chains.statistics["is_warming_up"].any()


@pytest.mark.parametrize("options", [{"batched": False}, {"batched": True}])
def test_chains_go_on_where_they_ended_with_what_they_learned(options: dict[str, Any]) -> None:
    first = run(Counting(), num_samples=1, num_warmup=3, num_chains=2, init={"slope": 0.0}, **options)

    for batched in (False, True):
        second = mcmc(line(XS), OBSERVED, Counting(), num_samples=2, init=first, batched=batched)
        assert second.draws["slope"].tolist() == [[12, 15]] * 2
    other = mcmc(line(XS), OBSERVED, SWEEP, num_samples=2, init=first.last)
    assert other.num_chains == 2


def test_two_runs_of_a_chain_are_one() -> None:
    whole = run(SWEEP, num_samples=10, num_chains=3)
    first = run(SWEEP, num_samples=6, num_chains=3)
    second = mcmc(line(XS), OBSERVED, SWEEP, num_samples=4, init=first)

    assert torch.equal(torch.cat([first.draws["slope"], second.draws["slope"]], 1), whole.draws["slope"])


# Checkpoints.


@pytest.mark.parametrize("options", [{"num_chains": 3}, {"num_chains": 2, "batched": False}])
def test_a_run_goes_on_from_its_checkpoint_bit_for_bit(tmp_path: Path, options: dict[str, Any]) -> None:
    options = {
        **options,
        "num_samples": 40,
        "num_warmup": 10,
        "checkpoint_every": 15,
        "collect": lambda trace: (trace["slope"], [trace["level"]]),
    }
    kernel = cycle(Counting(), MIXED)
    whole = run(kernel, checkpoint=tmp_path / "whole.pt", **options)
    steps = 0

    def dies(trace: Trace[Any]) -> tuple[Trace[Any], None]:
        nonlocal steps
        steps += 1
        if steps == 40 * (1 if "batched" not in options else 2):
            raise KeyboardInterrupt
        return trace, None

    stops = cycle(Counting(), MIXED, dies)
    with pytest.raises(KeyboardInterrupt):
        run(stops, checkpoint=tmp_path / "stopped.pt", **options)
    torch.manual_seed(99)
    steps = 1000
    resumed = mcmc(line(XS), OBSERVED, stops, checkpoint=tmp_path / "stopped.pt", **options)

    assert torch.equal(flat(whole), flat(resumed))
    assert torch.equal(whole.collected[0], resumed.collected[0])
    for name, rate in whole.acceptance_rates.items():
        assert torch.equal(rate, resumed.acceptance_rates[name])
    for address, rate in whole.move_rates.items():
        assert torch.equal(rate, resumed.move_rates[address])


def test_a_finished_run_can_be_made_longer(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    whole = run(SWEEP, num_samples=30, num_chains=2)
    run(SWEEP, num_samples=12, num_chains=2, checkpoint=path)
    torch.manual_seed(5)

    longer = mcmc(line(XS), OBSERVED, SWEEP, num_samples=30, num_chains=2, checkpoint=path)
    again = mcmc(line(XS), OBSERVED, SWEEP, num_samples=30, num_chains=2, checkpoint=path)

    assert torch.equal(flat(longer), flat(whole))
    assert torch.equal(flat(again), flat(whole))


def test_moments_go_on_from_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    whole = run(SWEEP, num_samples=30, num_chains=2, keep_draws=False)
    run(SWEEP, num_samples=12, num_chains=2, keep_draws=False, checkpoint=path)

    longer = run(SWEEP, num_samples=30, num_chains=2, keep_draws=False, checkpoint=path)

    torch.testing.assert_close(longer.moments.mean["slope"], whole.moments.mean["slope"])
    torch.testing.assert_close(longer.moments.variance["slope"], whole.moments.variance["slope"])


def test_a_model_of_random_structure_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    kernel = by(select("has_more", "x"))
    torch.manual_seed(0)
    whole = mcmc(grows(), {}, kernel, num_samples=30, checkpoint=tmp_path / "whole.pt", checkpoint_every=12)
    torch.manual_seed(0)
    mcmc(grows(), {}, kernel, num_samples=12, checkpoint=path, checkpoint_every=12)

    longer = mcmc(grows(), {}, kernel, num_samples=30, checkpoint=path, checkpoint_every=12)

    assert all(longer.choices_of(0, draw) == whole.choices_of(0, draw) for draw in range(30))


PROGRAM = """
    import sys, time, torch
    from gen_core import select
    from gen_inflib import mcmc, random_walk
    from gen_distributions import normal
    from gen_dml import gen

    @gen
    def model():
        x = normal(0.0, 1.0) @ "x"
        normal(x, 1.0) @ "y"

    def slow(trace):
        if len(sys.argv) > 2:
            time.sleep(0.02)
        return random_walk(trace, select("x"), scale=1.0)

    torch.manual_seed(0)
    chains = mcmc(model(), {"y": 1.0}, slow, num_samples=60, checkpoint=sys.argv[1], checkpoint_every=7)
    print(chains.draws["x"].flatten().tolist())
"""


def test_a_process_that_was_killed_goes_on_bit_for_bit(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    command = [sys.executable, str(program)]
    killed = tmp_path / "killed.pt"

    whole = subprocess.run([*command, str(tmp_path / "whole.pt")], capture_output=True, text=True, check=True)
    process = subprocess.Popen([*command, str(killed), "slowly"], stdout=subprocess.PIPE)
    while not killed.exists() and process.poll() is None:
        sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    was_finished = process.returncode == 0
    resumed = subprocess.run([*command, str(killed)], capture_output=True, text=True, check=True)

    assert not was_finished
    assert resumed.stdout == whole.stdout


def test_a_file_that_is_no_checkpoint_of_the_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    run(SWEEP, num_samples=5, num_chains=2, checkpoint=path)

    with pytest.raises(CheckpointError, match="written with num_chains 2, not 3"):
        run(SWEEP, num_samples=5, num_chains=3, checkpoint=path)
    with pytest.raises(CheckpointError, match="it has taken 5 steps, and 4 were asked for"):
        run(SWEEP, num_samples=4, num_chains=2, checkpoint=path)
    path.write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="it cannot be read"):
        run(SWEEP, num_samples=5, num_chains=2, checkpoint=path)
    torch.save({"gen": "choices"}, path)
    with pytest.raises(CheckpointError, match="another kind of file"):
        run(SWEEP, num_samples=5, num_chains=2, checkpoint=path)


def test_a_loop_over_untraced_randomness_cannot_be_resumed(tmp_path: Path) -> None:
    @gen
    def hidden() -> None:
        normal(normal(0.0, 1.0).sample(), 1.0) @ "x"

    with pytest.raises(UntracedRandomnessError, match="hidden draws random numbers that it does not trace"):
        mcmc(hidden(), {}, by(select("x")), num_samples=2, checkpoint=tmp_path / "run.pt")


# Where chains start, and what is refused.


def test_chains_start_at_possible_traces() -> None:
    @gen
    def narrow() -> None:
        low = uniform(0.0, 1.0) @ "low"
        uniform(low, 1.0) @ "y"

    for batched in (True, False):
        torch.manual_seed(0)
        chains = mcmc(narrow(), {"y": 0.1}, by(select("low")), num_samples=1, num_chains=8, batched=batched)
        assert (chains.draws["low"] <= 0.1).all()


def test_observations_without_a_possible_trace_are_reported() -> None:
    @gen
    def bounded() -> None:
        normal(0.0, 1.0) @ "x"
        uniform(0.0, 1.0) @ "y"

    for batched in (True, False):
        with pytest.raises(StartError, match=r"100 traces of bounded .* have probability zero"):
            mcmc(bounded(), {"y": 2.0}, by(select("x")), num_samples=1, num_chains=2, batched=batched)


def test_a_start_that_contradicts_the_observations_is_refused() -> None:
    trace = line.generate({"ys": torch.zeros(5)}, XS).trace

    for batched in (True, False):
        with pytest.raises(StartError, match="another value at 'ys' than what is observed"):
            run(SWEEP, num_samples=1, init=trace, batched=batched)
    with pytest.raises(StartError, match="`init` holds 2 traces, but num_chains is 3"):
        run(SWEEP, num_samples=1, num_chains=3, init=[trace, trace])
    with pytest.raises(StartError, match="holds no trace"):
        run(SWEEP, num_samples=1, init=[])


def test_an_observed_address_that_does_not_exist_is_refused() -> None:
    for batched in (True, False):
        with pytest.raises(UnvisitedConstraintsError, match="never visited 'zs'"):
            mcmc(line(XS), {"zs": 1.0}, SWEEP, num_samples=1, num_chains=2, batched=batched)


@pytest.mark.parametrize("name", ["num_samples", "thin", "num_chains", "checkpoint_every"])
def test_counts_that_are_too_small_are_refused(name: str) -> None:
    options = {"num_samples": 1, name: 0}

    with pytest.raises(CountError, match=f"Expected `{name}` to be an integer of at least 1, but got 0"):
        run(SWEEP, **options)


def test_options_and_kernels_that_make_no_sense_are_refused() -> None:
    with pytest.raises(OptionsError, match="leave out batched=False"):
        run(SWEEP, num_samples=1, compile=True, batched=False)
    with pytest.raises(KernelError, match=r"Expected a kernel: .* Got 'slope'"):
        run("slope", num_samples=1)
    for weights in ([], [-1.0, 2.0], [0.0], [math.nan]):
        with pytest.raises(MixtureError, match="Expected nonnegative weights"):
            mixture([(weight, SWEEP) for weight in weights])


def test_a_ratio_that_is_nan_is_rejected_in_a_batch_and_reported() -> None:
    @gen
    def breaks() -> None:
        x = uniform(0.0, 1.0) @ "x"
        gamma(torch.where(x < 0.5, 1.0, -1.0), 1.0) @ "y"

    torch.manual_seed(0)
    start = breaks.generate({"x": 0.25, "y": 1.0}).trace
    with pytest.warns(
        GenWarning, match="the log acceptance ratio of breaks was NaN and the step was rejected"
    ):
        chains = mcmc(
            breaks(), {"y": 1.0}, by(select("x")), num_samples=20, num_chains=2, init=start, batched=True
        )

    assert (chains.draws["x"] < 0.5).all()
    assert chains.statistics["is_nan"].any()


@pytest.mark.parametrize(("progress", "is_shown"), [(True, True), (False, False), (None, False)])
def test_progress_is_shown_on_demand_or_on_a_terminal(
    progress: bool | None, is_shown: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    run(SWEEP, num_samples=3, num_warmup=2, progress=progress)

    assert ("/5 " in capsys.readouterr().err) is is_shown


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_chains_keep_the_dtype_of_the_model(dtype: torch.dtype) -> None:
    @gen
    def typed(scale: Tensor) -> None:
        x = normal(torch.zeros((), dtype=dtype), scale) @ "x"
        normal(x, scale) @ "y"

    kernel = cycle(
        partial(random_walk, selection=select("x"), scale=1.0), partial(slice_sampling, selection=select("x"))
    )
    for batched in (False, True):
        model = typed(torch.ones((), dtype=dtype))
        chains = mcmc(model, {"y": 0.5}, kernel, num_samples=3, num_chains=2, batched=batched)
        assert chains.draws["x"].dtype == dtype
        assert chains.statistics["log_density"].dtype == torch.float64


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("options", [{"batched": False}, {"batched": True}, {"compile": "graph"}])
def test_chains_run_where_the_data_are(options: dict[str, Any]) -> None:
    @gen
    def placed(xs: Tensor) -> None:
        slope = normal(xs.new_zeros(()), 2.0) @ "slope"
        k = bernoulli(xs.new_full((), 0.3)) @ "k"
        normal(slope * xs + k, 1.0) @ "ys"

    xs = torch.arange(5.0, device="cuda")
    kernel = mixture(
        [
            (1.0, cycle(by(select("slope")), partial(random_walk, selection=select("slope"), scale=0.5))),
            (1.0, partial(slice_sampling, selection=select("slope"), max_steps_out=2, max_shrinks=4)),
            (1.0, partial(gibbs, selection=select("k"))),
        ]
    )
    chains = mcmc(placed(xs), {"ys": 0.5 * xs}, kernel, num_samples=10, num_warmup=3, num_chains=4, **options)

    assert chains.draws["slope"].is_cuda
    assert bool(chains.draws["slope"].isfinite().all())


def test_a_model_that_hands_a_tensor_from_outside_to_a_choice_compiles() -> None:
    @gen
    def walled() -> None:
        x = normal(XS, 1.0) @ "x"
        normal(x.sum(), 1.0) @ "y"

    torch.manual_seed(0)
    batched = mcmc(walled(), {"y": 3.0}, by(select("x")), num_samples=5, num_chains=3, batched=True)
    torch.manual_seed(0)
    compiled = mcmc(walled(), {"y": 3.0}, by(select("x")), num_samples=5, num_chains=3, compile="graph")

    assert torch.equal(batched.draws["x"], compiled.draws["x"])

"""The demo finds what is known about the Nile, is statistically right, and says what is wrong with a file."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

import demo
from changepoints.kernels import sweep
from changepoints.model import MAX_CHANGES, NUM_CHANGES_PRIOR, history
from changepoints.series import Series, make_series, read_series
from changepoints.summary import summarize
from gen_core import Trace, select
from gen_inflib import cycle, metropolis_hastings, run_chain

DEMO = Path(demo.__file__)


def test_the_demo_finds_the_change_of_1898() -> None:
    series = read_series(demo.NILE)

    summary = summarize(series, demo.infer(series, num_sweeps=400, seed=1))

    # Before and after 1898 the flow averages 1098 and 850; one standard error of these means is 26 and 15.
    assert summary.num_changes == 1
    assert summary.num_changes_probs[1] > 0.5
    assert summary.last_times[0].middle == 1898
    assert summary.levels[0].middle == pytest.approx(1098, abs=15)
    assert summary.levels[1].middle == pytest.approx(850, abs=15)
    assert summary.levels[0].low < 1098 < summary.levels[0].high
    assert summary.levels[1].low < 850 < summary.levels[1].high


def test_the_nile_data_are_the_published_ones() -> None:
    series = read_series(demo.NILE)

    assert (series.time_name, series.value_name) == ("year", "volume")
    assert series.times.tolist() == list(range(1871, 1971))
    assert float(series.values.sum()) == 91935.0


def test_with_measurements_simulated_in_each_sweep_the_chain_keeps_the_prior() -> None:
    """The joint distribution test of Geweke (2004), which finds a wrong proposal, weight or prior."""
    series = tiny_series()
    torch.manual_seed(1)

    def simulate_values(trace: Trace[Tensor]) -> tuple[Trace[Tensor], object]:
        return metropolis_hastings(trace, select("values"))

    chain = run_chain(history.simulate(series), cycle(sweep, simulate_values), num_samples=1500)

    for number, prob in enumerate(num_changes_prior()):
        assert_mean([float(trace["num_changes"] == number) for trace in chain.traces], prob)
    scaled = [(trace["base"] - series.center) / series.spread for trace in chain.traces]
    assert_mean([float(base) for base in scaled], 0.0)
    assert_mean([float(base**2) for base in scaled], 1.0)
    assert_mean([float(trace["noise"] / series.spread) for trace in chain.traces], math.sqrt(2 / math.pi))


def test_the_number_of_changes_agrees_with_brute_force() -> None:
    series = tiny_series()
    torch.manual_seed(2)
    start, _ = history.generate({"values": series.values}, series)

    chain = run_chain(start, sweep, num_samples=1500, num_warmup=50)

    for number, prob in enumerate(brute_force(series, num_draws=100_000)):
        assert_mean([float(trace["num_changes"] == number) for trace in chain.traces], prob)


def test_it_runs_on_a_file_and_writes_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    csv = tmp_path / "mine.csv"
    csv.write_text("3.0,2.5\n1.0,0.5\n\n2.0,0.7\n4.0,2.1\n", encoding="utf-8")
    picture = tmp_path / "picture.png"

    status = demo.main([str(csv), "--sweeps", "20", "--output", str(picture)])

    assert status == 0
    assert "4 measurements of value from mine.csv" in capsys.readouterr().out
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("year,flow\n1871,1120\n", "expected at least 3 rows of data, but got 1"),
        ("", "expected at least 3 rows of data, but got 0"),
        ("year,flow\n1871,high\n1872,low\n", "line 2: expected a number, but got 'high'"),
        ("1871,1120\n1872,\n1873,3\n", "line 2: expected a number, but got ''"),
        ("1,2\n\n2,nan\n3,4\n", "line 3: expected a number, but got 'nan'"),
        ("1,2\n2,inf\n3,4\n", "line 2: expected a number, but got 'inf'"),
        ("1\n2\n3\n", "line 1: expected two columns, a time and a value, but got 1"),
        ("1,2,3\n", "line 1: expected two columns, a time and a value, but got 3"),
        ("1,2\n2,2\n3,2\n", "all rows have the same value, 2, so nothing can change"),
        ("1,2\n1,3\n1,4\n", "all rows have the same time, 1, so nothing can change"),
        ("\xff\xfe\x00", "this is not a CSV file in UTF-8"),
    ],
)
def test_a_file_that_is_no_series_is_refused_in_one_line(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    csv = tmp_path / "mine.csv"
    csv.write_text(text, encoding="latin-1")

    status = demo.main([str(csv)])

    assert status == 2
    assert capsys.readouterr().err == f"demo: {csv}: {message}.\n"


@pytest.mark.parametrize("name", ["missing.csv", "."])
def test_a_path_that_cannot_be_read_leaves_one_line_and_status_2(name: str, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, DEMO, name], cwd=tmp_path, capture_output=True, text=True)

    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"demo: {name}: ")


def test_a_picture_without_a_folder_is_refused_before_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    status = demo.main(["--output", "nowhere/picture.png"])

    assert status == 2
    assert capsys.readouterr().err == "demo: cannot write nowhere/picture.png: there is no folder nowhere.\n"


def tiny_series() -> Series:
    return make_series(torch.arange(5.0), torch.tensor([1.0, 0.5, 2.5, 3.5, 2.0]))


def num_changes_prior() -> list[float]:
    return [weight / sum(NUM_CHANGES_PRIOR) for weight in NUM_CHANGES_PRIOR]


def brute_force(series: Series, num_draws: int) -> list[float]:
    """Return the posterior of the number of changes, by averaging the likelihood over the prior.

    Its own error is a tenth of the chain's.
    """
    evidence = []
    for number, prob in enumerate(num_changes_prior()):
        spread = series.spread
        times = (
            torch.rand(num_draws, number, dtype=torch.float64) * (series.last - series.first) + series.first
        )
        times = times.sort(dim=1).values
        levels = series.center + spread * torch.randn(num_draws, number + 1, dtype=torch.float64)
        noise = (spread * torch.randn(num_draws, 1, dtype=torch.float64)).abs()
        level = levels.gather(1, (series.times[None, :, None] > times[:, None, :]).sum(2))
        log_probs = -0.5 * ((series.values - level) / noise) ** 2 - noise.log() - 0.5 * math.log(2 * math.pi)
        evidence.append(prob * float(log_probs.sum(1).exp().mean()))
    assert len(evidence) == MAX_CHANGES + 1
    return [each / sum(evidence) for each in evidence]


def assert_mean(draws: list[float], expected: float) -> None:
    """Assert that the mean of a chain's draws is as expected, within four standard errors of batch means."""
    means = torch.tensor(draws, dtype=torch.float64).reshape(30, -1).mean(1)
    assert abs(float(means.mean()) - expected) < 4 * float(means.std()) / math.sqrt(len(means))

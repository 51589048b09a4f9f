"""A move of one flag costs the same for few points and for many, and the picture that says so is written."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import scaling
from gen_core import select
from outliers.models import MODELS, flip, start
from outliers.timing import time_moves


def test_the_three_models_are_one() -> None:
    traces = {}
    for name in MODELS:
        torch.manual_seed(0)
        traces[name] = start(name, 30)
        traces[name] = traces[name].update({("points", i, "outlier"): i % 3 == 0 for i in range(30)}).trace

    one, *others = traces.values()
    flipped = {("points", 7, "outlier"): True}
    for other in others:
        assert other.choices == one.choices
        # To the accuracy of single densities: one model scores them together, another one by one.
        torch.testing.assert_close(other.score.float(), one.score.float())
        weights = [model.update(flipped).weight.float() for model in (other, one)]
        torch.testing.assert_close(*weights)
        slope = select("slope")
        torch.testing.assert_close(other.project(slope).float(), one.project(slope).float())


def test_a_move_turns_a_flag_or_keeps_the_trace() -> None:
    torch.manual_seed(0)
    trace = start("static, Map", 20)

    moved = [flip(trace, number % 20) for number in range(60)]

    accepted = [each for each in moved if each is not trace]
    assert 0 < len(accepted) < 60
    assert all(bool(each.choices.submap("points") != trace.choices.submap("points")) for each in accepted)


@pytest.mark.unverified
def test_the_time_of_a_move_grows_with_the_points_in_a_loop_only() -> None:
    torch.manual_seed(0)

    growth = {name: times[1000] / times[10] for name, times in time_moves([10, 1000], 20).items()}

    # What is asked of them is less than what they do, so that a busy computer does not matter.
    assert growth["dynamic, loop"] > 10
    assert growth["dynamic, Map"] < 4
    assert growth["static, Map"] < 4


def test_it_runs_and_writes_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "picture.png"

    status = scaling.main(["--most", "100", "--moves", "2", "--output", str(picture)])

    assert status == 0
    header, *rows = capsys.readouterr().out.splitlines()[:3]
    assert header.split() == ["points", "dynamic,", "loop", "dynamic,", "Map", "static,", "Map"]
    assert [row.split()[0] for row in rows] == ["10", "100"]
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("options", [["--most", "1"], ["--moves", "0"], ["--output", "nowhere/picture.png"]])
def test_bad_options_are_refused(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        scaling.main(options)

    assert "scaling: error:" in capsys.readouterr().err

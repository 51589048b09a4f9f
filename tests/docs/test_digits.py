"""The autoencoder of digits learns, and its picture is written."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

import digits
from handwriting.data import Images, load_images
from handwriting.model import MAX_INK, Autoencoder
from handwriting.training import log_likelihoods, train


@pytest.fixture(scope="module")
def images() -> Images:
    return load_images()


def test_no_image_is_in_both_parts(images: Images) -> None:
    held_out = {tuple(image.tolist()) for image in images.held_out}

    assert (len(images.training), len(images.held_out)) == (1437, 360)
    assert not any(tuple(image.tolist()) in held_out for image in images.training)


def test_training_lowers_the_loss_and_raises_the_held_out_likelihood(images: Images) -> None:
    torch.manual_seed(0)
    autoencoder = Autoencoder()
    untrained = log_likelihoods(autoencoder, images.held_out, num_guesses=20)

    epochs = train(autoencoder, images, num_epochs=20, every=20)

    assert epochs[-1].loss < 0.5 * epochs[0].loss
    trained = log_likelihoods(autoencoder, images.held_out, num_guesses=20)
    assert (trained > untrained).float().mean() > 0.95
    # Better than pixels that are independent, with the mean ink of the training images.
    assert trained.mean() > independent_pixels(images).mean() + 50


def test_the_likelihood_grows_with_the_guesses(images: Images) -> None:
    torch.manual_seed(0)
    autoencoder = Autoencoder()

    bounds = [log_likelihoods(autoencoder, images.held_out, num_guesses=n).mean() for n in (1, 10, 100)]

    assert bounds[0] < bounds[1] < bounds[2]


def test_the_compiled_loss_trains_too(images: Images) -> None:
    torch.manual_seed(0)

    epochs = train(Autoencoder(), images, num_epochs=3, every=3, compiled=True)

    assert epochs[-1].loss < epochs[0].loss


def test_it_runs_and_writes_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "picture.png"

    status = digits.main(["--epochs", "2", "--output", str(picture)])

    assert status == 0
    assert "held-out log likelihood" in capsys.readouterr().out
    assert picture.read_bytes().startswith(b"\x89PNG")


def independent_pixels(images: Images) -> Tensor:
    chance = (images.training.double().mean(0) / MAX_INK).clamp(1e-3, 1 - 1e-3)
    likelihood = torch.distributions.Binomial(MAX_INK, chance)
    log_prob: Tensor = likelihood.log_prob(images.held_out.double())
    return log_prob.sum(-1)

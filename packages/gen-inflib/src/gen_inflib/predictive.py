"""Predictive draws: data that a model would make, before or after it was fitted."""

from __future__ import annotations

from typing import Any

from gen_core import Call, ChoiceMap, Choices, batch
from gen_inflib.calls import check_call
from gen_inflib.counts import check_count
from gen_inflib.diagnostics.summary import HasDraws
from gen_inflib.flat_draws import flat_draws


def prior_predictive(model: Call[Any], *, num_samples: int) -> ChoiceMap:
    """Return the choices of independent runs of a model.

    Args:
        model: A generative function with its arguments.
        num_samples: How many runs.

    Returns:
        All choices; each tensor has shape `(num_samples, *shape)`.

    Raises:
        CountError: `num_samples` is less than 1.
    """
    check_call(model)
    check_count("num_samples", num_samples)
    choices: ChoiceMap = batch(lambda: model.simulate().choices, size=num_samples, fallback="loop")()
    return choices


def posterior_predictive(model: Call[Any], draws: HasDraws | Choices) -> ChoiceMap:
    """Return, for each draw of the latent choices, what the model makes of the rest.

    Predictions at new inputs: pass the model with other arguments.

    Args:
        model: A generative function with its arguments.
        draws: Chains, or choices whose tensors have shape `(num_chains, num_draws, *shape)`.

    Returns:
        The choices that are not among the draws; each tensor has shape
        `(num_chains, num_draws, *shape)`.

    Raises:
        UnvisitedConstraintsError: The model does not visit a choice of the draws.
        ModelError: `model` is no call of a generative function.
        DrawsError: There are no draws, or they are not tensors of that shape.

    Source: Gelman et al., Bayesian Data Analysis (2013), chapter 6.
    """
    check_call(model)
    flat = flat_draws(draws)

    def predict(choices: ChoiceMap) -> ChoiceMap:
        return model.generate(choices).trace.choices.filter(~choices.addresses())

    predicted: ChoiceMap = batch(predict, fallback="loop")(flat.choices)
    return flat.unflatten(predicted)

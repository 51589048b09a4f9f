"""Pointwise log likelihood: what each observation has to say of each draw, for model comparison."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from gen_core import Call, ChoiceMap, Choices, Path, Trace, batch, choicemap, select
from gen_core.choice import ChoiceTrace
from gen_core.choicemap import Leaf
from gen_core.choicemap_build import graft
from gen_inflib.calls import check_call
from gen_inflib.diagnostics.summary import HasDraws
from gen_inflib.flat_draws import flat_draws


def pointwise_log_likelihood(model: Call[Any], observations: Choices, draws: HasDraws | Choices) -> ChoiceMap:
    """Return the log density of each observation under each draw of the other choices.

    Args:
        model: A generative function with its arguments.
        observations: Values of the observed choices, by address.
        draws: Chains, or choices whose tensors have shape `(num_chains, num_draws, *shape)`.

    Returns:
        At each observed address a tensor of shape `(num_chains, num_draws, *batch_shape)`, in nats: one
        number for each independent element of that choice.

    Raises:
        UnvisitedConstraintsError: The model does not visit an observed or a drawn choice.
        MissingChoiceError: The draws lack a choice of the model.

    Source: Vehtari, Gelman and Gabry, Statistics and Computing 27 (2017).
    """
    check_call(model)
    observed = choicemap(observations)
    flat = flat_draws(draws)

    def densities(choices: ChoiceMap) -> ChoiceMap:
        every = choices.merge(observed)
        model.assess(every)
        trace = model.generate(every).trace
        return graft([(path, Leaf(_densities(trace, path))) for path in observed.paths()])

    found: ChoiceMap = batch(densities, fallback="loop")(flat.choices)
    return flat.unflatten(found)


def _densities(trace: Trace[Any], path: Path) -> Tensor:
    choice = trace.find(path)
    if type(choice) is not ChoiceTrace:
        return trace.project(select(path))
    call: Any = choice.call
    densities: Tensor = call.gen_fn.family.log_prob(choice.retval, *call.args, **call.kwargs)
    return densities

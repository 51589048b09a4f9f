"""Bad input is a clear error or a report, in every algorithm that it can reach: never a silent NaN.

No observations, an address that does not exist, no particles, weights that are all -inf, a density that is
NaN, a step size of 0, chains that disagree in structure.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from gen_combinators import Unfold
from gen_core import (
    ANY,
    NONE,
    Call,
    GenWarning,
    MissingPackageError,
    Trace,
    UnknownSelectionError,
    UnvisitedConstraintsError,
    select,
)
from gen_core.batch_errors import BatchStructureError, NotBatchableError
from gen_core.errors import ParameterError
from gen_distributions import bernoulli, normal, uniform
from gen_dml import gen
from gen_inflib import (
    CountError,
    DrawsError,
    ImpossibleObservationsError,
    ImpossibleStartError,
    Kernel,
    KernelError,
    ModelError,
    NotANumberError,
    ScaleError,
    SequenceError,
    StartError,
    StepSizeError,
    ThresholdError,
    UndefinedWeightError,
    VaryingStructureError,
    Weighted,
    adaptive_hmc,
    adaptive_nuts,
    annealed_smc,
    cycle,
    elliptical_slice,
    extend,
    gibbs,
    hmc,
    importance_resampling,
    importance_sampling,
    involution_of,
    involutive_metropolis_hastings,
    laplace,
    mala,
    map_optimize,
    mcmc,
    metropolis_hastings,
    multinomial,
    nuts,
    particle_filter,
    particle_gibbs,
    pointwise_log_likelihood,
    posterior_predictive,
    prior_predictive,
    random_walk,
    rejuvenate,
    rejuvenate_and_reweight,
    resample,
    residual,
    run_chain,
    sequence_filter,
    slice_sampling,
    stratified,
    stratified_start,
    systematic,
)
from gen_inflib.diagnostics import summary


@gen
def model() -> None:
    z = bernoulli(0.3) @ "z"
    x = normal(torch.where(z, 1.0, -1.0), 1.0) @ "x"
    normal(x, 0.5) @ "y"


@gen
def step(t: int, x: Tensor) -> Tensor:
    x = normal(x, 1.0) @ "x"
    normal(x, 0.5) @ "y"
    return x


def walk(length: int = 3) -> Call[Any]:
    return Unfold(step)(length, torch.tensor(0.0))


@gen
def impossible() -> None:
    bernoulli(0.5) @ "z"
    x = normal(0.0, 1.0) @ "x"
    uniform(x, x + 1.0) @ "y"


@gen
def undefined() -> None:
    """The density is NaN where x is positive."""
    bernoulli(0.5) @ "z"
    x = normal(0.0, 1.0) @ "x"
    normal(torch.where(x > 0, math.nan, x), 1.0) @ "y"


@gen
def undefined_step(t: int, x: Tensor) -> Tensor:
    x = normal(0.0, 1.0) @ "x"
    normal(torch.where(x > 0, math.nan, x), 1.0) @ "y"
    return x


@gen
def impossible_step(t: int, x: Tensor) -> Tensor:
    x = normal(0.0, 1.0) @ "x"
    uniform(x, x + 1.0) @ "y"
    return x


@gen
def branches() -> None:
    if bernoulli(0.5) @ "k":
        normal(0.0, 1.0) @ "a"
    else:
        normal(0.0, 1.0) @ "b"
    normal(0.0, 1.0) @ "y"


Given = dict[Any, Any]
X = select("x")
MOVE: Kernel[Any] = partial(metropolis_hastings, proposal=X)

# What takes a model with observations.
ALGORITHMS: dict[str, Callable[[Call[Any], Given], Any]] = {
    "importance sampling": lambda call, given: importance_sampling(call, given, num_particles=5),
    "importance sampling, compiled": lambda call, given: importance_sampling(
        call, given, num_particles=5, compile=True
    ),
    "importance resampling": lambda call, given: importance_resampling(call, given, num_particles=5),
    "annealed": lambda call, given: annealed_smc(call, given, MOVE, num_particles=5),
    "particle filter": lambda call, given: particle_filter([(call, given)], num_particles=5),
    "stratified start": lambda call, given: stratified_start(
        call, given, num_particles=4, strata=[{"z": False}, {"z": True}]
    ),
    "chain": lambda call, given: mcmc(call, given, MOVE, num_samples=2),
    "chains": lambda call, given: mcmc(call, given, MOVE, num_samples=2, num_chains=2),
    "adaptive chains": lambda call, given: mcmc(call, given, adaptive_nuts(X), num_samples=2, num_chains=2),
    "map": lambda call, given: map_optimize(call, given, enumerate=select("z")),
    "laplace": lambda call, given: laplace(call, given, enumerate=select("z")),
}

# What takes a trace.
KERNELS: dict[str, Callable[[Any], Kernel[Any]]] = {
    "metropolis_hastings": lambda selection: partial(metropolis_hastings, proposal=selection),
    "involutive": lambda selection: partial(
        involutive_metropolis_hastings,
        proposal=lambda trace: normal(0.0, 1.0),
        involution=involution_of(lambda ours, theirs: ({"x": theirs[()]}, {(): ours["x"]}), selection),
    ),
    "random_walk": lambda selection: partial(random_walk, selection=selection, scale=1.0),
    "slice_sampling": lambda selection: partial(slice_sampling, selection=selection),
    "hmc": lambda selection: partial(hmc, selection=selection, step_size=0.5, num_leapfrogs=2),
    "mala": lambda selection: partial(mala, selection=selection, step_size=0.5),
    "nuts": lambda selection: partial(nuts, selection=selection, step_size=0.5),
}


# No observations.


@pytest.mark.parametrize(
    "name", ["importance sampling", "importance resampling", "annealed", "particle filter"]
)
def test_without_observations_the_evidence_is_one(name: str) -> None:
    found = ALGORITHMS[name](model(), {})

    assert float(found.log_marginal_likelihood) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("name", ["chain", "chains", "adaptive chains"])
def test_chains_without_observations_draw_every_choice(name: str) -> None:
    assert set(ALGORITHMS[name](model(), {}).draws) >= {"z", "x", "y"}


def test_filters_without_observations_or_steps() -> None:
    assert float(sequence_filter(walk(), {}, num_particles=3).log_marginal_likelihood) == pytest.approx(0.0)
    with pytest.raises(CountError, match="`number of steps` to be an integer of at least 1, but got 0"):
        particle_filter([], num_particles=3)
    with pytest.raises(CountError, match="`number of steps` to be an integer of at least 1, but got 0"):
        sequence_filter(walk(0), {}, num_particles=3)
    with pytest.raises(CountError, match="`number of steps` to be an integer of at least 1, but got 0"):
        particle_gibbs(walk(0).simulate(), NONE, num_particles=3)


def test_predictions_from_no_draws_are_refused() -> None:
    with pytest.raises(DrawsError, match="There are no draws"):
        posterior_predictive(model(), {})
    with pytest.raises(DrawsError, match="There are no draws"):
        pointwise_log_likelihood(model(), {"y": 1.0}, {})


# A package that does not exist.


@pytest.mark.parametrize(
    ("algorithm", "run"),
    [
        ("annealed_smc", lambda call, given: annealed_smc(call, given, MOVE, num_particles=2, compile=True)),
        ("map_optimize", lambda call, given: map_optimize(call, given, compile=True)),
        ("laplace", lambda call, given: laplace(call, given, compile=True)),
    ],
)
def test_compiling_without_gen_torch_says_what_to_install(
    algorithm: str, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    @gen
    def measured() -> None:
        x = normal(0.0, 1.0) @ "x"
        normal(x, 1.0) @ "y"

    monkeypatch.setitem(sys.modules, "gen_torch", None)

    with pytest.raises(
        MissingPackageError, match=rf"{algorithm}\(compile=True\) needs the package gen-torch"
    ):
        run(measured(), {"y": 1.0})


# An address that does not exist.


@pytest.mark.parametrize("name", ALGORITHMS)
def test_an_observed_address_that_does_not_exist_is_named(name: str) -> None:
    with pytest.raises(UnvisitedConstraintsError, match="never visited 'yy', which the constraints name"):
        ALGORITHMS[name](model(), {"yy": 1.0})


@pytest.mark.parametrize("name", KERNELS)
def test_a_selected_address_that_does_not_exist_is_named(name: str) -> None:
    trace = model.generate({"y": 1.0}).trace

    with pytest.raises(
        UnknownSelectionError, match="model has no choice at 'nope', which the selection names"
    ):
        KERNELS[name](select("nope"))(trace)


def test_steps_of_a_filter_that_do_not_exist_are_named() -> None:
    with pytest.raises(UnvisitedConstraintsError, match="step never visited 'q'"):
        sequence_filter(walk(), {(0, "q"): 1.0}, num_particles=3)
    particles = importance_sampling(model(), {"y": 1.0}, num_particles=3)
    with pytest.raises(UnvisitedConstraintsError, match="model never visited 'q'"):
        extend(particles, model(), {"q": 1.0})
    with pytest.raises(UnknownSelectionError, match="model has no choice at 'q'"):
        rejuvenate_and_reweight(particles, select("q"))


def test_observations_of_particle_gibbs_that_do_not_exist_are_named() -> None:
    trace = walk().simulate()

    with pytest.raises(UnknownSelectionError, match=r"has no choice at \(0, 'q'\)"):
        particle_gibbs(trace, select((0, "q")), num_particles=3)
    with pytest.raises(
        SequenceError, match=r"select\(\(ANY, 'q'\)\) selects none.*if there are none, say NONE"
    ):
        particle_gibbs(trace, select((ANY, "q")), num_particles=3)


# No particles, and other counts and shares that are none.


@pytest.mark.parametrize(
    ("run", "name"),
    [
        (lambda: importance_sampling(model(), {}, num_particles=0), "num_particles"),
        (lambda: importance_resampling(model(), {}, num_particles=0), "num_particles"),
        (lambda: particle_filter([(model(), {})], num_particles=0), "num_particles"),
        (lambda: sequence_filter(walk(), {}, num_particles=0), "num_particles"),
        (lambda: annealed_smc(model(), {}, MOVE, num_particles=0), "num_particles"),
        (lambda: annealed_smc(model(), {}, MOVE, num_particles=2, num_moves=0), "num_moves"),
        (lambda: particle_gibbs(walk().simulate(), NONE, num_particles=1), "num_particles"),
        (lambda: stratified_start(model(), {}, num_particles=0, strata=[{"z": True}]), "num_particles"),
        (lambda: mcmc(model(), {}, MOVE, num_samples=2, num_chains=0), "num_chains"),
        (lambda: prior_predictive(model(), num_samples=0), "num_samples"),
        (lambda: systematic(torch.zeros(3), 0), "num_particles"),
    ],
)
def test_no_particles_are_refused(run: Callable[[], Any], name: str) -> None:
    with pytest.raises(CountError, match=f"Expected `{name}` to be an integer of at least"):
        run()


@pytest.mark.parametrize("threshold", [-0.1, 1.5, math.nan, "half"])
@pytest.mark.parametrize(
    "run",
    [
        lambda threshold: particle_filter([(model(), {})], num_particles=3, threshold=threshold),
        lambda threshold: sequence_filter(walk(), {}, num_particles=3, threshold=threshold),
        lambda threshold: annealed_smc(model(), {}, MOVE, num_particles=3, threshold=threshold),
        lambda threshold: resample(importance_sampling(model(), {}, num_particles=3), threshold=threshold),
    ],
)
def test_a_threshold_that_is_no_share_is_refused(run: Callable[[Any], Any], threshold: Any) -> None:
    with pytest.raises(ThresholdError, match=f"between 0 and .*1, but got {threshold!r}"):
        run(threshold)


def test_powers_cannot_be_chosen_to_keep_all_weights_equal() -> None:
    with pytest.raises(ThresholdError, match=r"between 0 and less than 1, but got 1.0"):
        annealed_smc(model(), {"y": 1.0}, MOVE, num_particles=5, threshold=1.0)


# Weights that are all -inf, or NaN.


@pytest.mark.parametrize("name", ALGORITHMS)
def test_observations_that_are_impossible_are_reported(name: str) -> None:
    torch.manual_seed(0)

    with pytest.raises(
        (ImpossibleObservationsError, StartError, ImpossibleStartError),
        match=r"weight -inf|have probability zero|is -inf at the trace to start from",
    ):
        ALGORITHMS[name](impossible(), {"y": 100.0})


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_density_that_is_nan_at_the_start_is_reported(name: str) -> None:
    @gen
    def always() -> None:
        bernoulli(0.5) @ "z"
        x = normal(0.0, 1.0) @ "x"
        normal(torch.where(x > 100, x, math.nan), 1.0) @ "y"

    with pytest.raises(
        (UndefinedWeightError, ParameterError), match=r"is nan, made of|to be a number, but got tensor"
    ):
        ALGORITHMS[name](always(), {"y": 1.0})


@pytest.mark.parametrize("method", [multinomial, residual, stratified, systematic])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_resamplers_refuse_weights_that_are_none(method: Any, bad: float) -> None:
    with pytest.raises(DrawsError, match="nothing to draw 3 particles by: every weight is -inf"):
        method(torch.full((3,), -math.inf))
    with pytest.raises(DrawsError, match=f"nothing to draw 3 particles by: a log weight is {bad}"):
        method(torch.tensor([0.0, bad, 0.0]))


@pytest.mark.parametrize("method", [multinomial, residual, stratified, systematic])
@pytest.mark.parametrize("weight", [math.nan, 0.0])
def test_where_weights_cannot_be_read_ancestors_stay_inside(method: Any, weight: float) -> None:
    ancestors = method.of_weights(torch.full((3,), weight), 5)

    assert bool(((ancestors >= 0) & (ancestors < 3)).all())


def test_priorities_that_would_bias_the_evidence_are_refused() -> None:
    particles = importance_sampling(model(), {"y": 1.0}, num_particles=3)

    with pytest.raises(DrawsError, match="The priority of particle 1 is -inf, and it has weight"):
        resample(particles, log_priorities=torch.tensor([0.0, -math.inf, 0.0]))
    with pytest.raises(DrawsError, match=r"`log_priorities` of shape \(3,\)"):
        resample(particles, log_priorities=torch.zeros(2))


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("name", KERNELS)
def test_particles_without_weight_go_on_without_weight(name: str, batched: bool) -> None:
    """Some of the particles are impossible, and resampling waits."""

    @gen
    def bounded(num_steps: int) -> None:
        x = normal(0.0, 1.0) @ "x"
        for t in range(num_steps):
            uniform(x, x + 1.0) @ ("y", t)

    steps = [(bounded(t + 1), {("y", t): y}) for t, y in enumerate([0.5, 0.7])]
    torch.manual_seed(0)

    particles = particle_filter(
        steps, num_particles=200, threshold=0.0, rejuvenation=KERNELS[name](X), batched=batched
    )

    # The densities are 1 where both observations are in the interval: where -0.3 < x < 0.5.
    exact = float(torch.special.ndtr(torch.tensor(0.5)) - torch.special.ndtr(torch.tensor(-0.3)))
    assert 0 < int((particles.log_weights == -math.inf).sum()) < 200
    standard_error = math.sqrt((1 - exact) / exact / 200)
    assert abs(float(particles.log_marginal_likelihood) - math.log(exact)) < 4 * standard_error


@pytest.mark.parametrize("batched", [True, False])
def test_annealing_goes_on_where_some_particles_are_impossible(batched: bool) -> None:
    @gen
    def bounded() -> None:
        x = normal(0.0, 1.0) @ "x"
        uniform(x, x + 1.0) @ "y"

    torch.manual_seed(0)

    runs: list[Weighted[Any]] = [
        annealed_smc(
            bounded(), {"y": 0.5}, MOVE, num_particles=40, num_moves=2, powers=[0.3, 1.0], batched=batched
        )
        for _ in range(20)
    ]

    exact = float(torch.special.ndtr(torch.tensor(0.5)) - torch.special.ndtr(torch.tensor(-0.5)))
    evidences = torch.stack([run.log_marginal_likelihood for run in runs]).exp()
    assert abs(evidences.mean() - exact) < 4 * evidences.std() / math.sqrt(len(runs))
    assert all(abs(float(run.expectation(lambda trace: trace["x"]))) < 0.5 for run in runs)


def test_a_step_of_a_sequence_with_weights_that_are_none_is_named() -> None:
    observed = {(t, "y"): 50.0 for t in range(3)}
    with pytest.raises(ImpossibleObservationsError, match=r"At step 0 of .* every particle has weight -inf"):
        sequence_filter(Unfold(impossible_step)(3, torch.tensor(0.0)), observed, num_particles=5)

    torch.manual_seed(0)
    call = Unfold(undefined_step)(3, torch.tensor(0.0))
    with pytest.raises(UndefinedWeightError, match=r"The total weight of particles of .* is nan.*step 0"):
        sequence_filter(call, observed, num_particles=20)
    with pytest.raises(UndefinedWeightError, match=r"The log weight of a particle .* is nan.*step 0"):
        start = call.generate(observed | {(t, "x"): -1.0 for t in range(3)}).trace
        particle_gibbs(start, select((ANY, "y")), num_particles=20)
    with pytest.raises(ImpossibleStartError, match="is -inf at the trace to start from"):
        far = Unfold(impossible_step)(1, torch.tensor(0.0)).generate({(0, "y"): 50.0}).trace
        particle_gibbs(far, select((ANY, "y")), num_particles=5)


# A density that is NaN on the way of a chain.


GRADIENTS = ("hmc", "mala", "nuts")
ON_THE_WAY: dict[str, Any] = {name: of(X) for name, of in KERNELS.items()} | {
    "elliptical_slice": partial(elliptical_slice, address="x"),
    "adaptive_nuts": adaptive_nuts(X),
    "adaptive_hmc": adaptive_hmc(X, num_leapfrogs=3),
}


@pytest.mark.parametrize("name", ON_THE_WAY)
def test_a_chain_that_meets_a_nan_says_so(name: str) -> None:
    start = undefined.generate({"y": -1.0, "x": -0.2}).trace
    torch.manual_seed(0)

    def run(**options: Any) -> Any:
        return mcmc(
            undefined(), {"y": -1.0}, ON_THE_WAY[name], num_samples=30, num_warmup=2, init=start, **options
        )

    if name in GRADIENTS or name.startswith("adaptive"):
        # Where the density is undefined a trajectory has diverged.
        one, many = run(), run(num_chains=4)
        assert float(one.statistics["diverging"].double().mean()) > 0
    else:
        with pytest.raises((NotANumberError, ParameterError), match=r"NaN|to be a number, but got tensor"):
            run()
        with pytest.warns(
            GenWarning, match=r"In \d+ steps after warm-up, the log acceptance ratio of undefined"
        ):
            many = run(num_chains=4)
    assert many.why_looped is None
    assert bool((many.draws["x"] <= 0).all())
    assert bool(many.statistics["log_density"].isfinite().all())


def test_gibbs_refuses_scores_that_are_none() -> None:
    @gen
    def flagged() -> None:
        z = bernoulli(0.5) @ "z"
        uniform(torch.where(z, 0.0, 1.0), 2.0) @ "y"

    with pytest.raises(ImpossibleStartError, match="is -inf at the trace to start from"):
        gibbs(flagged.generate({"y": 5.0}).trace, select("z"))


# A step size of 0.


@pytest.mark.parametrize(
    "bad",
    [0, 0.0, -1.0, math.nan, math.inf, torch.tensor(0.0), torch.tensor(math.nan), torch.ones(2), "a", None],
)
def test_a_step_size_that_is_no_positive_number_is_refused(bad: Any) -> None:
    trace = model.generate({"y": 1.0}).trace
    steps: list[Callable[[], Any]] = [
        lambda: hmc(trace, X, step_size=bad, num_leapfrogs=2),
        lambda: mala(trace, X, step_size=bad),
        lambda: nuts(trace, X, step_size=bad),
        lambda: mcmc(
            model(), {"y": 1.0}, partial(nuts, selection=X, step_size=bad), num_samples=2, num_chains=2
        ),
    ]

    for run in steps:
        with pytest.raises(StepSizeError, match="Expected `step_size` to be a positive number, but got"):
            run()


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, torch.tensor(0.0), "a"])
def test_a_scale_that_is_not_positive_is_refused(bad: Any) -> None:
    trace = model.generate({"y": 1.0}).trace

    with pytest.raises(ScaleError, match="Expected `scale` to be positive and finite"):
        random_walk(trace, X, scale=bad)
    with pytest.raises(ScaleError, match="Expected `width` to be positive and finite"):
        slice_sampling(trace, X, width=bad)


# Chains that disagree in structure.


def test_chains_that_disagree_in_structure_run_in_a_loop_or_say_why_they_cannot() -> None:
    kernel: Kernel[Any] = partial(metropolis_hastings, proposal=select("k"))
    starts: list[Trace[Any]] = [branches.generate({"k": k, "y": 1.0}).trace for k in (True, False)]

    chains = mcmc(branches(), {"y": 1.0}, kernel, num_samples=5, init=starts)

    assert chains.why_looped is not None
    assert "BatchStructureError" in chains.why_looped
    with pytest.raises(VaryingStructureError, match="the draws differ in their addresses"):
        summary(chains)
    with pytest.raises(BatchStructureError, match="trace 1 has other choices than the first"):
        mcmc(branches(), {"y": 1.0}, kernel, num_samples=5, init=starts, batched=True)
    with pytest.raises(NotBatchableError, match=r"branches .* cannot be batched"):
        mcmc(branches(), {"y": 1.0}, kernel, num_samples=5, compile=True)


def test_particles_that_disagree_in_structure_rejuvenate_one_by_one() -> None:
    torch.manual_seed(0)
    particles = importance_sampling(branches(), {"y": 1.0}, num_particles=20)

    moved = rejuvenate(particles, partial(metropolis_hastings, proposal=select("k")))

    assert moved.why_looped is not None
    assert {("a" in trace.choices) for trace in moved.traces} == {True, False}


# Something else where a model, a trace or draws are expected.


@gen
def noisy(x: float) -> None:
    loc = normal(0.0, 1.0) @ "loc"
    normal(loc * x, 1.0) @ "y"


MOVE_LOC: Kernel[Any] = partial(metropolis_hastings, proposal=select("loc"))
NO_CALL: dict[str, Callable[[Any], object]] = {
    "importance sampling": lambda model: importance_sampling(model, {"y": 1.0}, num_particles=3),
    "importance resampling": lambda model: importance_resampling(model, {"y": 1.0}, num_particles=3),
    "mcmc": lambda model: mcmc(model, {"y": 1.0}, MOVE_LOC, num_samples=3),
    "map": lambda model: map_optimize(model, {"y": 1.0}),
    "laplace": lambda model: laplace(model, {"y": 1.0}),
    "annealing": lambda model: annealed_smc(model, {"y": 1.0}, MOVE_LOC, num_particles=3),
    "filter": lambda model: sequence_filter(model, {"y": 1.0}, num_particles=3),
    "prior predictive": lambda model: prior_predictive(model, num_samples=3),
    "posterior predictive": lambda model: posterior_predictive(model, {"loc": torch.zeros(1, 2)}),
    "pointwise": lambda model: pointwise_log_likelihood(model, {"y": 1.0}, {"loc": torch.zeros(1, 2)}),
}


@pytest.mark.parametrize("name", NO_CALL)
def test_a_function_or_a_trace_in_the_place_of_a_call_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match=r"Expected a call of a .* as in `noisy\(\.\.\.\)`"):
        NO_CALL[name](noisy)
    if name not in ("map", "laplace"):  # these start at traces
        with pytest.raises(ModelError, match=r"but got <trace of noisy"):
            NO_CALL[name](noisy.simulate(1.0))


def test_a_call_in_the_place_of_a_trace_or_of_draws_is_refused() -> None:
    with pytest.raises(ModelError, match=r"Expected a trace, such as .* but got noisy\(1\.0\)"):
        run_chain(noisy(1.0), MOVE_LOC, num_samples=2)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="Expected chains, as `mcmc` returns them"):
        posterior_predictive(noisy(1.0), noisy(1.0))  # type: ignore[arg-type]
    with pytest.raises(DrawsError, match=r"shape \(num_chains, num_draws, ...\).* those at 'loc' are not"):
        posterior_predictive(noisy(1.0), {"loc": torch.zeros(2)})


def test_a_generative_function_is_no_kernel() -> None:
    with pytest.raises(KernelError, match="Expected a kernel: a function from a trace"):
        cycle(noisy)  # type: ignore[arg-type]


def test_a_missing_argument_is_an_error_that_names_the_model() -> None:
    with pytest.raises(TypeError, match=r"noisy\(x: .*float.*\).*: missing a required argument: 'x'"):
        noisy()  # type: ignore[call-arg]

"""Probability distributions as generative functions, with the parameters of `torch.distributions`."""

from gen_distributions.bernoulli import bernoulli
from gen_distributions.beta import beta
from gen_distributions.beta_uniform import beta_uniform
from gen_distributions.binomial import binomial
from gen_distributions.categorical import categorical
from gen_distributions.cauchy import cauchy
from gen_distributions.chi2 import chi2
from gen_distributions.delta import delta
from gen_distributions.dirichlet import dirichlet
from gen_distributions.dist import dist
from gen_distributions.errors import (
    ComponentError,
    DistBodyError,
    NotEnumerableError,
    OneParameterizationError,
    ValueKindError,
)
from gen_distributions.exponential import exponential
from gen_distributions.family import TensorFamily
from gen_distributions.from_torch import from_torch
from gen_distributions.gamma import gamma
from gen_distributions.geometric import geometric
from gen_distributions.gumbel import gumbel
from gen_distributions.half_cauchy import half_cauchy
from gen_distributions.half_normal import half_normal
from gen_distributions.heterogeneous_mixture import heterogeneous_mixture
from gen_distributions.homogeneous_mixture import homogeneous_mixture
from gen_distributions.inverse_gamma import inverse_gamma
from gen_distributions.laplace import laplace
from gen_distributions.lkj_cholesky import lkj_cholesky
from gen_distributions.log_normal import log_normal
from gen_distributions.low_rank_multivariate_normal import low_rank_multivariate_normal
from gen_distributions.multinomial import multinomial
from gen_distributions.multivariate_normal import multivariate_normal
from gen_distributions.negative_binomial import negative_binomial
from gen_distributions.normal import normal
from gen_distributions.pareto import pareto
from gen_distributions.piecewise_uniform import piecewise_uniform
from gen_distributions.poisson import poisson
from gen_distributions.product import product
from gen_distributions.relabelled import relabelled
from gen_distributions.student_t import student_t
from gen_distributions.tensors import IntegerLike, MatrixLike, TensorLike, VectorLike
from gen_distributions.transformed import transformed
from gen_distributions.truncated_normal import truncated_normal
from gen_distributions.uniform import uniform
from gen_distributions.uniform_discrete import uniform_discrete
from gen_distributions.von_mises import von_mises
from gen_distributions.weibull import weibull
from gen_distributions.wishart import wishart

__all__ = [
    "ComponentError",
    "DistBodyError",
    "IntegerLike",
    "MatrixLike",
    "NotEnumerableError",
    "OneParameterizationError",
    "TensorFamily",
    "TensorLike",
    "ValueKindError",
    "VectorLike",
    "bernoulli",
    "beta",
    "beta_uniform",
    "binomial",
    "categorical",
    "cauchy",
    "chi2",
    "delta",
    "dirichlet",
    "dist",
    "exponential",
    "from_torch",
    "gamma",
    "geometric",
    "gumbel",
    "half_cauchy",
    "half_normal",
    "heterogeneous_mixture",
    "homogeneous_mixture",
    "inverse_gamma",
    "laplace",
    "lkj_cholesky",
    "log_normal",
    "low_rank_multivariate_normal",
    "multinomial",
    "multivariate_normal",
    "negative_binomial",
    "normal",
    "pareto",
    "piecewise_uniform",
    "poisson",
    "product",
    "relabelled",
    "student_t",
    "transformed",
    "truncated_normal",
    "uniform",
    "uniform_discrete",
    "von_mises",
    "weibull",
    "wishart",
]

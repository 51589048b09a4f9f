"""Diagnostics: how far draws can be trusted."""

from gen_inflib.diagnostics.effective_sample_size import (
    effective_sample_size,
    effective_sample_size_bulk,
    effective_sample_size_tail,
)
from gen_inflib.diagnostics.energy import energy_fraction
from gen_inflib.diagnostics.pareto import pareto_k, pareto_smoothed
from gen_inflib.diagnostics.r_hat import r_hat
from gen_inflib.diagnostics.standard_error import standard_error, standard_error_of_sd
from gen_inflib.diagnostics.summary import Summary, SummaryRow, summary

__all__ = [
    "Summary",
    "SummaryRow",
    "effective_sample_size",
    "effective_sample_size_bulk",
    "effective_sample_size_tail",
    "energy_fraction",
    "pareto_k",
    "pareto_smoothed",
    "r_hat",
    "standard_error",
    "standard_error_of_sd",
    "summary",
]

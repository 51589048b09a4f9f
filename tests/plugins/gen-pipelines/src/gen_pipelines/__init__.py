"""Pipelines: generative functions that feed each other."""

from gen_pipelines.pipeline import Pipeline, PipelineTrace, pipeline

__all__ = ["Pipeline", "PipelineTrace", "pipeline"]

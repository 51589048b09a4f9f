"""The front end: from the source of a Python function to steps that any language can run."""

from gen_sml.front.body import read_body
from gen_sml.front.source import Source

__all__ = ["Source", "read_body"]

"""What authors of generative functions test them with."""

from gen_core.testing.below import Below, Through
from gen_core.testing.goodness import check_samples
from gen_core.testing.law import Law, LawError
from gen_core.testing.laws import check_laws

__all__ = ["Below", "Law", "LawError", "Through", "check_laws", "check_samples"]

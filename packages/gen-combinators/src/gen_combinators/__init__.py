"""Gen's combinators: generative functions built of generative functions."""

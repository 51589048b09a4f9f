"""A faster regenerate for the walks of gen-gaussians."""

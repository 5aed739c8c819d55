"""Pages of bi-planar experiments."""

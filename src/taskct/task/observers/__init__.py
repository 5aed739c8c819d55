"""Model observers of signals in noise."""

"""The published systems, each in a folder of its own; only `catalogue` knows all of them."""

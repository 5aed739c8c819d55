"""Reconstructors: any callable `(p, A) -> mu`."""

"""What workers of tests are asked to do."""

from __future__ import annotations


def pages_asked_for() -> int:
    """Pages of memory that the system gave while 500 images of 1 MiB were made and dropped one after another."""
    import resource

    import torch

    torch.rand(2**18)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(500):
        torch.zeros(2**18).add_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

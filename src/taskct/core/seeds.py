"""Randomness that depends on a name and a seed, on nothing else."""

from __future__ import annotations

import hashlib

import torch


def derive_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed for `names` (a case id, a purpose) under the user's `seed`; the same on every machine.

    >>> derive_seed(0, "patient-1", "noise") == derive_seed(0, "patient-1", "noise")
    True
    >>> derive_seed(0, "patient-1") == derive_seed(0, "patient-2")
    False
    """
    text = "\x1f".join([str(int(seed)), *[str(n) for n in names]])
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "backslashreplace")).digest()[:8], "big") >> 1


def generator(seed: int | torch.Generator, *names: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator for `seed` and `names` on `device`; a generator that is given is used as it is."""
    if isinstance(seed, torch.Generator):
        return seed
    made = torch.Generator(device=device)
    made.manual_seed(derive_seed(seed, *names))
    return made

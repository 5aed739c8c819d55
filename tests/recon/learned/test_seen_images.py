"""What counts as an image that a network has learnt from."""

from __future__ import annotations

import torch

from taskct.recon.learned.seen_images import SeenImages


def test_slices_of_air_are_alike_in_all_patients_and_count_as_nobodys() -> None:
    drawn = torch.Generator().manual_seed(0)
    air = -1000 + (torch.rand(4, 1, 64, 64, generator=drawn) < 0.01).float() * torch.randint(
        1, 4, (4, 1, 64, 64), generator=drawn
    )
    body = air.clone()
    body[..., 20:50, 10:40] = 40.0
    seen = SeenImages.of(["a"], [air[:2], body[:2]])
    assert seen.among("b", air[2:]) == ""
    assert seen.among("b", torch.cat([air[2:], body[:1]])) == "it learnt from the one slice of b, under another name"

"""The code of docs/coming-from.md runs as it stands, and its angles are those of the other tools."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from places import ROOT

from taskct import Grid, ParallelBeam, Projector

PAGE = ROOT / "docs" / "coming-from.md"


def sections() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for part in re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        title, _, text = part.partition("\n")
        found[title] = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    return found


def test_the_page_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    parts = sections()
    assert [title.removeprefix("Coming from ") for title in parts][:4] == ["scikit-image", "ASTRA", "deepinv", "MONAI"]
    assert all(len(blocks) > 0 for title, blocks in parts.items() if title != "Also")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for blocks in parts.values():
            for block in blocks:
                exec(compile(block, str(PAGE), "exec"), names)


@pytest.mark.parametrize("size", [64, 65])
def test_a_sinogram_of_scikit_image_is_that_of_the_page(size: int) -> None:
    transform = pytest.importorskip("skimage.transform")
    image, theta = np.zeros((size, size)), np.arange(0.0, 180.0, 3.0)
    image[14:22, 30:44] = 1.0
    beam = ParallelBeam(views=60, cols=size, pixel_mm=1.0, arc_deg=-180.0, col_offset_mm=-0.5 if size % 2 == 0 else 0.0)
    A = Projector(Grid((size, size), 1.0, origin_mm=(-(size // 2), -(size // 2))), beam)
    ours = A(torch.from_numpy(image).float()[None, None])[0, 0].numpy()
    theirs = transform.radon(image, theta, circle=True).T
    assert np.abs(ours - theirs).mean() < 0.01 * theirs.max()
    assert np.abs(ours[::-1] - theirs).mean() > 0.05 * theirs.max()  # the other way round it is another scan

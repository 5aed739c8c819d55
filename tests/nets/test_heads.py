from __future__ import annotations

import pytest
import torch

from taskct.core.errors import ConfigError
from taskct.nets.heads import CentresHead, Decoder, FindingsHead, RestoreHead, SegmentHead, stride_for_cells
from taskct.nets.pyramids import ResNet50, SmallPyramid

ENCODER = SmallPyramid(widths=(4, 6, 8))


@pytest.mark.parametrize("size", [(16, 24), (17, 23), (8, 5)])
@pytest.mark.parametrize("fold", [1, 2, 4])
def test_every_head_answers_images_of_any_size(size: tuple[int, int], fold: int) -> None:
    x = torch.randn(2, 1, *size)
    encoder = SmallPyramid(widths=(4, 6) if fold > 1 else (4, 6, 8), fold=fold)
    maps = encoder(x)
    assert FindingsHead(encoder, 3)(maps, x).shape == (2, 3)
    assert SegmentHead(encoder, 4)(maps, x).shape == (2, 4, *size)
    assert RestoreHead(encoder)(maps, x).shape == (2, 1, *size)
    cells = CentresHead(encoder, 2, stride=2)(maps, x)
    wanted = tuple(-(-n // 2) for n in size)
    assert cells["centres"].shape == (2, 2, *wanted) and cells["boxes"].shape == (2, 4, *wanted)


def test_a_decoder_without_skips_sees_the_coarsest_map_only() -> None:
    x = torch.randn(1, 1, 16, 16)
    maps = ENCODER(x)
    other = [torch.randn_like(m) for m in maps[:-1]] + [maps[-1]]
    plain, joined = Decoder(ENCODER, 1, skips=False).eval(), Decoder(ENCODER, 1).eval()
    assert torch.equal(plain(maps, x), plain(other, x)) and not torch.equal(joined(maps, x), joined(other, x))


def test_a_correction_begins_as_the_middle_channel_of_its_input() -> None:
    encoder = SmallPyramid(3, widths=(4, 6))
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(RestoreHead(encoder, correction=True)(encoder(x), x), x[:, 1:2])


def test_lesions_are_rare_before_training() -> None:
    head = CentresHead(ENCODER, 2, stride=4, rare=0.01).eval()
    x = torch.randn(1, 1, 32, 32)
    assert float(head(ENCODER.eval()(x), x)["centres"].detach().sigmoid().mean()) == pytest.approx(0.01, abs=0.01)


def test_coarse_encoders_come_back_to_the_pixels_of_the_image() -> None:
    encoder = ResNet50().eval()
    x = torch.zeros(1, 1, 33, 40)
    with torch.no_grad():
        assert SegmentHead(encoder, 2).eval()(encoder(x), x).shape == (1, 2, 33, 40)


def test_cells_are_chosen_in_mm_and_odd_strides_refused() -> None:
    assert [stride_for_cells(7.0, pixel) for pixel in (0.5, 1.0, 3.54)] == [16, 8, 2]
    with pytest.raises(ConfigError, match="stride"):
        CentresHead(ENCODER, 1, stride=3)


def test_heads_without_an_answer_are_refused() -> None:
    encoder = SmallPyramid(widths=(4, 8))
    with pytest.raises(ConfigError, match="findings >= 1"):
        FindingsHead(encoder, 0)
    with pytest.raises(ConfigError, match="outputs of 1 or more"):
        SegmentHead(encoder, 0)

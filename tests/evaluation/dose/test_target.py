"""Targets say their convention; what is ambiguous, points the wrong way or is misspelt is refused with advice."""

import pytest

from taskct.core.errors import ConfigError, InputError
from taskct.evaluation.dose import parse_keep, parse_target


@pytest.mark.parametrize(
    ("text", "key", "bound", "of_full"),
    [
        ("tumour.dice>=0.95*full", "tumour.dice", 0.95, True),
        ("psnr[fixed range] >= 40 dB", "psnr[fixed range]", 40, False),
        ("rmse_hu<=20", "rmse_hu", 20, False),
        ("noise_sd_hu[liver] <= 12 HU", "noise_sd_hu[liver]", 12, False),
        ("rmse_hu <= 1.1 * full", "rmse_hu", 1.1, True),
        ("ssim[image range]>=0.9", "ssim[image range]", 0.9, False),
    ],
)
def test_targets_are_read_and_written_alike(text: str, key: str, bound: float, of_full: bool) -> None:
    target = parse_target(text)
    assert (target.key, target.bound, target.of_full) == (key, bound, of_full)
    assert parse_target(str(target)) == target


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("psnr>=38.57", r"no meaning without its data range, got none.*psnr\[image range\].*psnr\[fixed range\]"),
        ("psnr[per image]>=38.57", r"got \[per image\]"),
        ("psnr[image range]>=0.95", "in dB, from 5 to 100"),
        ("rmse_hu>=20", "better when it is lower.*rmse_hu<=20"),
        ("tumour.dice<=0.9", "better when it is higher"),
        ("rmse_hu[fixed range]<=20", "needs no data range"),
        ("tumour.dice>=95", "95 % of full dose is 0.95"),
        ("tumour.dice>=1.05*full", "up to 1"),
        ("rmse_hu<=0.9*full", "above 1"),
        ("tumor_dice>=0.9", "unknown quality"),
        ("rmse_hu=20", "expects >= or <="),
        ("rmse_hu<=few", "expects a number or SHARE"),
        ("rmse_hu", "expects QUALITY>=NUMBER"),
        ("tumour.dice[liver]>=0.9", "takes no"),
    ],
)
def test_a_wrong_target_is_refused_with_advice(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_target(text)


def test_a_dict_means_a_share_for_tasks_and_the_bound_for_images() -> None:
    found = [str(t) for t in parse_keep({"tumour.dice": 0.95, "psnr[image range]": 36, "rmse_hu": "1.1*full"})]
    assert found == ["tumour.dice>=0.95*full", "psnr[image range]>=36", "rmse_hu<=1.1*full"]
    with pytest.raises(InputError, match="got none"):
        parse_keep([])
    with pytest.raises(ConfigError, match="got two for rmse_hu"):
        parse_keep(["rmse_hu<=20", "rmse_hu<=10"])

"""The axis of rotation is found to a tenth of a column, or the scan is refused with what to pass."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from taskct.core.errors import InputError
from taskct.data.sets.rotation_axis import find_rotation_axis


def scan_of_disks(seed: int, angles: np.ndarray, *, cols: int, axis: float, radius: float) -> np.ndarray:
    """Exact line integrals (V, C) of a body of `radius` columns about the axis, with disks in it."""
    draw = np.random.default_rng(seed)
    u, p = np.arange(cols) - axis, np.zeros((len(angles), cols))
    disks = [(0.1 * radius * draw.uniform(-1, 1), 0.1 * radius * draw.uniform(-1, 1), 0.85 * radius, 0.5)]
    for _ in range(draw.integers(1, 6)):
        r, turn = draw.uniform(0.05, 0.35) * radius, draw.uniform(0, 2 * np.pi)
        q = draw.uniform(0, radius - r)
        disks.append((q * np.cos(turn), q * np.sin(turn), r, draw.uniform(0.3, 1)))
    for x, y, r, mu in disks:
        at = x * np.cos(angles) + y * np.sin(angles)
        p += mu * 2 * np.sqrt(np.clip(r**2 - (u - at[:, None]) ** 2, 0, None))
    return p


KINDS = {"half turn": (180, False), "more than half": (200, False), "full turn": (360, False), "half acquisition": (360, True)}


@settings(deadline=None, max_examples=120)
@given(
    kind=st.sampled_from([*KINDS, "interior"]),
    seed=st.integers(0, 10**6),
    cols=st.integers(48, 160),
    place=st.floats(0.08, 0.92),
    size=st.floats(0.4, 0.97),
    noise=st.sampled_from([0.0, 0.01, 0.03]),
    step=st.sampled_from([0.5, 1.0, 2.5]),
    most_shift=st.sampled_from([0.25, 0.4, 0.5]),
)
@example(kind="full turn", seed=3, cols=64, place=30 / 63, size=0.5, noise=0.0, step=1.0, most_shift=0.4)
@example(kind="half acquisition", seed=1, cols=128, place=20 / 127, size=0.9, noise=0.0, step=1.0, most_shift=0.25)
def test_an_axis_of_any_scan_is_right_to_a_fifth_of_a_column_or_refused(**of) -> None:
    cols, axis = of["cols"], of["place"] * (of["cols"] - 1)
    near, far = sorted((axis, cols - 1 - axis))
    if of["kind"] == "interior":  # the body reaches beyond both ends of the detector
        arc, radius = 360, cols * (0.6 + 0.4 * of["size"])
    else:
        arc, cut = KINDS[of["kind"]]
        radius = max(6.0, (far if cut else near) * of["size"])
    angles = np.deg2rad(np.arange(0, arc, of["step"]) + of["seed"] % 360)
    p = scan_of_disks(of["seed"], angles, cols=cols, axis=axis, radius=radius)
    p += of["noise"] * p.max() * np.random.default_rng(of["seed"]).standard_normal(p.shape)
    try:
        found = find_rotation_axis(p, angles, most_shift=of["most_shift"])
    except InputError as error:
        assert "axis_col" in str(error) and "\n" not in str(error)
        return
    assert found == pytest.approx(axis, abs=0.15)  # one in a thousand misses a tenth


SMALL = [  # bodies of about twelve columns near an end of the detector: kind, seed, cols, axis, noise, step
    ("half turn", 711644, 116, 104.78, 0.05, 0.5), ("half turn", 251578, 49, 41.42, 0.01, 2.5),
    ("more than half", 74508, 48, 5.31, 0.05, 2.5), ("more than half", 826446, 107, 9.63, 0.0, 2.5),
    ("more than half", 975343, 55, 6.88, 0.0, 4.0), ("half turn", 478435, 125, 111.08, 0.03, 0.5),
    ("half turn", 176780, 109, 97.69, 0.0, 1.0), ("half turn", 639924, 66, 51.79, 0.03, 1.0),
]  # fmt: skip


@pytest.mark.parametrize("scan", SMALL, ids=str)
def test_a_body_of_few_columns_is_right_to_a_tenth_or_refused(scan: tuple[str, int, int, float, float, float]) -> None:
    """What lies in it is finer than the columns: centres of mass and parabolas are up to .15 column off there."""
    kind, seed, cols, axis, noise, step = scan
    angles = np.deg2rad(np.arange(0, KINDS[kind][0], step) + seed % 360)
    p = scan_of_disks(seed, angles, cols=cols, axis=axis, radius=6.0)
    p += noise * p.max() * np.random.default_rng(seed).standard_normal(p.shape)
    try:
        assert find_rotation_axis(p, angles, most_shift=0.5) == pytest.approx(axis, abs=0.1)
    except InputError as error:
        assert "axis_col" in str(error)


@pytest.mark.parametrize("arc", [180.0, 200.0, 360.0])
@pytest.mark.parametrize("axis", [20.0, 31.5, 33.27, 41.6])
@pytest.mark.parametrize("noise", [0.0, 0.005])
def test_a_body_inside_the_detector_tells_its_axis(arc: float, axis: float, noise: float) -> None:
    """No refusal here: what is refused too often helps nobody."""
    angles = np.deg2rad(np.arange(0, arc, 1.0))
    p = scan_of_disks(5, angles, cols=64, axis=axis, radius=0.8 * min(axis, 63 - axis))
    p += noise * p.max() * np.random.default_rng(0).standard_normal(p.shape)
    assert find_rotation_axis(p, angles) == pytest.approx(axis, abs=0.1)
    assert find_rotation_axis(p[::-1], angles[::-1]) == pytest.approx(axis, abs=0.1)


def test_a_half_acquisition_tells_its_axis_when_it_may_lie_so_far_out() -> None:
    angles = np.deg2rad(np.arange(0, 360, 1.0))
    p = scan_of_disks(11, angles, cols=128, axis=20.0, radius=100.0)
    with pytest.raises(InputError, match=r"on column 20.0\d of 128, .* pass most_shift=0.36, or axis_col"):
        find_rotation_axis(p, angles)
    assert find_rotation_axis(p, angles, most_shift=0.36) == pytest.approx(20.0, abs=0.1)


def test_scans_that_say_nothing_are_refused_with_what_to_pass() -> None:
    angles = np.deg2rad(np.arange(0, 360, 1.0))
    noise = np.random.default_rng(0).standard_normal((360, 64))
    for p, why in ((np.zeros((360, 64)), "cannot tell"), (noise, "cannot tell"), (noise * np.nan, "finite projections")):
        with pytest.raises(InputError, match=f"{why}.* axis_col"):
            find_rotation_axis(p, angles)
    with pytest.raises(InputError, match="covers 120 deg; pass axis_col"):
        find_rotation_axis(np.zeros((60, 64)), np.deg2rad(np.arange(0, 120, 2.0)))
    with pytest.raises(InputError, match="an angle per view"):
        find_rotation_axis(np.zeros((60, 64)), angles)

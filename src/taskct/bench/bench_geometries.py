"""What is measured: geometries in plain numbers, which every side builds in its own way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Case = dict[str, Any]

WORKS = ("forward", "adjoint", "backproject", "backproject_adjoint", "fbp")
BALL_RADIUS = 0.3  # of the image, the object of every agreement
BALL_SHIFT = (0.05, -0.1, 0.07)  # z, y, x of its middle, of the image: a misplaced or mirrored result shows
BALL_PER_MM = 0.02  # its attenuation: water


@dataclass(frozen=True)
class BenchPlan:
    """Cases by name, how many turns each side has, and the thread counts; the first thread count is compared with the peers.

    A turn is runs one after the other until `turn_s` have passed, of which the mean counts: that of a fast side would else be
    the first run after the other side's long one, on cold caches and a slow clock.
    Of a case with "heavy" the peers do each work once, without a warm-up and without a comparison of results.
    """

    cases: dict[str, Case]
    rounds: int = 3
    turn_s: float = 0.0
    threads: tuple[int, ...] = (1, 2)
    works: tuple[str, ...] = WORKS
    reference_voxels: int = 2**22  # larger images are not compared with float64, which would take minutes


def parallel(pixels: int, views: int, cols: int, *, batch: int = 1) -> Case:
    """A slice of 1 mm pixels, half a turn."""
    return {"kind": "parallel", "pixels": pixels, "views": views, "cols": cols, "pixel_mm": 1.0, "batch": batch}


def fan(pixels: int, views: int, cols: int, *, curved: bool = False, batch: int = 1) -> Case:
    """A slice of 1 mm pixels at the middle between source and detector, a full turn."""
    distance = 600.0 * pixels / 512
    case = {"kind": "fan curved" if curved else "fan", "pixels": pixels, "views": views, "cols": cols, "batch": batch}
    return case | {"pixel_mm": 1.92 * pixels / cols, "source_iso_mm": distance, "source_detector_mm": 2 * distance}


def cone(pixels: int, views: int, cols: int) -> Case:
    """A cube of 1 mm voxels seen by a square detector over a full turn."""
    case = {"kind": "cone", "pixels": pixels, "views": views, "cols": cols, "batch": 1, "pixel_mm": 1.7 * pixels / cols}
    return case | {"source_iso_mm": 2.0 * pixels, "source_detector_mm": 3.0 * pixels}


def full_plan() -> BenchPlan:
    """Slices and volumes as published comparisons take them, and sizes around them: about 45 minutes with the peers."""
    cases = {
        "parallel 128": parallel(128, 160, 192),
        "parallel 362": parallel(362, 1000, 513),
        "parallel 362 x 16": parallel(362, 1000, 513, batch=16),
        "fan 256": fan(256, 500, 368),
        "fan 512": fan(512, 1000, 736),
        "fan curved 512": fan(512, 1000, 736, curved=True),
        "cone 64": cone(64, 90, 128),
        "cone 128": cone(128, 180, 256),
        "cone 256": cone(256, 360, 384) | {"heavy": True},  # RTK takes minutes for each
    }
    return BenchPlan(cases, turn_s=1.0)


def quick_plan() -> BenchPlan:
    """One small case of each kind: a minute."""
    cases = {
        "parallel 128": parallel(128, 160, 192),
        "fan 128": fan(128, 160, 192),
        "fan curved 128": fan(128, 160, 192, curved=True),
        "cone 48": cone(48, 60, 72),
    }
    return BenchPlan(cases, rounds=2, turn_s=0.1)


def updates(case: Case, work: str) -> float:
    """How often the work touches a sample: rays x planes for the forward map, samples x views for the others."""
    dim = 3 if case["kind"] == "cone" else 2
    if work == "forward":
        return float(case["batch"] * case["views"] * case["cols"] ** (dim - 1) * case["pixels"])
    return float(case["batch"] * case["views"] * case["pixels"] ** dim)


# Vector operations that the port limit counts, read off the inner loops (set-up and memory are not counted). Several results
# at a time (physics/native/symmetry.py), for W places: so many to find indices and weights, so many for each place's samples,
# and how many results.
_BY_LANES = {
    ("parallel", "forward"): (12.0, 4.0, 8),
    ("parallel", "adjoint"): (13.0, 2.0, 4),
    ("parallel", "backproject"): (10.0, 2.0, 4),
    ("fan", "forward"): (13.0, 2.0, 4),
    ("fan", "adjoint"): (32.0, 4.0, 4),
    ("fan", "backproject"): (18.0, 2.0, 4),
    ("cone", "forward"): (14.0, 4.0, 8),
    ("cone", "adjoint"): (30.0, 8.5, 4),
    ("cone", "backproject"): (10.0, 4.0, 4),
}
_ALONE = {  # per W updates
    ("parallel", "backproject_adjoint"): 22.0,
    ("fan", "backproject_adjoint"): 24.0,
}


def operations(case: Case, work: str, lanes: int) -> float | None:
    """Vector operations of the inner loop per vector of `lanes` updates; None where they were not counted."""
    key = (case["kind"], work)
    if key in _BY_LANES:
        places, samples, results = _BY_LANES[key]
        return (places + samples * lanes) / results
    return _ALONE.get(key)

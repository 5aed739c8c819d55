"""The slices that the network learns from, prepared once: the truth, its FBP without noise, and noise alone at two doses.

FBP is linear, so the noise of a scan is an image of its own that is added. Two draws at each of two doses, rotated into
each other and scaled, give noise at any dose and never twice the same:

    image       = F + s (cos t n1 + sin t n2)          n1, n2: FBP of two noisy scans less FBP of the clean one
    difference  = C + s (cos t n2 - sin t n1)          of even and odd views: independent of the first, of equal noise

s^2 is photons of the draw / photons wanted. C is the difference without noise: streaks of too few views.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from taskct.core.files import atomic_path, make_folder, write_text
from taskct.core.open_files import read_json, regular_file
from taskct.core.progress import track
from taskct.core.seeds import derive_seed
from taskct.core.units import to_hu, to_hu_unchecked, to_mu
from taskct.data.open import open_case
from taskct.geometry import Beam, FanBeam, Grid, ParallelBeam
from taskct.geometry.presets import clinical_fan
from taskct.phantoms.abdomen import CohortSettings
from taskct.phantoms.chest import ChestSettings
from taskct.phantoms.patient import make_patient
from taskct.phantoms.skull.skull_ranges import SkullSettings
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector
from taskct.recon.fbp import fbp, filter_views
from taskct.recon.learned.real_ct_net import INNER_MM, half_difference
from taskct.recon.learned.seen_images import SeenImages
from taskct.simulate.noisy_scan import add_noise, finer_projection
from taskct.systems.real_ct.real_ct_settings import RealCTExperiment

DRAWN_AT = (60_000.0, 8_000.0)  # photons of the two pairs of draws
CHANNELS = ("truth", "clean", "halves", "high-1", "high-2", "low-1", "low-2")
_INDEX = "slices.json"
_MARGIN_MM = 12.0  # of air kept round the body
_WIDEST = 560  # pixels
_HU = (-1000.0, 3000.0)
_SMOOTH_PIXELS, _UNSEEN_HU = 4, 40.0
LEARNT_FROM = {  # folder -> (file, slices that training sees, slices that validate it)
    "abdomen_totalseg_siemens20": ("ct.nii.gz", range(17), range(18, 20)),
    "dicom_seg_liver_3slice": ("", range(3), range(0)),
    "abdomen_totalseg_3mm": ("ct.nii.gz", range(0, 30, 2), range(0)),
}
_VARIANTS = {"abdomen_totalseg_siemens20": 1.0, "dicom_seg_liver_3slice": 2.0, "abdomen_totalseg_3mm": 0.2}


class Source(NamedTuple):
    """Where a slice comes from: a folder of real CT or "built-in SITE", the slice or patient, which variant, which part."""

    name: str
    number: int
    variant: int
    part: str

    @property
    def file(self) -> str:
        """Its file in the store."""
        return f"{self.part}-{self.name.replace(' ', '-')}-{self.number:04d}-{self.variant:02d}.npy"


@dataclass(frozen=True, eq=False)
class TrainingSlices:
    """The prepared slices in a folder: arrays (7, Y, X) in HU on pixels of .75 mm, in the order of CHANNELS."""

    folder: Path

    def part(self, part: str) -> list[np.ndarray]:
        """Slices of "train" or "validation", read from disk where they are asked for."""
        names = [name for name in read_json(self.folder / _INDEX)["files"] if name.startswith(part)]
        return [np.load(regular_file(self.folder / name), mmap_mode="r", allow_pickle=False) for name in names]


def sources(settings: RealCTExperiment) -> list[Source]:
    """Every slice of the training and of its validation."""
    found: list[Source] = []
    for name, (_, train, check) in LEARNT_FROM.items():
        variants = max(1, round(settings.variants * _VARIANTS[name]))
        found += [Source(name, k, v, "train") for k in train for v in range(variants)]
        found += [Source(name, k, 0, "validation") for k in check]
    for site in ("abdomen", "chest", "skull"):
        count = getattr(settings, f"{site}_slices")
        found += [Source(f"built-in {site}", k, 0, "train") for k in range(count)]
        found += [Source(f"built-in {site}", 10_000 + k, 0, "validation") for k in range(settings.validation)]
    return found


def prepare_slices(folder: Path, *, settings: RealCTExperiment) -> None:
    """Make every slice that is not there yet; a stopped preparation is resumed."""
    make_folder(folder)
    wanted = sources(settings)
    opened: dict[str, tuple[Tensor, float]] = {}
    order = sorted(wanted, key=lambda s: hashlib.sha256(s.file.encode()).hexdigest())
    for source in track(order, "scanning slices to learn from", total=len(order), progress=None):
        target = folder / source.file
        if target.exists():
            continue
        rng = np.random.default_rng(derive_seed(settings.seed, source.file) % 2**63)
        truth = (
            _built_in(source, rng, settings) if source.name.startswith("built-in") else _real(source, rng, settings, opened)
        )
        made = scan_slice(truth, _beam(rng), seed=derive_seed(settings.seed, source.file, "noise"))
        with atomic_path(target, overwrite=True) as part, open(part, "wb") as f:
            np.save(f, made)
    write_text(folder / _INDEX, json.dumps({"files": [s.file for s in wanted]}, indent=0) + "\n", overwrite=True)


def seen_slices(data: Path) -> SeenImages:
    """Which slices of real CT training sees, as `evaluate` and `dose` would judge them; built-in patients are left out."""
    patients: list[str] = []
    images: list[Tensor] = []
    for name, (file, numbers, _) in LEARNT_FROM.items():
        case = open_case(data / name / file)
        patients.append(case.patient_id)
        images.append(to_hu(case.mu[list(numbers)], mu_water_per_mm=case.mu_water_per_mm))
    return SeenImages.of(patients, images)


def scan_slice(truth_hu: np.ndarray, beam: Beam, *, seed: int) -> np.ndarray:
    """The channels of a slice (Y, X) on pixels of .75 mm, cropped to its body: float16 (7, Y', X')."""
    grid = Grid(truth_hu.shape, INNER_MM)
    A = Projector(grid, beam)
    mu = to_mu(torch.from_numpy(truth_hu)[None, None]).clamp_min(0)
    p = finer_projection(A, grid.refined(2))(mu)
    noisy = [add_noise(p, Dose(photons), seed=seed, items=[k], unit_known=True) for photons in DRAWN_AT for k in (0, 1)]
    image = lambda x: to_hu_unchecked(fbp(x, A))[0, 0]
    clean = image(p)
    halves = half_difference(filter_views(p, A), A)[0, 0]
    drawn = [image(x) - clean for x in noisy]
    stack = torch.stack([seen_truth(torch.from_numpy(truth_hu), clean), clean, halves, *drawn]).numpy()
    rows, cols = (np.flatnonzero((truth_hu > -300).any(axis)) for axis in (1, 0))
    if len(rows) and len(cols):
        m = round(_MARGIN_MM / INNER_MM)
        stack = stack[:, max(0, rows[0] - m) : rows[-1] + m, max(0, cols[0] - m) : cols[-1] + m]
    return np.clip(stack, -30_000, 30_000).astype(np.float16)


def seen_truth(truth: Tensor, clean: Tensor) -> Tensor:
    """The truth (Y, X) where the scan sees it, elsewhere the clean FBP: what lies beyond the field of view teaches nothing.

    They are known by a difference that remains when both are smoothed, while FBP blurs edges and keeps means.
    """
    from scipy.ndimage import gaussian_filter, maximum_filter

    apart = (
        maximum_filter(np.abs(gaussian_filter((clean - truth).numpy(), _SMOOTH_PIXELS)), _SMOOTH_PIXELS * 2 + 1) > _UNSEEN_HU
    )
    return torch.where(torch.from_numpy(apart), clean, truth)


def _beam(rng: np.random.Generator) -> Beam:
    """Scanners: two of three times that of `clinical_fan`, else one with finer columns, fewer views, or parallel rays."""
    kind = rng.choice(4, p=[0.64, 0.14, 0.11, 0.11])
    start = float(rng.uniform(0, 360))
    if kind == 1:
        return FanBeam(views=984, cols=888, pixel_mm=1.0239, source_iso_mm=541.0, source_detector_mm=949.075, curved=True,
                       start_deg=start)  # fmt: skip
    if kind == 3:
        return ParallelBeam(views=1000, cols=820, pixel_mm=0.72, arc_deg=180.0, start_deg=start)
    views = 1152 if kind == 0 else 720
    made = clinical_fan(views=views)
    return FanBeam(views=views, cols=made.cols, pixel_mm=made.pixel_mm, source_iso_mm=made.source_iso_mm,
                   source_detector_mm=made.source_detector_mm, curved=True, start_deg=start)  # fmt: skip


def _built_in(source: Source, rng: np.random.Generator, settings: RealCTExperiment) -> np.ndarray:
    site = source.name.removeprefix("built-in ")
    noise = float(rng.uniform(0, 16))
    ranges = {
        "abdomen": CohortSettings(width_mm=(260.0, 400.0), noise_hu=noise),
        "chest": ChestSettings(width_mm=(280.0, 360.0), noise_hu=float(rng.uniform(0, 30))),
        "skull": SkullSettings(age_months=(0.0, 240.0), noise_hu=noise),
    }[site]
    patient = make_patient(
        derive_seed(settings.seed, "real-ct") % 2**31,
        source.number,
        site=site,
        shape=(_WIDEST, _WIDEST) if site != "skull" else (352, 352),
        spacing_mm=INNER_MM,
        slices=7,
        texture=bool(rng.random() < 0.8),
        settings=ranges,
    )
    return np.clip(patient.case.hu[int(rng.integers(7))].numpy(), *_HU)


def _real(
    source: Source, rng: np.random.Generator, settings: RealCTExperiment, opened: dict[str, tuple[Tensor, float]]
) -> np.ndarray:
    """A real slice on pixels of .75 mm: the patient a little smaller or larger, soft tissue with more or less contrast."""
    from scipy.ndimage import gaussian_filter, zoom

    if source.name not in opened:
        case = open_case(Path(settings.data) / source.name / LEARNT_FROM[source.name][0])
        opened[source.name] = (case.hu, case.spacing_mm[1])
    volume, pixel_mm = opened[source.name]
    image = volume[source.number].numpy().clip(*_HU)
    size = float(rng.uniform(0.85, 1.12)) if source.part == "train" else 1.0
    factor = pixel_mm * size / INNER_MM
    if factor < 1:
        image = gaussian_filter(image, 0.45 * np.sqrt(1 / factor**2 - 1))
    image = zoom(image, factor, order=3, grid_mode=True, mode="nearest")
    image = _placed(image, min(_WIDEST + 80, max(image.shape)))
    if source.part == "train" and rng.random() < 0.5:
        a = float(rng.uniform(0.7, 1.4))
        image = np.where(np.abs(image - 50) < 150, 50 + (image - 50) * a, image + np.sign(image - 50) * 150 * (a - 1))
    return np.clip(image, *_HU).astype(np.float32)


def _placed(image: np.ndarray, size: int) -> np.ndarray:
    """The middle of an image on a square of `size` pixels, air round it."""
    for axis in (0, 1):
        n = image.shape[axis]
        first = max(0, (n - size) // 2)
        image = np.take(image, range(first, min(n, first + size)), axis)
        missing = size - image.shape[axis]
        pad = [(0, 0), (0, 0)]
        pad[axis] = (missing // 2, missing - missing // 2)
        image = np.pad(image, pad, constant_values=_HU[0])
    return image


def described(settings: RealCTExperiment) -> Iterator[tuple[str, int, Sequence[int]]]:
    """For the card: each source, how many slices were made of it, and which of its slices or patients."""
    found = sources(settings)
    for name in dict.fromkeys(s.name for s in found):
        own = [s for s in found if s.name == name and s.part == "train"]
        yield name, len(own), sorted({s.number for s in own})

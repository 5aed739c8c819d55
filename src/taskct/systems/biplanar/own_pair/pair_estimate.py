"""A pair of radiographs -> a volume with its spread, the prior alone, and whether the pair is of the kind the method knows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import ConfigError, GeometryError, unknown_name
from taskct.core.units import HU_PER_MU, to_hu_unchecked
from taskct.data.case import Case
from taskct.data.dicom.derived_series import SourceImage
from taskct.data.dicom.identity import derived_uid
from taskct.data.radiographs import LEAST_FIELD_MM, RadiographPair
from taskct.data.radiographs.pixel_shares import pitches_mm
from taskct.data.radiographs.pose_file import VIEWS
from taskct.evaluation.volumes import reprojection_rms
from taskct.geometry import Grid
from taskct.phantoms.skull import SkullSettings
from taskct.physics.projector import Projector
from taskct.recon.learned.trained_for import check_geometry, trained_for
from taskct.recon.population import GaussianPopulation
from taskct.systems.biplanar.own_pair.drawn_heads import Heads, draw_skulls
from taskct.systems.biplanar.own_pair.held_heads import (
    Finished,
    cut_off,
    doubts_about,
    judge,
    learnt_from_others,
    refined_poses,
)
from taskct.systems.biplanar.own_pair.other_ways import fits_better
from taskct.systems.biplanar.own_pair.pair_methods import PAIR_METHODS, SIGMA

_SIZE = 32  # voxels along each axis, where neither the user nor a network says


@dataclass(frozen=True, kw_only=True)
class PairSettings:
    """How an estimate is made.

    size, side_mm      voxels along each axis of the cube about the isocentre, None: 32; and its side, None: what both views
                       see, at most 192 mm to 24 months of age, 250 mm later; a network that knows its grid has its own
    agree              SIRT steps towards the radiographs at the end
    skulls, held       built-in skulls to learn from, and others on which spread and residuals are judged
    age_months         range of their ages
    refine_poses       times that poses are refined in turn with the image; 0 believes them. Turns and shifts (z, y, x, as in
                       `Projector.moved`) stand with the poses of the estimate
    """

    size: int | None = None
    side_mm: float | None = None
    agree: int = 20
    skulls: int = 80
    held: int = 16
    age_months: tuple[float, float] = (0.0, 24.0)
    refine_poses: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.size is not None and (not 16 <= self.size <= 256 or self.size % 2):
            raise ConfigError(f"size expects an even number of voxels from 16 to 256, got {self.size!r}")
        if self.skulls < 10 or self.held < 4:
            raise ConfigError(f"an estimate expects skulls >= 10 and held >= 4, got {self.skulls!r} and {self.held!r}")
        if self.agree < 0 or self.refine_poses < 0:
            raise ConfigError(f"agree and refine_poses expect numbers >= 0, got {self.agree!r} and {self.refine_poses!r}")
        if self.side_mm is not None and not LEAST_FIELD_MM <= self.side_mm <= 1000:
            raise ConfigError(f"side_mm expects {LEAST_FIELD_MM:g} to 1000 mm, got {self.side_mm!r}")

    @property
    def family(self) -> SkullSettings:
        """What the skulls are drawn from."""
        return SkullSettings(age_months=self.age_months)


@dataclass(frozen=True, eq=False)
class PairEstimate:
    """`estimate`, `spread` and `prior` are cases in HU on one grid; `p` and `again` radiographs and re-projections (V, R, C).

    `numbers` are plain values for a page; `doubts` say in what the pair lies outside of what the method knows, empty where it
    does not; `notes` are those of the pair and of the method; `images` the DICOM radiographs that it was made of.
    """

    estimate: Case
    spread: Case
    prior: Case
    p: Tensor
    again: Tensor
    method: str
    numbers: Mapping[str, float]
    doubts: tuple[str, ...]
    notes: tuple[str, ...]
    images: tuple[SourceImage, ...] = ()

    @property
    def words(self) -> str:
        """Its size, such as '32 x 32 x 32 voxels of 6.0 mm'."""
        return f"{' x '.join(str(n) for n in self.estimate.hu.shape)} voxels of {self.numbers['voxel_mm']:.1f} mm"


def reconstruct_pair(
    pair: RadiographPair,
    *,
    method: str | Callable[..., Tensor] = "gaussian",
    settings: PairSettings | None = None,
    name: str = "",
    heads: Heads | None = None,
    progress: bool | None = None,
) -> PairEstimate:
    """Estimate a head from two radiographs.

    `method` is a name of `PAIR_METHODS`, or any reconstructor (p, A) -> mu such as a trained network, called `name`. A network
    that knows its grid gets that grid. `heads` are heads of yours in place of the built-in skulls. The spread is the posterior
    spread of their Gaussian model, scaled to this method's errors on heads that it does not know. Films of unknown gain are
    fitted in turn with the image.

    Raises GeometryError where the views see too little in common, ConfigError for an unknown method.
    """
    settings = settings or PairSettings()
    notes = list(pair.notes)
    grid, (rows, cols), pixel_mm = _grid(pair, method, settings, notes)
    shown = pair.resized(rows, cols, pixel_mm=pixel_mm)
    A = Projector(grid, shown.beam)
    check_geometry(method, A)  # before skulls are drawn
    own = Grid(grid.shape, grid.spacing_mm)  # skulls are drawn about the origin, the volume lies about the isocentre
    sets = heads or draw_skulls(
        own, known=settings.skulls, held=settings.held, settings=settings.family, seed=settings.seed, progress=progress
    )
    if sets.grid.shape != grid.shape or not np.allclose(sets.grid.spacing_mm, grid.spacing_mm):
        raise GeometryError(
            f"heads lie on a grid of {sets.grid.shape} voxels of {sets.grid.spacing_mm} mm, the answer on {grid.shape} of "
            f"{grid.spacing_mm}; resample them, or give size and side_mm of theirs"
        )
    if isinstance(method, str):
        if method not in PAIR_METHODS:
            raise unknown_name("method for a pair", method, PAIR_METHODS)
        run, name = PAIR_METHODS[method](sets.known), method
    else:
        run, name = method, name or getattr(method, "__name__", type(method).__name__)
    finished = Finished(run, settings.agree, pair.meaning != "line integral", sets.known.mean(0, keepdim=True))
    judged = judge(finished, sets, A, seed=settings.seed)
    model = GaussianPopulation(sets.known, sigma=SIGMA)
    poses = dict(pair.about)
    with torch.no_grad():
        if settings.refine_poses:
            fit = refined_poses(finished, shown.p, A, turns=settings.refine_poses)
            assert isinstance(fit.A, Projector)
            A = fit.A
            for view, turn, shift in zip(VIEWS, fit.turn_deg[0], fit.shift_mm[0], strict=True):
                notes.append(_moved_words(view, turn, shift))
                moved = {"refined_turn_deg": turn.round(4).tolist(), "refined_shift_mm": shift.round(4).tolist()}
                poses[view] = {**poses.get(view, {}), **moved}
        mu, p, misfit = finished.run(shown.p, A)
        spread = judged.factor * model.spread(A)
        again = A(mu)
    residual = float(reprojection_rms(mu, p, A))
    doubts = (
        *_other_geometry(run, Projector(grid, shown.beam)),
        *filter(None, [fits_better(model, p, A), learnt_from_others(run, sets), cut_off(sets)]),
        *doubts_about(
            pair.meaning, p, (float(misfit), residual), judged, age_months=settings.age_months, stated_months=pair.age_months
        ),
    )
    numbers = {
        "residual": residual,
        "misfit": float(misfit),
        "misfit_held_mean": float(judged.misfits.mean()),
        "residual_held_mean": float(judged.residuals.mean()),
        "residual_held_most": float(judged.residuals.max()),
        "seen": judged.seen,
        "explained": judged.explained,
        "spread_factor": judged.factor,
        "error_held_hu": judged.error_hu,
        "error_prior_held_hu": judged.prior_error_hu,
        "voxel_mm": grid.spacing_mm[0],
        "side_mm": grid.size_mm[0],
    }
    facts = {"method": name, "settings": dataclasses.asdict(settings), "poses": poses, "meaning": pair.meaning}
    case = lambda hu, what: _case(hu, grid, pair, notes=[*notes, *doubts], what=what, **facts)
    return PairEstimate(
        case(to_hu_unchecked(mu[0, 0].clamp_min(0)), "estimate"),
        case(spread[0, 0] * HU_PER_MU, "spread"),
        case(to_hu_unchecked(sets.known.mean(0)[0]), "prior"),
        p[0, 0],
        again[0, 0],
        name,
        numbers,
        doubts,
        tuple(notes),
        pair.images,
    )


def _grid(
    pair: RadiographPair, method: object, settings: PairSettings, notes: list[str]
) -> tuple[Grid, tuple[int, int], tuple[float, float] | None]:
    """The grid of the answer about the isocentre, and the detector's pixels with their pitch where a network has one."""
    about = trained_for(method)
    known = None if about is None else about.grid
    seen, pixel_mm = pair.field_mm, None
    if known is not None and known.ndim != 3:
        assert about is not None
        raise GeometryError(
            f"{about.run}: was trained for slices ({about.words}), and two radiographs make a volume; name another network"
        )
    if known is not None:
        shape, spacing = known.shape, known.spacing_mm
        side = shape[0] * spacing[0]
        asked = {"size": settings.size or shape[0], "side_mm": settings.side_mm or side}
        own = {"size": shape[0], "side_mm": side}
        unused = [f"{name} {value:g}" for name, value in asked.items() if not math.isclose(value, own[name], rel_tol=1e-3)]
        if unused:
            notes.append(
                f"{' and '.join(unused)} {'are' if len(unused) > 1 else 'is'} not used: the network has a grid of its own, "
                f"{shape[0]} voxels and {side:g} mm along each axis"
            )
        beam = about.beam if about is not None else {}
        pixels = int(beam.get("rows", shape[0])), int(beam.get("cols", shape[1]))  # as many as voxels, as in trainings
        if beam.get("kind") == "vector":
            pixel_mm = float(pitches_mm(beam["row_step_mm"])[0]), float(pitches_mm(beam["col_step_mm"])[0])
            notes += _beyond_films(pair, pixels, pixel_mm)
    else:
        usual = 192.0 if settings.age_months[1] <= 24 else 250.0
        side = settings.side_mm or min(usual, seen)
        size = settings.size or _SIZE
        shape, spacing = (size,) * 3, (side / size,) * 3
        pixels = (2 * size, 2 * size)
    if seen < LEAST_FIELD_MM:
        raise GeometryError(
            f"both views see only a cube of {seen:.0f} mm about the isocentre, too little for a head; check pixel_mm, the "
            "distances, offset_mm and iso_mm"
        )
    size_mm = shape[0] * spacing[0]
    if size_mm > 1.02 * seen:
        notes.append(f"the volume of {size_mm:.0f} mm reaches beyond the cube of {seen:.0f} mm that both views see whole")
    grid = Grid(shape, spacing)
    origin = tuple(o + c for o, c in zip(grid.origin_mm, pair.iso_mm, strict=True))
    return Grid(shape, spacing, origin), pixels, pixel_mm


def _beyond_films(pair: RadiographPair, pixels: tuple[int, int], pixel_mm: tuple[float, float]) -> list[str]:
    """A sentence where the detector of a network's training is larger than one of the films."""
    steps = (pair.beam.row_step_mm, pair.beam.col_step_mm)
    films = [n * float(pitches_mm(step).min()) for n, step in zip(pair.p.shape[-2:], steps, strict=True)]
    wanted = [n * step for n, step in zip(pixels, pixel_mm, strict=True)]
    if all(w <= 1.02 * f for w, f in zip(wanted, films, strict=True)):
        return []
    size = " x ".join(f"{w:.0f}" for w in wanted)
    return [
        f"the network knows detectors of {size} mm, larger than the films of {films[0]:.0f} x {films[1]:.0f} mm: beyond them "
        "their outermost pixels were repeated"
    ]


def _other_geometry(method: object, A: Projector) -> tuple[str, ...]:
    """A sentence where a network that was trained at one geometry is given another."""
    about = trained_for(method)
    found = about.geometry_differences(A) if about is not None else []
    return (f"the network was trained at another geometry: {'; '.join(found)}",) if found else ()


def _moved_words(view: str, turn_deg: np.ndarray, shift_mm: np.ndarray) -> str:
    turn, shift = (float(np.linalg.norm(part)) for part in (turn_deg, shift_mm))
    return f"{view}: its pose was refined by {turn:.2f} degrees and {shift:.1f} mm"


def _case(hu: Tensor, grid: Grid, pair: RadiographPair, *, what: str, **facts: Any) -> Case:
    affine = np.diag([*grid.spacing_mm, 1.0])
    affine[:3, 3] = grid.origin_mm
    return Case(
        hu=hu.float(),
        spacing_mm=(grid.spacing_mm[0], grid.spacing_mm[1], grid.spacing_mm[2]),
        case_id=f"pair-{what}",
        patient_id=pair.patient or "pair",
        affine_mm=affine,
        provenance={"what": f"{what}, estimated from two radiographs, not for diagnosis", **_study_of(pair), **facts},
    )


def _study_of(pair: RadiographPair) -> dict[str, str]:
    """The study of the films, and a frame of reference of their own: no film knows that of another."""
    if not pair.images or not pair.study_uid:
        return {}
    return {
        "study_uid": pair.study_uid,
        "frame_of_reference_uid": derived_uid("frame of a pair", *(image.sop_uid for image in pair.images)),
    }

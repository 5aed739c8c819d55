"""Two radiographs of one patient, read with their poses: line integrals or films, and the beam that took them."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import GeometryError, InputError
from taskct.core.names import plural
from taskct.data.dicom.derived_series import SourceImage
from taskct.data.dicom.identity import patient_pseudonym, replaced_uid
from taskct.data.radiographs.film_values import Film, read_film
from taskct.data.radiographs.grey_levels import FILM, LINE_INTEGRAL, Grey, grey_of
from taskct.data.radiographs.one_patient import of_patients
from taskct.data.radiographs.pixel_shares import pitches_mm, pixel_shares
from taskct.data.radiographs.pose_file import VIEWS, PoseFile, ViewPose, filled_pose_file, read_pose_file
from taskct.data.radiographs.view_facts import ViewFacts, view_facts
from taskct.data.radiographs.view_orientation import Layout, layout_of
from taskct.geometry import VectorBeam
from taskct.geometry.radiographs import RadiographPose
from taskct.geometry.view_overlap import common_field_mm

PathLike = str | os.PathLike[str]
PIXELS = 256
LEAST_FIELD_MM = 60.0  # the side of a cube that holds less than a newborn's head
_LEAST_APART_DEG = 20.0
_MOSTLY = 0.8  # of a view's direction along an axis
_RIGHT_ANGLE_DEG = 25.0  # further from 90 degrees than this is said


@dataclass(frozen=True, eq=False)
class RadiographPair:
    """`p` (1, 1, 2, R, C) float32 as `Projector` orders it (rows towards the head), and the `beam` of both views.

    `meaning` is "line integral", or "film" where gain and offset of each film are unknown (`physics.film.fit_film`).
    `notes` are sentences on what was odd, assumed or asked for; every result made of the pair carries them. `patient` is a
    pseudonym, '' where no header names a patient. `images` and `study_uid` are the DICOM images and their study, with UIDs
    replaced as `write_series` replaces them; empty for other files. `age_months` are the least and the largest age that
    the headers stand for, None where none states an age.
    """

    p: Tensor
    beam: VectorBeam
    meaning: str
    notes: tuple[str, ...]
    patient: str = ""
    iso_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    about: Mapping[str, Any] = field(default_factory=dict)
    images: tuple[SourceImage, ...] = ()
    study_uid: str = ""
    age_months: tuple[float, float] | None = None

    @property
    def field_mm(self) -> float:
        """Side in mm of the largest cube about the isocentre that both views see whole."""
        return common_field_mm(self.beam, self.iso_mm)

    def resized(self, rows: int, cols: int, *, pixel_mm: tuple[float, float] | None = None) -> RadiographPair:
        """The same detectors with other pixels, averaged over each new one; intensities of line integrals.

        `pixel_mm` (row, column) makes detectors of that pitch about the same centre, smaller or larger ones: beyond the films
        their outermost pixels are repeated. Without it they are as large as before.
        """
        if min(rows, cols) < 1:
            raise GeometryError(f"resized expects numbers of pixels of at least 1, got {rows} x {cols}")
        steps = [pitches_mm(s) for s in (self.beam.row_step_mm, self.beam.col_step_mm)]
        size = tuple(self.p.shape[-2:])
        asked = pixel_mm or (0.0, 0.0)
        new = [np.full_like(s, w) if w else s * n / m for s, w, n, m in zip(steps, asked, size, (rows, cols), strict=True)]
        if size == (rows, cols) and all(np.allclose(a, b, rtol=1e-6) for a, b in zip(new, steps, strict=True)):
            return self
        through = torch.exp(-self.p) if self.meaning == LINE_INTEGRAL else self.p
        views = []
        for v in range(through.shape[2]):
            down, across = (
                pixel_shares(n, m, float(b[v] / a[v])).to(through)
                for n, m, a, b in zip(size, (rows, cols), steps, new, strict=True)
            )
            views.append(down @ through[:, :, v] @ across.T)
        made = torch.stack(views, 2)
        p = -torch.log(made.clamp_min(1e-7)) if self.meaning == LINE_INTEGRAL else made
        ratio = [(b / a)[:, None] for a, b in zip(steps, new, strict=True)]
        beam = dataclasses.replace(
            self.beam,
            rows=rows,
            cols=cols,
            row_step_mm=np.asarray(self.beam.row_step_mm) * ratio[0],
            col_step_mm=np.asarray(self.beam.col_step_mm) * ratio[1],
        )
        return dataclasses.replace(self, p=p, beam=beam)


@dataclass(frozen=True, eq=False)
class PairCheck:
    """What `check_radiographs` found: `problems` that stop a reconstruction, `notes`, a pose file filled in where possible.

    `pair` is None while there are problems.
    """

    problems: tuple[str, ...]
    notes: tuple[str, ...]
    filled: str
    pair: RadiographPair | None = None

    @property
    def text(self) -> str:
        """All of it for a terminal."""
        if self.pair is None:
            lines = [f"This pair cannot be reconstructed yet: {plural(len(self.problems), 'problem')}."]
        else:
            rows, cols = self.pair.p.shape[-2:]
            lines = [
                f"This pair can be reconstructed: two views of {rows} x {cols} pixels, read as {self.pair.meaning}s; both "
                f"see a cube of {self.pair.field_mm:.0f} mm about the isocentre."
            ]
        return "\n".join([*lines, *(f"  problem: {p}" for p in self.problems), *(f"  note: {n}" for n in self.notes)])


def read_radiographs(
    frontal: PathLike,
    lateral: PathLike,
    *,
    poses: PathLike | PoseFile | None = None,
    grey: str | tuple[str, str] = "auto",
    trust: str | None = None,
    same_patient: bool = False,
    pixels: int = PIXELS,
) -> RadiographPair:
    """A frontal and a lateral radiograph with their poses -> RadiographPair, or an error that names what is wrong.

    `poses` is a poses.toml (`PoseFile`); what it leaves out comes from the DICOM headers, and what both state must agree,
    unless `trust` is "header" or "poses". `grey` says what grey levels mean (`GREYS`); "auto" follows the headers, and two
    readings are those of the frontal and of the lateral view. Of a film and line integrals both are taken as films.
    `same_patient` takes two radiographs whose headers name different patients. Pictures are averaged to at most `pixels` along
    each axis.

    Refused: no pose, contradictory poses, two patients, different sizes, inverted grey levels, images FOR PRESENTATION (unless
    grey="presentation"), views that do not overlap or look along one direction. All that was assumed is in the pair's notes.
    """
    found = check_radiographs(frontal, lateral, poses=poses, grey=grey, trust=trust, same_patient=same_patient, pixels=pixels)
    if found.pair is None:
        more = len(found.problems) - 1
        rest = f" (and {more} more: check_radiographs, or taskct biplanar --check, lists them)" if more else ""
        raise InputError(found.problems[0] + rest)
    return found.pair


def check_radiographs(
    frontal: PathLike,
    lateral: PathLike,
    *,
    poses: PathLike | PoseFile | None = None,
    grey: str | tuple[str, str] = "auto",
    trust: str | None = None,
    same_patient: bool = False,
    pixels: int = PIXELS,
) -> PairCheck:
    """As `read_radiographs`, but every problem is listed, and a pose file is filled in with all that is known.

    Raises only for files that cannot be read, and for senseless arguments.
    """
    if isinstance(pixels, bool) or not isinstance(pixels, int) or pixels < 8:
        raise InputError(f"pixels expects a whole number of at least 8, got {pixels!r}")
    greys = (grey, grey) if isinstance(grey, str) else tuple(grey)
    if len(greys) != len(VIEWS):
        raise InputError(f"grey expects one reading for both views or one for each, got {grey!r}")
    readings = dict(zip(VIEWS, greys, strict=True))
    given = poses if isinstance(poses, PoseFile) else PoseFile() if poses is None else read_pose_file(poses)
    films = {view: read_film(path) for view, path in zip(VIEWS, (frontal, lateral), strict=True)}
    facts = {view: view_facts(view, given[view], film.header, trust=trust) for view, film in films.items()}
    problems, notes = of_patients(films, same_patient=same_patient)
    if np.array_equal(films["frontal"].values, films["lateral"].values):
        problems.append(f"{films['frontal'].path} and {films['lateral'].path} hold the same picture; give two different views")
    for view in VIEWS:
        notes += [f"{view}: {note}" for note in films[view].notes] + list(facts[view].notes)
        problems += facts[view].contradictions
        if facts[view].missing:
            problems.append(_lacks(view, films[view], facts[view]))
    views = {}
    for view in VIEWS:
        grey_found, wrong = grey_of(films[view], readings[view], air_value=given[view].air_value)
        problems += [f"{view} ({films[view].path}): {w}" for w in wrong]
        notes += [] if grey_found is None else [f"{view}: {note}" for note in grey_found.notes]
        if grey_found is None or facts[view].missing:
            continue
        try:
            pose = _pose(given[view], facts[view])
        except GeometryError as error:
            problems.append(f"{view}: {error}")
            continue
        layout, odd = layout_of(pose, given[view], films[view].header)
        problems += [f"{view}: {o}" for o in odd]
        notes.append(f"{view}: orientation, {layout.why}" + _turned_words(layout))
        views[view] = _View(pose, layout, grey_found, facts[view])
    pair = None
    if len(views) == len(VIEWS):
        pair, wrong = _joined(views, films, notes, pixels)
        problems += wrong
    filled = filled_pose_file(*_known(given, facts))
    return PairCheck(tuple(problems), tuple(notes), filled, None if problems else pair)


@dataclass(frozen=True, eq=False)
class _View:
    pose: RadiographPose
    layout: Layout
    grey: Grey
    facts: ViewFacts


def _lacks(view: str, film: Film, facts: ViewFacts) -> str:
    where = "its header and the pose file do not say" if film.header is not None else "the pose file does not say"
    return (
        f"{view} ({film.path}): no pose: {where} {', '.join(facts.missing)}; fill them in ([{view}] of poses.toml, "
        "taskct biplanar --check writes one)"
    )


def _pose(given: ViewPose, facts: ViewFacts) -> RadiographPose:
    v = facts.values
    return RadiographPose(
        source_iso_mm=v["source_iso_mm"],
        source_detector_mm=v["source_detector_mm"],
        angle_deg=v["angle_deg"],
        tilt_deg=v["tilt_deg"],
        roll_deg=given.roll_deg,
        iso_mm=given.iso_mm,
        offset_mm=given.offset_mm,
    )


def _turned_words(layout: Layout) -> str:
    done = [plural(layout.quarter_turns, "clockwise quarter turn")] if layout.quarter_turns else []
    done += ["mirrored left to right"] if layout.flip_columns else []
    done += ["turned upside down"] if layout.flip_rows else []
    return f": {', '.join(done)}" if done else ""


def _joined(
    views: Mapping[str, _View], films: Mapping[str, Film], notes: list[str], pixels: int
) -> tuple[RadiographPair | None, list[str]]:
    """The pair, and what is wrong with both views together."""
    sizes = {view: one.layout.upright(one.grey.values).shape for view, one in views.items()}
    (rows, cols), other = sizes.values()
    if (rows, cols) != other:
        named = " and ".join(f"{films[v].path} {r} x {c}" for v, (r, c) in sizes.items())
        return None, [f"the radiographs have different sizes: {named}; crop or resample them to one detector"]
    meanings = {view: one.grey.meaning for view, one in views.items()}
    meaning = FILM if FILM in meanings.values() else LINE_INTEGRAL
    notes += [
        f"{view}: its line integrals were taken as a film of unknown gain, as the other radiograph is one"
        for view, own in meanings.items()
        if own != meaning
    ]
    factor = max(1, math.ceil(max(rows, cols) / pixels))
    pictures, poses = [], []
    for one in views.values():
        picture, shift = _binned(one, factor)
        pictures.append(picture)
        poses.append(shift)
    if factor > 1:
        notes.append(f"pictures of {rows} x {cols} pixels were averaged by {factor} along each axis")
    beam = _beam(list(views.values()), poses, pictures[0].shape, factor)
    wrong = _of_views(list(views.values()), beam, notes)
    iso = tuple(float(v) for v in np.mean([one.pose.iso_mm for one in views.values()], axis=0))
    headers = [film.header for film in films.values() if film.header is not None]
    ages = [header.age_months for header in headers if header.age_months is not None]
    p = torch.from_numpy(np.stack(pictures)[None, None].astype(np.float32))
    about = {v: _facts(one) for v, one in views.items()}
    return RadiographPair(
        p,
        beam,
        meaning,
        tuple(notes),
        next((patient_pseudonym(header.patient_id) for header in headers if header.patient_id), ""),
        (iso[0], iso[1], iso[2]),
        about,
        *_identity(films),
        (min(low for low, _ in ages), max(high for _, high in ages)) if ages else None,
    ), wrong


def _facts(view: _View) -> dict[str, Any]:
    """The pose of a view and the layout of its picture, by their names in a pose file."""
    pose, layout = view.pose, view.layout
    return {
        **{name: round(value, 6) for name, value in view.facts.values.items()},
        "roll_deg": pose.roll_deg,
        "iso_mm": list(pose.iso_mm),
        "offset_mm": list(pose.offset_mm),
        "quarter_turns": layout.quarter_turns,
        "flip_columns": layout.flip_columns,
        "flip_rows": layout.flip_rows,
    }


def _identity(films: Mapping[str, Film]) -> tuple[tuple[SourceImage, ...], str]:
    """Both images and their first study, by replaced UIDs."""
    headers = [film.header for film in films.values() if film.header is not None]
    hidden = lambda uid: replaced_uid(uid, deidentify=True) if uid else ""
    images = [SourceImage(h.sop_class, hidden(h.sop_uid), hidden(h.series_uid)) for h in headers if h.sop_class and h.sop_uid]
    return tuple(images), next((hidden(h.study_uid) for h in headers if h.study_uid), "")


def _binned(view: _View, factor: int) -> tuple[np.ndarray, tuple[float, float]]:
    """The picture on the detector's axes (rows towards the head), averaged, and by how many pixels its centre moved."""
    source = view.grey.values if view.grey.intensity is None else view.grey.intensity
    up = view.layout.upright(source)[::-1]
    parts, moved = [], []
    for n in up.shape:
        rest = n % factor
        low = rest // 2
        parts.append(slice(low, n - (rest - low)))
        moved.append((low - (rest - low)) / 2)
    cut = up[parts[0], parts[1]]
    rows, cols = (n // factor for n in cut.shape)
    mean = cut.reshape(rows, factor, cols, factor).mean((1, 3))  # intensities before the logarithm, films as they are
    return mean if view.grey.meaning == FILM else -np.log(mean), (moved[0], moved[1])


def _beam(views: list[_View], moved: list[tuple[float, float]], shape: tuple[int, ...], factor: int) -> VectorBeam:
    """The beam of both views, each with its own pixel size."""
    parts = []
    for view, (down, right) in zip(views, moved, strict=True):
        col, row = view.facts.values["pixel_mm"], view.facts.values["row_mm"]
        if view.layout.quarter_turns % 2:
            col, row = row, col
        ray, across, rise = view.pose.axes
        source = np.asarray(view.pose.iso_mm) - view.pose.source_iso_mm * ray
        centre = source + view.pose.source_detector_mm * ray
        centre = centre + (view.pose.offset_mm[0] + down * row) * rise + (view.pose.offset_mm[1] + right * col) * across
        parts.append((source, centre, factor * col * across, factor * row * rise))
    source_mm, detector_mm, col_step, row_step = (np.array(part) for part in zip(*parts, strict=True))
    return VectorBeam(
        rows=shape[0], cols=shape[1], detector_mm=detector_mm, col_step_mm=col_step, row_step_mm=row_step, source_mm=source_mm
    )


def _of_views(views: list[_View], beam: VectorBeam, notes: list[str]) -> list[str]:
    """Whether the two cones meet, and from how different directions."""
    first, second = (view.pose.axes[0] for view in views)
    apart = math.degrees(math.acos(min(1.0, abs(float(first @ second)))))
    centre = np.mean([view.pose.iso_mm for view in views], axis=0)
    field_mm = common_field_mm(beam, centre)
    if field_mm <= 0:
        return [
            "the views do not overlap: no point half way between their isocentres is seen by both; check iso_mm, offset_mm, "
            "pixel_mm and the angles"
        ]
    if field_mm < LEAST_FIELD_MM:
        return [
            f"both views see only a cube of {field_mm:.3g} mm about the isocentre, too little for a head; check pixel_mm, the "
            "distances (all in mm), offset_mm and iso_mm"
        ]
    if apart < _LEAST_APART_DEG:
        return [f"the views look along one direction ({apart:.0f} degrees apart); a frontal and a lateral view are expected"]
    if all(abs(float(axis[place])) > _MOSTLY for axis, place in ((first, 2), (second, 1))):  # along x, along y
        notes.append("the first radiograph looks from the side and the second from front or back: are the two swapped?")
    if abs(apart - 90) > _RIGHT_ANGLE_DEG:
        notes.append(f"the views are {apart:.0f} degrees apart, not about 90")
    return []


def _known(given: PoseFile, facts: Mapping[str, ViewFacts]) -> tuple[dict[str, dict[str, object]], dict[str, dict[str, str]]]:
    """Values of each view for a filled-in pose file, and where each came from."""
    known: dict[str, dict[str, object]] = {}
    origin: dict[str, dict[str, str]] = {}
    for view in VIEWS:
        defaults = ViewPose()
        mine = {
            f.name: getattr(given[view], f.name)
            for f in dataclasses.fields(ViewPose)
            if getattr(given[view], f.name) != getattr(defaults, f.name)
        }
        own = {
            k: v for k, v in facts[view].values.items() if facts[view].origin[k] != "pixel_mm"
        }  # square pixels have one size
        known[view] = {**mine, **own}
        origin[view] = {k: v for k, v in facts[view].origin.items() if v != "pose file"}
    return known, origin


__all__ = ["FILM", "LINE_INTEGRAL", "PairCheck", "RadiographPair", "check_radiographs", "read_radiographs"]

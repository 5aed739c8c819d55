"""What a network says of test patients, kept so that any score of it can be made again, for any weights of the patients."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from taskct.core.runs import Run, is_run, load_run
from taskct.data.images import ImageSet
from taskct.evaluation.reading import ScanMatches, area_sums, lesion_dice, match_boxes, match_points, merged_points
from taskct.evaluation.reading.area_scores import AreaSums
from taskct.systems.chest.chest_classes import AREAS, FINDINGS, INFECTION, JOINED, LEAST_PIXELS, LESIONS, NODULES, WINDOW
from taskct.systems.chest.chest_net import ChestReader
from taskct.systems.chest.image_scores import image_scores
from taskct.systems.chest.lung_crops import PLACE
from taskct.task import FoundBoxes

_BATCH = 32
_IMAGE_SCORES = ("restored", "ssim", "bias_hu")
_NEAR_MM = 6.0  # findings of neighbouring slices nearer than this, or than their size, are one
IOUS = (0.1, 0.5)
LEAST_MM = 3.0  # nodules below count neither way, as in LUNA16


@dataclass(frozen=True, eq=False)
class Readings:
    """What one network says of P test patients.

    logits, presence   (N, findings) of lungs in slices, with whose they are, `owner` (N,) into `patients`, and their lung
    sums               area sums of the segmentation
    nodules            of each: patient, diameter_mm, kind, Dice (NaN without a segmentation head)
    points             by rule of reach: matches of whole scans, nodules only
    boxes              by (class, IoU): matches of lungs in slices
    restored           (N,) PSNR in dB in the window of the network; ssim in the window, and bias_hu, likewise
    """

    patients: tuple[str, ...]
    owner: np.ndarray
    lung: np.ndarray
    logits: np.ndarray | None = None
    presence: np.ndarray | None = None
    sums: AreaSums | None = None
    nodules: tuple[dict[str, Any], ...] = ()
    points: Mapping[str, list[ScanMatches]] = field(default_factory=dict)
    boxes: Mapping[tuple[str, float], list[ScanMatches]] = field(default_factory=dict)
    restored: np.ndarray | None = None
    ssim: np.ndarray | None = None
    bias_hu: np.ndarray | None = None

    @cached_property
    def row(self) -> dict[str, int]:
        """Number of each patient."""
        return {name: k for k, name in enumerate(self.patients)}

    def save(self, folder: Path) -> None:
        """Write everything into a run folder."""
        run = load_run(folder) if is_run(folder) else Run.create(folder, {})
        arrays = {"owner": self.owner, "lung": self.lung}
        for name in ("logits", "presence", *_IMAGE_SCORES):
            if getattr(self, name) is not None:
                arrays[name] = getattr(self, name)
        if self.sums is not None:
            arrays |= {f"sums.{n}": getattr(self.sums, n) for n in ("shared", "said", "true")}
        about: dict[str, Any] = {"patients": self.patients, "nodules": self.nodules, "points": {}, "boxes": {}}
        matches = [("points", rule, found) for rule, found in self.points.items()]
        matches += [("boxes", f"{name}@{iou:g}", found) for (name, iou), found in self.boxes.items()]
        for kind, name, found in matches:
            start = f"{kind}.{name}"
            arrays[f"{start}.scores"] = np.concatenate([s.scores for s in found])
            arrays[f"{start}.found"] = np.concatenate([s.found for s in found])
            about[kind][name] = [[len(s.scores), s.lesions, s.patient] for s in found]
        tensors = {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in arrays.items()}
        run.save_tensors("readings.safetensors", tensors, metadata={"about": json.dumps(about)}, overwrite=True)

    @classmethod
    def read(cls, folder: Path) -> Readings:
        """What `save` wrote."""
        tensors, facts = load_run(folder).load_tensors("readings.safetensors")
        arrays, about = {name: t.numpy() for name, t in tensors.items()}, json.loads(facts["about"])
        patients = tuple(about["patients"])

        def matches(start: str, table: Sequence[Sequence[Any]]) -> list[ScanMatches]:
            ends = np.cumsum([0, *(count for count, _, _ in table)])
            scores, found = arrays[f"{start}.scores"], arrays[f"{start}.found"]
            parts = [(scores[a:b], found[a:b]) for a, b in itertools.pairwise(ends)]
            return [ScanMatches(*part, lesions, patient) for part, (_, lesions, patient) in zip(parts, table, strict=True)]

        split = {name: (name.rpartition("@")[0], float(name.rpartition("@")[2])) for name in about["boxes"]}
        sums = None
        if "sums.shared" in arrays:
            shared, said, true = (arrays[f"sums.{n}"] for n in ("shared", "said", "true"))
            sums = AreaSums(shared, said, true, patients, tuple(AREAS))
        return cls(
            patients,
            arrays["owner"],
            arrays["lung"],
            arrays.get("logits"),
            arrays.get("presence"),
            sums,
            tuple(about["nodules"]),
            {rule: matches(f"points.{rule}", table) for rule, table in about["points"].items()},
            {split[name]: matches(f"boxes.{name}", table) for name, table in about["boxes"].items()},
            *(arrays.get(name) for name in _IMAGE_SCORES),
        )


def read_crops(
    reader: ChestReader,
    images: ImageSet,
    lesions: Mapping[str, Sequence[Mapping[str, Any]]] | None,
    *,
    pixel_mm: float,
    slice_mm: float,
    shown: Tensor | None = None,
) -> Readings:
    """A network's answers on crops in order; `shown` (N, 1, Y, X) takes their place as what it sees (a reconstruction).

    `lesions` of each patient are what whole scans are scored by; None for slices that are too far apart for that.
    """
    patients = tuple(images.by_patient())
    scans = list(images.by_case())
    row, lung = ({name: k for k, name in enumerate(names)} for names in (patients, scans))
    owner = np.array([row[p] for p in images.patient_ids])
    config = reader.config
    logits, said, found = [], [], []
    restored: dict[str, list[np.ndarray]] = {}
    for first in range(0, len(images), _BATCH):
        numbers = range(first, min(first + _BATCH, len(images)))
        read = images.take(numbers, neighbours=config.neighbours if shown is None else 0)
        assert read.stack is not None
        seen = read.stack if shown is None else shown[images.beside(list(numbers), config.neighbours), 0]
        answers = reader.answers(seen)
        if "classify" in answers:
            logits.append(answers["classify"])
        if "segment" in answers:
            said.append(answers["segment"].argmax(1).to(torch.uint8))
        if "detect" in answers:
            found += reader.boxes(answers["detect"])
        if "restore" in answers:
            for name, values in image_scores(answers["restore"], WINDOW(read.mu)).items():
                restored.setdefault(name, []).append(values)
    marks = [m for m in images.marks if m is not None]
    areas = np.concatenate([x.numpy() for x in said]) if said else None
    truth = [m.class_map(AREAS) for m in marks]
    maps = np.stack([np.full(images.shape, -1) if t is None else t.numpy() for t in truth]) if said else None
    facts: dict[str, Any] = {
        "logits": torch.cat(logits).numpy() if logits else None,
        "presence": torch.stack([m.presence(FINDINGS) for m in marks]).numpy(),
        **{name: np.concatenate(parts) for name, parts in restored.items()},
        "sums": area_sums(areas, maps, images.patient_ids, list(AREAS)) if areas is not None and maps is not None else None,
        "nodules": tuple(_nodules(images, lesions, areas)) if lesions is not None else (),
    }
    if found and lesions is not None:
        facts["points"] = {
            "luna16": [_scan(images, found, lesions, p, pixel_mm=pixel_mm, reach_mm=0.0) for p in patients],
            "near": [_scan(images, found, lesions, p, pixel_mm=pixel_mm, reach_mm=slice_mm) for p in patients],
        }
    if found:
        facts["boxes"] = {(name, iou): _sections(images, found, name, iou) for name in LESIONS for iou in IOUS}
    return Readings(patients, owner, np.array([lung[c] for c in images.case_ids]), **facts)


def _nodules(
    images: ImageSet, lesions: Mapping[str, Sequence[Mapping[str, Any]]], areas: np.ndarray | None
) -> list[dict[str, Any]]:
    """Every nodule that counts, with its Dice in its lung."""
    table = []
    marks = images.marks
    for scan, numbers in images.by_case().items():
        patient = images.patient_ids[numbers[0]]
        stack = np.stack([marks[i].instances.numpy() for i in numbers])  # type: ignore[union-attr]
        sizes = np.bincount(stack.ravel().clip(0), minlength=len(lesions[patient]) + 1)
        mine = [n for n, one in enumerate(lesions[patient], start=1) if _counts(one) and sizes[n] >= LEAST_PIXELS]
        dice = lesion_dice(areas[numbers] == 1, stack, mine) if areas is not None else np.full(len(mine), np.nan)
        for n, value in zip(mine, dice, strict=True):
            one = lesions[patient][n - 1]
            facts = {"diameter_mm": one["diameter_mm"], "kind": one["kind"]}
            table.append({"patient": patient, "scan": scan, "number": n, "dice": float(value), **facts})
    return table


def _counts(lesion: Mapping[str, Any]) -> bool:
    return lesion["kind"] in NODULES and lesion["pixels"] >= LEAST_PIXELS and lesion["diameter_mm"] >= LEAST_MM


def _scan(
    images: ImageSet,
    found: Sequence[FoundBoxes],
    lesions: Mapping[str, Sequence[Mapping[str, Any]]],
    patient: str,
    *,
    pixel_mm: float,
    reach_mm: float,
) -> ScanMatches:
    """Nodules of a whole scan: findings of its slices joined to points in mm, a reach of at least `reach_mm`."""
    points, sizes, scores = [np.zeros((0, 3))], [np.zeros(0)], [np.zeros(0)]
    places = images.targets[PLACE]
    nodule = list(LESIONS).index("nodule")
    for i in images.by_patient()[patient]:
        mine = (found[i].classes == nodule).numpy()
        corners = found[i].corners.numpy()[mine]
        place = places[i].numpy()
        middle = (corners[:, :2] + corners[:, 2:]) / 2
        points.append(np.column_stack([np.full(len(middle), place[0]), place[1:] + (middle - 0.5) * pixel_mm]))
        sizes.append((corners[:, 2:] - corners[:, :2]).mean(1) * pixel_mm)
        scores.append(found[i].scores.numpy()[mine])
    at, size, score = np.concatenate(points), np.concatenate(sizes), np.concatenate(scores)
    kept, centres = _joined(at, size, score)
    counts = [one for one in lesions[patient] if _counts(one)]
    others = [one for one in lesions[patient] if one["kind"] in NODULES and not _counts(one)]
    at_mm = lambda these: np.array([one["centre_mm"] for one in these], float).reshape(-1, 3)
    radii = lambda these: np.maximum([one["diameter_mm"] / 2 for one in these], reach_mm) if these else np.zeros(0)
    return match_points(
        centres, score[kept], at_mm(counts), radii(counts), ignored=(at_mm(others), radii(others)), patient=patient
    )


def _joined(points: np.ndarray, sizes: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The surest finding of each lesion, and the middle of all its sections, weighted by how sure they are."""
    reach = np.maximum(sizes, _NEAR_MM)
    kept = merged_points(points, scores, within_mm=reach)
    centres = points[kept].copy()
    for k, n in enumerate(kept):
        near = (np.linalg.norm(points - points[n], axis=1) <= reach[n]) & (scores <= scores[n])
        weight = scores[near] ** 2
        centres[k] = (weight[:, None] * points[near]).sum(0) / weight.sum()
    return kept, centres


def _sections(images: ImageSet, found: Sequence[FoundBoxes], name: str, iou: float) -> list[ScanMatches]:
    """Boxes of a class in each lung of each slice."""
    k = list(LESIONS).index(name)
    matches = []
    for one, marks, patient in zip(found, images.marks, images.patient_ids, strict=True):
        assert marks is not None
        true = (marks.joined(INFECTION, as_kind=JOINED) if name == JOINED else marks).boxes({name: LESIONS[name]})
        assert true is not None
        mine = one.classes == k
        corners, scores = one.corners[mine].numpy(), one.scores[mine].numpy()
        ignored = true.ignored.numpy() if name == "nodule" else None
        matches.append(match_boxes(corners, scores, true.corners.numpy(), iou=iou, ignored=ignored, patient=patient))
    return matches

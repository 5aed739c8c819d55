"""COVID-19-CT-Seg: twenty chest CT as NIfTI with lungs and infection, ten of which are not in HU."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from taskct.core.errors import InputError, UnsupportedDataError, unknown_name
from taskct.data.case import Case
from taskct.data.formats import volume_files
from taskct.data.padding import MAY_NOT_BE_HU
from taskct.data.sets.case_place import CasePlace, FoundPlaces
from taskct.data.sets.piece_marks import label_words, marks_of_labels, refuse_unknown_labels
from taskct.data.volume import stem

INFECTION = "infection"
LABELS = {1: "left lung", 2: "right lung", 3: INFECTION}
WINDOW_HU = (-1250.0, 250.0)  # that the ten scaled ones were cut to before they became 0 to 255
NOT_HU = ("refuse", "rescale")
_IMAGES = ("covid-19-ct-seg_20cases", "ct_scans")
_COMBINED = ("lung_and_infection_mask", "lung_and_infection_masks")
_INFECTION_ONLY = ("infection_mask", "infection_masks")
_PATIENT = re.compile(r"(radiopaedia)_(?:org_)?(?:covid[-_]19[-_]pneumonia[-_])?(\d+)_", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Covid19Marks:
    """Infection by its connected pieces, from the combined map (3) or the map of the infection alone (1).

    A CT of values from 0 to 255 was windowed to [-1250, 250] HU and scaled: it is refused, or with `not_hu` "rescale" put back
    to HU, in steps of 5.9 HU and with everything outside of the window cut off, which a note says.
    """

    not_hu: str = "refuse"
    labels: Mapping[int, str] = field(default_factory=lambda: LABELS)

    @property
    def files(self) -> tuple[Path, ...]:
        """None beside the labels."""
        return ()

    @property
    def without_labels(self) -> Covid19Marks:
        """The CT as it is taken, without marks."""
        return replace(self, labels={})

    def add(self, case: Case) -> Case:
        """See `MarkSource`."""
        notes = []
        low, high = float(case.hu.min()), float(case.hu.max())
        if low >= 0 and high <= 255:
            if self.not_hu != "rescale":
                raise UnsupportedDataError(
                    f"{case.source_path}: values from {low:g} to {high:g} are not HU: this CT was windowed to [-1250, 250] HU "
                    'and scaled to 0 to 255; leave it out (skip_bad=True), or put it back roughly with not_hu="rescale"'
                )
            span = WINDOW_HU[1] - WINDOW_HU[0]
            case = case.with_hu(case.hu / 255 * span + WINDOW_HU[0])
            notes.append(
                f"values from 0 to 255 were put back to {WINDOW_HU[0]:g} to {WINDOW_HU[1]:g} HU; steps are "
                f"{span / 255:.1f} HU, and what lay outside is cut off"
            )
        known = [n for n in case.provenance.get("notes", []) if not (notes and MAY_NOT_BE_HU in n)]
        about = {**case.provenance, "set": "covid19-ct-seg"}
        if case.labels is not None and self.labels:
            infection = next(n for n, name in self.labels.items() if name == INFECTION)
            refuse_unknown_labels(case, self.labels, words=f"this set has {label_words(self.labels)}")
            notes += _sides(case)
            case = replace(
                case,
                marks=marks_of_labels(
                    case, {infection: INFECTION}, findings={INFECTION: bool((case.labels == infection).any())}
                ),
            )
        return replace(case, provenance={**about, "notes": [*known, *notes]})


def covid19_places(folder: Path, *, not_hu: str = "refuse") -> FoundPlaces:
    """The CT of COVID-19-CT-Seg with the combined masks, or those of the infection; nothing for another layout.

    The first number of a radiopaedia_* file is taken as the patient: radiopaedia_10_85902_1 and _3 are one person, and, to be
    on the safe side, so are 29_86490_1 and 29_86491_1.
    """
    if not_hu not in NOT_HU:
        raise unknown_name("not_hu", not_hu, NOT_HU)
    below = {d.name.lower(): d for d in sorted(folder.iterdir()) if d.is_dir()}
    images = next((below[name] for name in _IMAGES if name in below), None)
    combined = next((below[name] for name in _COMBINED if name in below), None)
    alone = next((below[name] for name in _INFECTION_ONLY if name in below), None)
    masks = combined or alone
    if images is None or masks is None:
        return FoundPlaces()
    names = LABELS if combined is not None else {1: INFECTION}
    scans, maps = _by_key(volume_files(images)), _by_key(volume_files(masks))
    places = [
        CasePlace(
            f,
            stem(f),
            labels=maps.get(key),
            label_names=names if key in maps else {},
            marks=Covid19Marks(not_hu, names),
            patient_id=patient_of(stem(f)),
            may_be_empty=combined is None,  # the combined map has lungs
        )
        for key, f in scans.items()
    ]
    without = [p.name.name for p in places if p.labels is None]
    unused = sorted(f.name for key, f in maps.items() if key not in scans)
    left_out = [f"{images}: has {len(without)} CT without a mask in {masks.name}: {', '.join(without)}"] if without else []
    left_out += [f"{masks}: has {len(unused)} masks without a CT: {', '.join(unused)}"] if unused else []
    return FoundPlaces(tuple(places), tuple(left_out))


def patient_of(name: str) -> str:
    """Whose CT a file is.

    >>> patient_of("radiopaedia_10_85902_1"), patient_of("coronacases_001")
    ('radiopaedia-10', 'coronacases_001')
    """
    match = _PATIENT.match(name + "_")
    return f"{match[1].lower()}-{match[2]}" if match else name


def _by_key(files: list[Path]) -> dict[str, Path]:
    """Files by what a CT and its mask have in common; InputError for two of one key, since either could be meant."""
    found: dict[str, Path] = {}
    for file in files:
        first = found.setdefault(_key(file), file)
        if first is not file:
            raise InputError(f"{file}: has the name of {first}; keep one of the two")
    return found


def _key(file: Path) -> str:
    """What a CT and its mask have in common: the name, without the `org` that some copies have."""
    return stem(file).lower().replace("_org_", "_")


def _sides(case: Case) -> list[str]:
    """A note where the lung called left lies at the patient's right."""
    if case.label_names.get(1) != LABELS[1] or case.labels is None:
        return []
    labels = case.labels.numpy()
    left, right = (float(np.flatnonzero((labels == n).any((0, 1))).mean()) if (labels == n).any() else np.nan for n in (1, 2))
    if left < right:  # x rises to the patient's left
        return ["the lung labelled left lies at the patient's right by the header; the header or the labels are mirrored"]
    return []

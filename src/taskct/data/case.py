"""One patient study in memory, always in the same orientation and unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from taskct.core.errors import GeometryError, InputError, UnitsError
from taskct.core.names import plain_name
from taskct.core.notebook_html import fact_card, sizes, small_picture
from taskct.core.tensors import check_dense
from taskct.core.units import MU_WATER_70KEV_PER_MM, to_mu
from taskct.data.label_names import check_label_names
from taskct.data.marks import Marks
from taskct.geometry import Grid

AIR_HU = -1000.0
THICKNESS = "slice_thickness_mm"  # in the provenance: what a slice averages over
_SOFT_TISSUE_HU = (-160.0, 240.0)  # of the small picture in a notebook
_SAME_SPACING = 1e-3  # part; NIfTI keeps float32, DICOM text, and both are far closer


@dataclass(frozen=True, eq=False)
class Case:
    """A CT volume with what belongs to it.

    `hu` is float32 (Z, Y, X); z rises towards the head, y towards the back, x to the patient's left (LPS), whatever the
    file's order was. `affine_mm` maps an array index (z, y, x, 1) to the patient's LPS position (z, y, x, 1) in mm.
    `labels` are whole numbers on the same samples, each named by `label_names` with a name of its own; 0 is background.
    `marks` say which lesions are known of it, and what was not looked for; `labels` are the dense map.
    `mu_water_per_mm` is the attenuation that HU 0 stands for when the case becomes `mu`.
    `provenance` holds plain values that may be written anywhere: what was odd about the source, licence, fingerprint; the
    UIDs in it are replaced ones. `source_path` is where the case was read, and never leaves the process with its results.
    """

    hu: Tensor
    spacing_mm: tuple[float, float, float]
    case_id: str = "case"
    patient_id: str = ""
    labels: Tensor | None = None
    label_names: Mapping[int, str] = field(default_factory=dict)
    affine_mm: np.ndarray | None = None
    mu_water_per_mm: float = MU_WATER_70KEV_PER_MM
    provenance: Mapping[str, Any] = field(default_factory=dict)
    source_path: Path | None = field(default=None, repr=False)
    marks: Marks | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name in ("case_id", "patient_id"):  # names of files may hold bytes that are not UTF-8
            object.__setattr__(self, name, plain_name(getattr(self, name)))
        for name in ("hu", "labels"):
            if not isinstance(given := getattr(self, name), Tensor | None):
                line = f"torch.as_tensor({name})" + (".float()" if name == "hu" else "")
                raise GeometryError(f"Case expects {name} as a torch tensor, got {type(given).__name__}; pass {line}")
        if self.hu.ndim != 3 or self.hu.dtype != torch.float32:
            raise GeometryError(f"Case expects hu as float32 (Z, Y, X), got {self.hu.dtype} {tuple(self.hu.shape)}")
        check_dense(self.hu, who="Case", name="hu")
        if self.hu.numel() and not all(abs(float(v)) < float("inf") for v in torch.aminmax(self.hu.detach())):  # NaN passes on
            bad = int((~torch.isfinite(self.hu)).sum())
            raise UnitsError(f"Case expects finite hu, got {bad} NaN or infinite values; mend them first (air is -1000 HU)")
        if self.labels is not None and self.labels.shape != self.hu.shape:
            raise GeometryError(
                f"Case expects labels on the samples of hu {tuple(self.hu.shape)}, got {tuple(self.labels.shape)}; "
                "resample them first (open_case(..., resample_labels=True))"
            )
        if self.labels is not None and (self.labels.is_floating_point() or self.labels.is_complex()):
            raise InputError(f"Case expects labels as whole numbers, got {self.labels.dtype}")
        check_label_names(self.label_names, who=f"case {self.case_id}")
        if self.marks is not None and self.marks.shape != tuple(self.hu.shape):
            raise GeometryError(f"Case expects marks on the samples of hu {tuple(self.hu.shape)}, got {self.marks.shape}")
        object.__setattr__(self, "spacing_mm", tuple(float(s) for s in self.spacing_mm))
        if self.affine_mm is None:
            affine = np.diag([*self.spacing_mm, 1.0])
            affine[:3, 3] = self.grid.origin_mm
            object.__setattr__(self, "affine_mm", affine)
        _check_affine(self.affine_mm, self.spacing_mm)
        object.__setattr__(self, "patient_id", self.patient_id or self.case_id)

    @cached_property
    def grid(self) -> Grid:
        """The volume's grid (Z, Y, X), centred on the isocentre."""
        return Grid(tuple(self.hu.shape), self.spacing_mm)

    @cached_property
    def slice_grid(self) -> Grid:
        """The grid (Y, X) of one slice, centred on the isocentre."""
        return Grid(tuple(self.hu.shape[1:]), self.spacing_mm[1:])

    @property
    def mu(self) -> Tensor:
        """Attenuation in 1/mm, slices as batch: (Z, 1, Y, X). Below air it is 0: nothing attenuates less than nothing."""
        return to_mu(self.hu, mu_water_per_mm=self.mu_water_per_mm).clamp_min(0)[:, None]

    @property
    def mu_volume(self) -> Tensor:
        """The same as one volume: (1, 1, Z, Y, X)."""
        return self.mu[:, 0][None, None]

    def take(self, slices: slice | int) -> Case:
        """The case restricted to some slices (a positive step is allowed); one slice keeps its z axis.

        With a step slices lie further apart than they are thick: where no thickness is recorded, their old distance is.
        """
        words = str(slices) if isinstance(slices, int) else _words(slices)
        if isinstance(slices, int):
            slices = slice(slices, None if slices == -1 else slices + 1)
        numbers = range(len(self.hu))[slices]
        if len(numbers) == 0 or numbers.step < 1:
            raise InputError(f"case {self.case_id} has slices 0 to {len(self.hu) - 1}; {words} is none of them")
        assert self.affine_mm is not None
        affine = self.affine_mm.copy()
        affine[:3, 3] += affine[:3, 0] * numbers.start
        affine[:3, 0] *= numbers.step
        step_mm = (self.spacing_mm[0] * numbers.step, *self.spacing_mm[1:])
        about = self.provenance
        if numbers.step > 1 and not about.get(THICKNESS):
            about = {**about, THICKNESS: self.spacing_mm[0]}
        return replace(
            self,
            hu=self.hu[slices],
            spacing_mm=step_mm,
            labels=None if self.labels is None else self.labels[slices],
            marks=None if self.marks is None else self.marks.crop(slices),
            affine_mm=affine,
            provenance=about,
        )

    def with_hu(self, hu: Tensor, **provenance: Any) -> Case:
        """The same study with other values on the same samples (a reconstruction); `provenance` says what made them.

        Raises GeometryError for another shape: where such values lie is not known here. `take` gives a part of a case with its
        place, `Case(...)` makes one of values on another grid.
        """
        if hu.shape != self.hu.shape:
            raise GeometryError(
                f"with_hu expects values on the samples of case {self.case_id}, {tuple(self.hu.shape)}, got "
                f"{tuple(hu.shape)}; "
                "take the same slices of the case first, as in case.take(slice(4, 6)).with_hu(hu), or make a Case "
                "with its own spacing_mm and affine_mm"
            )
        return replace(self, hu=hu.detach().float().cpu(), provenance={**self.provenance, **provenance})

    def __repr__(self) -> str:
        names = ", ".join(map(str, self.label_names.values()))
        labels = "" if self.labels is None else f", labels: {names}" if names else ", with labels"
        return f"Case({self.case_id!r}, {sizes(tuple(self.hu.shape), self.spacing_mm)}{labels})"

    def _repr_html_(self) -> str:
        facts = {
            "patient": self.patient_id,
            "samples": sizes(tuple(self.hu.shape), self.spacing_mm) + " (z, y, x)",
            "labels": ", ".join(map(str, self.label_names.values())) or ("" if self.labels is None else "without names"),
            "notes": "; ".join(map(str, self.provenance.get("notes", ()) or ())),
        }
        if not self.hu.numel():
            return fact_card(f"Case {self.case_id}", facts)
        low, high = torch.aminmax(self.hu)
        middle = len(self.hu) // 2
        words = f"slice {middle} in the soft tissue window"
        picture = small_picture(self.hu[middle].cpu().numpy(), *_SOFT_TISSUE_HU)
        facts["HU"] = f"{float(low):.0f} to {float(high):.0f}"
        return fact_card(f"Case {self.case_id}", facts | {"picture": words}, picture=picture, alt=words)


def _check_affine(affine_mm: np.ndarray | None, spacing_mm: tuple[float, float, float]) -> None:
    """The affine must be finite and tell the sample distances that `spacing_mm` tells."""
    affine = np.asarray(affine_mm, dtype=np.float64)
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        raise GeometryError(f"Case expects a finite affine_mm of shape (4, 4), got {affine.tolist()}")
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.allclose(lengths, spacing_mm, rtol=_SAME_SPACING, atol=0):
        raise GeometryError(f"Case expects an affine_mm with steps of spacing_mm {spacing_mm}, got {lengths.tolist()}")


def _words(slices: slice) -> str:
    parts = [slices.start, slices.stop, *([] if slices.step is None else [slices.step])]
    return ":".join("" if n is None else str(n) for n in parts)

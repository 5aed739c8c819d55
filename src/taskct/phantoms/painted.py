"""Images of built-in patients that are painted when they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from taskct.core.units import to_mu
from taskct.data.image_source import Pixels
from taskct.data.marks import MARKS, Marks
from taskct.phantoms.known_marks import marks_of_patient
from taskct.phantoms.painting.fields import Axes
from taskct.phantoms.patient import anatomy, make_patient, pixel_spacing, slice_heights_mm
from taskct.phantoms.sites import site_named


@dataclass(frozen=True)
class PaintedImages:
    """A storage of slices or volumes: `rows` holds patient number and slice of each; mu, and labels in uint8.

    The patient's own slice or volume (`make_patient`), to the last bit.
    """

    site: str
    seed: int
    settings: Any
    rows: Sequence[tuple[int, int]]
    shape: tuple[int, ...]
    spacing_mm: float | tuple[float, ...] | None
    slices: int

    marks: bool = False

    has_labels = True

    @property
    def target_names(self) -> tuple[str, ...]:
        """Marks, where they are asked for."""
        return (MARKS,) if self.marks else ()

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, rows: Sequence[int]) -> Pixels:
        """Paint some of them."""
        painted = [self._paint(*self.rows[i]) for i in rows]
        mu = torch.stack([to_mu(hu).clamp_min(0) for hu, _, _ in painted])[:, None]
        targets = {MARKS: [marks for _, _, marks in painted]} if self.marks else {}
        return Pixels(mu, torch.stack([labels for _, labels, _ in painted]), targets=targets)

    def known_hashes(self) -> Sequence[str] | None:
        """Not known before all are painted."""
        return None

    def remember_hashes(self, hashes: Sequence[str]) -> None:
        """They are not kept."""

    def known_label_values(self) -> Sequence[Sequence[int]] | None:
        """Not known before all are painted."""
        return None

    def identity(self) -> str:
        """Site, seed and patients."""
        first, last = self.rows[0][0], self.rows[-1][0]
        return f"built-in {self.site}, seed {self.seed}, patients {first} to {last}, {self.settings!r}"

    def _paint(self, number: int, k: int) -> tuple[torch.Tensor, torch.Tensor, Marks | None]:
        """HU, labels and marks of one image."""
        home = site_named(self.site)
        if len(self.shape) == 3:
            made = make_patient(
                self.seed, number, site=self.site, shape=self.shape, spacing_mm=self.spacing_mm, settings=self.settings
            )
            assert made.case.labels is not None
            return made.case.hu, made.case.labels.to(torch.uint8), made.case.marks
        spacing = pixel_spacing(home, self.shape, self.spacing_mm, self.settings)
        axes = Axes.centred((self.shape[0], self.shape[1]), (spacing[0], spacing[1]))
        model = anatomy(home, self.seed, number, self.settings)
        canvas = model.paint(float(slice_heights_mm(model, self.slices)[k]), axes)
        labels, marks = home.labels_of(canvas.organ), None
        if self.marks:
            marks = marks_of_patient(home, model, home.facts(model), canvas.lesion[None], labels[None]).crop(0)
        return torch.from_numpy(canvas.hu), torch.from_numpy(labels).to(torch.uint8), marks

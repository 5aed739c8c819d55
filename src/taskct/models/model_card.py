"""The card of a trained network: what it is for, what it learnt from, how good it is, and where it ends."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from taskct.core.config import SCHEMA, from_dict, to_dict
from taskct.core.errors import ConfigError, UnitsError
from taskct.core.notebook_html import fact_card
from taskct.core.open_files import read_toml_tables
from taskct.core.toml import to_toml

CARD = "card.toml"
IMAGE_UNITS = "1/mm"  # linear attenuation; projections are -ln(I/I0)
KINDS = {
    "reconstruction": "reconstructs scans",
    "reader": "reads images",
    "dose": "chooses a dose",
    "task": "answers for images",
}
_MAX_CARD_BYTES = 1 << 20


def images_of(images: int, patients: int) -> str:
    """How many images of how many patients.

    >>> images_of(1200, 1)
    '1,200 images of 1 patient'
    """
    return f"{images:,} image{'s' if images != 1 else ''} of {patients:,} patient{'s' if patients != 1 else ''}"


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """One source that a network learnt from."""

    name: str
    licence: str
    patients: int
    images: int
    where: str = ""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured number with its 95 % interval over patients: what was measured, of what, at which dose."""

    what: str
    mean: float
    low: float | None = None
    high: float | None = None
    photons: float | None = None
    of: str = ""
    patients: int = 0
    images: int = 0

    def __str__(self) -> str:
        ends = "" if self.low is None or self.high is None else f" [{self.low:.3f}, {self.high:.3f}]"
        return f"{self.mean:.3f}{ends}"


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a user of a network should know.

    kind             one of KINDS
    purpose          what it is for, in a sentence or two
    licence          of the weights; training_data have their own
    image_units      of its images: "1/mm" (the only ones that taskct's networks work in)
    geometry         beam and pixels in words; config.toml has them as numbers
    photons          lowest and highest photons per detector pixel in air in training; empty if it was trained without noise
    figures          measured, for readers and reconstructions under readers that no training saw
    limits           where it should not be used, and what was not measured
    command, commit  that make it again, and the commit with which it was made
    config_sha256, weights_sha256   of config.toml and weights.safetensors; files that differ are refused
    """

    kind: str
    title: str
    purpose: str = ""
    licence: str = ""
    image_units: str = IMAGE_UNITS
    geometry: str = ""
    photons: tuple[float, ...] = ()
    steps: int = 0
    cpu_minutes: float | None = None
    training_data: tuple[TrainingData, ...] = ()
    figures: tuple[Figure, ...] = ()
    limits: tuple[str, ...] = ()
    command: str = ""
    commit: str = ""
    created_utc: str = ""
    config_sha256: str = ""
    weights_sha256: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"a card expects kind of {', '.join(KINDS)}, got {self.kind!r}")
        if self.image_units != IMAGE_UNITS:
            raise UnitsError(
                f"its images are in {self.image_units!r}, and taskct's networks work in {IMAGE_UNITS}; convert inside it "
                f'(taskct.to_hu, taskct.to_mu) and state image_units = "{IMAGE_UNITS}"'
            )

    def __repr__(self) -> str:
        return f"Card({self.kind}: {self.title!r}, {len(self.figures)} figures, licence {self.licence or 'not stated'})"

    def _repr_html_(self) -> str:
        sources = (f"{d.name} ({images_of(d.images, d.patients)}; {d.licence})" for d in self.training_data)
        measured = {f"{f.what}{f' at {f.photons:,.0f} photons' if f.photons else ''}": str(f) for f in self.figures}
        facts = {
            "for": self.purpose,
            "geometry": self.geometry,
            "photons": " to ".join(f"{n:,.0f}" for n in self.photons),
            "learnt from": "; ".join(sources),
            **measured,
            "limits": "; ".join(self.limits),
            "licence": self.licence,
        }
        return fact_card(self.title, facts)

    def text(self) -> str:
        """The card as a TOML file holds it."""
        return to_toml({"schema": SCHEMA, **to_dict(self)})


def read_card(path: str | os.PathLike[str]) -> Card:
    """The card in a file; errors begin with its path."""
    return card_of(read_toml_tables(path, limit_bytes=_MAX_CARD_BYTES, what="card"), where=str(path))


def card_of(values: Mapping[str, Any], *, where: str) -> Card:
    """A card from the tables of its file; `where` begins the message of an error."""
    plain = {k: v for k, v in values.items() if k != "schema"}
    if values.get("schema") != SCHEMA:
        raise ConfigError(f"{where}: has schema {values.get('schema')!r}, this taskct reads {SCHEMA}; use the newer taskct")
    try:
        return from_dict(Card, plain)
    except (ConfigError, UnitsError) as error:
        raise type(error)(f"{where}: {error}") from error

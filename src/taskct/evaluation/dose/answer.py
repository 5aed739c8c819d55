"""What a dose search found, in photons, as a fraction of full dose and in mGy; in words, as rows, and as files."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from taskct.core.csv_cells import csv_lines
from taskct.core.files import write_texts
from taskct.core.names import capital, known_digits, photon_count
from taskct.evaluation.dose.example import ShownSlice
from taskct.evaluation.dose.quality_curves import of_patients
from taskct.evaluation.dose.target import Target
from taskct.evaluation.statistics import FEW_PATIENTS, Interval, bootstrap_mean
from taskct.physics.dose import Dose

DOSE_FILES = ("dose.json", "dose.csv")
_ENDS = 3  # digits of the ends of intervals, and of measured doses


@dataclass(frozen=True, eq=False)
class TargetAnswer:
    """One target: its curve and the photons it needs, NaN where full dose does not reach it.

    levels, values   photons (L,) and the quality (N, L) of every patient; `gap`: its distance to the bound, good side positive
    photons          where the criterion is met; `low` to `high`: 95 % interval over patients, NaN beyond what was measured
    between          how closely they are known for these patients and this noise: the distance of the two measured doses about
                     them, or what the search allows if that is more; NaN where the lowest dose is enough, or none is
    confirmed        lowest measured dose from which the interval of the gap (mean, or that of the share) stays above 0
    needed           photons of each patient alone, (N,); the lowest measured where those are enough (`needed_at_most`)
    """

    target: Target
    levels: np.ndarray
    values: np.ndarray
    gap: np.ndarray
    patients: tuple[str, ...]
    held_by: str | float
    photons: float
    low: float
    high: float
    confirmed: float
    needed: np.ndarray
    hint: str = ""
    between: float = math.nan

    @property
    def digits(self) -> int:
        """Significant digits to which the photons are known: by the doses about them, and over patients.

        Four where the lowest measured dose is enough: that is then said as "at most", and it is a dose that was measured. An
        interval without an upper end reaches full dose at least.
        """
        if not math.isfinite(self.between):
            return 4
        high = float(self.levels[-1]) if math.isnan(self.high) else self.high
        spread = high - self.low if self.asked > 1 and math.isfinite(self.low) else 0.0
        return known_digits(self.photons, max(spread, self.between))

    @property
    def asked(self) -> int:
        """How many patients the answer stands on: those whose quality is defined, for a task's score those with the class."""
        return len({p for p, known in zip(self.patients, np.isfinite(self.gap).any(1), strict=True) if known})

    @property
    def reached(self) -> bool:
        """Whether full dose or less reaches it."""
        return not math.isnan(self.photons)

    @property
    def at_once(self) -> bool:
        """Whether the lowest measured dose is enough already: the photons are then at most those."""
        return self.photons <= self.levels[0] * (1 + 1e-9)

    @property
    def blind(self) -> int:
        """Patients of whom nothing is found at full dose, so that any dose keeps a share of it."""
        if not (self.target.of_full and self.target.class_name):
            return 0
        full = of_patients(self.values[:, -1:], self.patients, "mean")[:, 0]
        return int((full == 0).sum())

    @property
    def needed_at_most(self) -> list[str]:
        """Scans for which the lowest measured dose is enough, so that their `needed` is an upper bound."""
        enough = self.needed <= self.levels[0] * (1 + 1e-9)
        return [name for name, one in zip(scans_of(self.patients), enough, strict=True) if one]

    @property
    def best(self) -> float:
        """Best mean quality of all doses measured."""
        means = np.array([point.mean for point in self.points])
        return float(means.min() if self.target.lower else means.max())

    @property
    def points(self) -> list[Interval]:
        """Mean quality over patients at each dose, with its interval."""
        return [bootstrap_mean(column, self.patients) for column in self.values.T]

    @property
    def who(self) -> str:
        """For whom the quality is held: 'on average', 'in 90 % of patients', 'in this patient'."""
        return "in this patient" if self.asked == 1 else served(self.held_by)

    def text(self, dose: Dose) -> str:
        """The finding in a sentence."""
        asked, unit = capital(self.target.words), f" {self.target.unit}" if self.target.unit else ""
        n = self.asked
        who = self.who
        if not self.reached:
            gaps = of_patients(self.gap[:, -1:], self.patients, self.held_by)
            share = float(np.mean(gaps[np.isfinite(gaps)] >= 0))
            words = (
                f"{asked} is not reached {who} at up to {photon_count(self.levels[-1])} photons: the best was "
                f"{_shortest(self.best, 4)}{unit}"
                + ("" if n == 1 else f", and {100 * share:.0f} % of patients reach it there")
            )
            return f"{words}; {self.hint}" if self.hint else f"{words}; raise --photons, take another method or ask for less"
        most = "most " if self.at_once else ""
        percent = f"{known(100 * self.photons / dose.photons, self.digits)} % of full dose"
        words = f"{asked} is kept {who} at {most}{photon_count(self.photons, digits=self.digits)} photons, {percent}"
        blind = f"; in {self.blind} of {n} patients nothing is found at full dose, so any dose counts as enough for them"
        return f"{words}{self.sureness}{blind if self.blind else ''}"

    @property
    def sureness(self) -> str:
        """How sure the dose is, to follow it: its interval over patients, and from which dose on it is confirmed."""
        n, words = self.asked, ""
        if n > 1:
            low = "-" if math.isnan(self.low) else photon_count(self.low, digits=_ENDS)
            high = "not reached" if math.isnan(self.high) else photon_count(self.high, digits=_ENDS)
            words = f" [95 % over {n} patients: {low} to {high}]"
        if n < FEW_PATIENTS:
            return f"{words}; {n} patient{'s are' if n > 1 else ' is'} too few to confirm it for others"
        if math.isnan(self.confirmed):
            return f"{words}; not confirmed at any measured dose"
        return f"{words}; confirmed from {photon_count(self.confirmed, digits=_ENDS)} photons on"


@dataclass(frozen=True, eq=False)
class Certificate:
    """A target measured again at the dose that was found, with other noise; `reader` '' is that of the search.

    `gap` is the mean distance to the bound with its interval, `share` that of patients who reach it. `holds` is the number
    alone; `criterion` the interval of what was asked (the mean gap, or that of the share), by which it is `proven`.
    """

    target: Target
    reader: str
    value: float
    full: float
    gap: Interval
    share: float
    holds: bool
    values: np.ndarray
    criterion: Interval

    @property
    def proven(self) -> bool:
        """Whether the interval of the criterion's gap, with enough patients to have one, stays on the good side."""
        return self.criterion.n_patients >= FEW_PATIENTS and self.criterion.low >= 0

    def text(self) -> str:
        """The check in a sentence."""
        who = f"with fresh noise by {self.reader}, which the search never asked," if self.reader else "with fresh noise,"
        unit = f" {self.target.unit}" if self.target.unit else ""
        full = "" if math.isnan(self.full) else f" ({_shortest(self.full, _ENDS)}{unit} at full dose)"
        n = self.gap.n_patients
        share = f"; {100 * self.share:.0f} % of {n} patients reach it" if n > 1 else ""
        return (
            f"Checked {who} {self.target.words} {self._verdict}: it is {_shortest(self.value, _ENDS)}{unit}{full}, "
            f"{self._place}{self._ends}{share}"
        )

    @property
    def refuted(self) -> bool:
        """Whether that interval stays on the bad side."""
        return self.criterion.n_patients >= FEW_PATIENTS and self.criterion.high < 0

    @property
    def _verdict(self) -> str:
        return "holds" if self.proven else "does not hold" if self.refuted else "is neither confirmed nor refuted"

    @property
    def _place(self) -> str:
        """ "0.006 worse than the bound", as the mean gap has it."""
        gap = self.gap.mean
        if math.isnan(gap):
            return "and how far that is from the bound is not defined"
        return f"{self._from_bound(gap)} than the bound" if gap else "just at the bound"

    @property
    def _ends(self) -> str:
        if self.gap.n_patients < FEW_PATIENTS or not math.isfinite(self.gap.low + self.gap.high):
            return ""
        low, high = (self._from_bound(end) for end in (self.gap.low, self.gap.high))
        one_side = (self.gap.low >= 0) == (self.gap.high >= 0)
        return f" [95 %: {low.partition(' ')[0] if one_side else low} to {high}]"

    def _from_bound(self, gap: float) -> str:
        """ "0.006 worse": so far on the wrong side of the bound."""
        unit = f" {self.target.unit}" if self.target.unit else ""
        return f"{_shortest(abs(gap), 2)}{unit} {'better' if gap >= 0 else 'worse'}"


@dataclass(frozen=True, eq=False)
class DoseAnswer:
    """The least dose that keeps all targets; `photons` is NaN when one of them is not reached at full dose.

    `shown` is a slice at full dose and at the dose found.
    """

    targets: tuple[TargetAnswer, ...]
    certificates: tuple[Certificate, ...]
    dose: Dose
    photons: float
    ctdi_vol_mgy_full: float | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    shown: ShownSlice | None = None

    @property
    def reached(self) -> bool:
        """Whether all targets are."""
        return not math.isnan(self.photons)

    @property
    def fraction(self) -> float:
        """Of full dose; NaN when not reached."""
        return self.photons / self.dose.photons

    @property
    def ctdi_vol_mgy(self) -> float | None:
        """CTDIvol at the dose found, None where the scan does not state that of full dose."""
        return None if self.ctdi_vol_mgy_full is None else self.fraction * self.ctdi_vol_mgy_full

    @property
    def digits(self) -> int:
        """Significant digits to which the photons are known: those of the target that decides."""
        return next((a.digits for a in self.targets if a.photons == self.photons), _ENDS)

    @property
    def text(self) -> str:
        """Everything that was found, a line each."""
        if self.reached:
            own, full = self.ctdi_vol_mgy, self.ctdi_vol_mgy_full
            mgy = "" if own is None else f", CTDIvol {known(own, self.digits)} mGy of {full:g}"
            found = photon_count(self.photons, digits=self.digits)
            most = "at most " if any(a.at_once and a.photons == self.photons for a in self.targets) else ""
            head = f"{most}{found} photons per pixel, {known(100 * self.fraction, self.digits)} % of full dose{mgy}"
        else:
            head = f"no dose up to {photon_count(self.dose.photons)} photons keeps what was asked"
        return "\n".join([head, *(a.text(self.dose) for a in self.targets), *(c.text() for c in self.certificates)])

    def missed(self, target: TargetAnswer) -> list[tuple[str, float]]:
        """Scans below the bound at the dose found (full dose if none), the worst first: (its name by `scans_of`, gap)."""
        from taskct.evaluation.dose.quality_curves import value_at

        level = self.photons if self.reached else float(target.levels[-1])
        gaps = value_at(target.levels, target.gap, level)
        least = -1e-6 * target.target.bound  # the dose is where a gap is 0: rounding is not a miss
        found = [(p, float(g)) for p, g in zip(scans_of(target.patients), gaps, strict=True) if g < least]
        return sorted(found, key=lambda pair: pair[1])

    def csv_text(self) -> str:
        """Target, patient, photons, fraction, value, gap, scan: a line per measured scan, as `scans_of` names it."""
        lines: list[list[str]] = [["target", "patient", "photons", "dose_fraction", "value", "gap", "scan"]]
        for a in self.targets:
            for i, (patient, scan) in enumerate(zip(a.patients, scans_of(a.patients), strict=True)):
                for j, level in enumerate(a.levels):
                    numbers = (level, level / self.dose.photons, a.values[i, j], a.gap[i, j])
                    lines.append([str(a.target), patient, *(f"{v:.9g}" for v in numbers), scan])
        return csv_lines(lines)

    def summary(self) -> dict[str, Any]:
        """The answer as plain values."""
        return {
            "photons": self.photons,
            "fraction": self.fraction,
            "ctdi_vol_mgy": self.ctdi_vol_mgy,
            "full_photons": self.dose.photons,
            "electronic_std": self.dose.electronic_std,
            "text": self.text.split("\n"),
            "targets": [
                {
                    "target": str(a.target),
                    "photons": a.photons,
                    "between": a.between,
                    "digits": a.digits if a.reached else None,
                    "low": a.low,
                    "high": a.high,
                    "confirmed": a.confirmed,
                    "best": a.best,
                    "hint": a.hint,
                    "needed": dict(zip(scans_of(a.patients), a.needed.tolist(), strict=True)),
                    "needed_at_most": a.needed_at_most,
                }
                for a in self.targets
            ],
            "certificates": [
                {"target": str(c.target), "reader": c.reader, "value": c.value, "full": c.full, "gap": str(c.gap),
                 "share": c.share, "holds": c.holds, "proven": c.proven}
                for c in self.certificates
            ],
            "about": dict(self.about),
        }  # fmt: skip

    def save(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write dose.csv and dose.json into a folder."""
        values = _finite(self.summary())
        texts = (json.dumps(values, indent=1, default=str) + "\n", self.csv_text())
        write_texts(folder, dict(zip(DOSE_FILES, texts, strict=True)), overwrite=overwrite)


def scans_of(patients: Sequence[str]) -> list[str]:
    """A name for each scan: its patient's, numbered where he has several.

    >>> scans_of(["p0", "p1", "p0"])
    ['p0, scan 1', 'p1', 'p0, scan 2']
    """
    seen: Counter[str] = Counter()
    found = []
    for name in patients:
        seen[name] += 1
        found.append(f"{name}, scan {seen[name]}" if patients.count(name) > 1 else name)
    return found


def served(held_by: str | float) -> str:
    """How many patients a bound is held for: 'on average', 'in 90 % of patients'."""
    return "on average" if held_by == "mean" else f"in {100 * float(held_by):g} % of patients"


def known(value: float, digits: int) -> str:
    """A number to so many significant digits, without a power of ten.

    >>> [known(v, 2) for v in (66.08, 104.2, 0.6608)]
    ['66', '100', '0.66']
    """
    rounded = float(f"{value:.{digits}g}")
    if not math.isfinite(rounded):
        return f"{rounded:g}"
    places = digits - 1 - math.floor(math.log10(abs(rounded))) if rounded else 0
    return f"{rounded:.{max(0, places)}f}"


def _shortest(value: float, digits: int) -> str:
    """As `known`, without zeros at the end of its decimals.

    >>> [_shortest(v, 3) for v in (2.0, 0.25, 1234.5, 1e-7, math.inf)]
    ['2', '0.25', '1230', '0.0000001', 'inf']
    """
    text = known(value, digits)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

"""Stored grey levels -> line integrals, or films whose gain and offset are unknown; what cannot be either is said."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from taskct.core.errors import unknown_name
from taskct.data.radiographs.film_header import FilmHeader
from taskct.data.radiographs.film_values import Film

SHOWN = "presentation"
_SHOWN_AS = {f"{SHOWN}, {one}": one for one in ("bright absorbs", "dark absorbs")}  # where the header is wrong on it
GREYS = ("auto", "intensity", "line integral", "bright absorbs", "dark absorbs", SHOWN, *_SHOWN_AS)
LINE_INTEGRAL, FILM = "line integral", "film"
_AIR_SHARE = 0.001  # of the pixels, the brightest: taken as the unattenuated beam where nothing says what it is
_BRIGHT, _OVER_AIR = 0.99, 1.1  # of the pixels, and of air: noise and a beam that is not even stay below
_FLOOR_SHARE = 1e-4  # of the air value: darker pixels count as this
_BORDER = 0.06  # of the picture's size
_MOST_P = 15.0
_EACH = (
    "two readings are those of the frontal and of the lateral view: grey=('auto', 'presentation'), --grey auto:presentation"
)
_OTHER_SHOWN = f" ({' or '.join(map(repr, _SHOWN_AS))})"
_MOST_COVERED = 0.02  # of the pixels: edges of a field are given to a pixel or two
_MOST_DARK = 0.5  # of the pixels without signal


@dataclass(frozen=True, eq=False)
class Grey:
    """A film in attenuation: larger where more was absorbed.

    `meaning` is LINE_INTEGRAL (-ln(I / I0)), or FILM: gain * line integral + offset, both unknown. `notes` are sentences for
    the result. `intensity` is I / I0 where it is known, so that pixels are averaged before the logarithm. `dark` is the
    share of its pixels that hold no signal, `dark_border` the same of its border.
    """

    values: np.ndarray
    meaning: str
    notes: tuple[str, ...] = ()
    intensity: np.ndarray | None = None
    dark: float = 0.0
    dark_border: float = 0.0


def grey_of(film: Film, grey: str, *, air_value: float | None = None) -> tuple[Grey | None, list[str]]:
    """The film in attenuation under the reading `grey`, one of GREYS, and what speaks against it.

    "auto" follows the header (PixelIntensityRelationship and its sign); a picture without one needs a reading by name.
    """
    if grey not in GREYS:
        raise unknown_name("reading of grey levels", grey, GREYS)
    shown = grey.startswith(SHOWN)
    reading, problem = _reading_of(film.header, grey)
    problem = problem or _not_measured(film)
    if problem:
        return None, [problem]
    assert reading is not None
    made = _converted(film, reading, air_value, _notes_of(film.header))
    problems = [_air_too_dark(made, air_value)] if air_value is not None and reading.startswith("intensity") else []
    if shown:
        values = made.values if made.meaning == FILM else _normal(made.values)
        made = replace(made, values=values, meaning=FILM, intensity=None)
    problems += [_wrong_way(made, reading, shown=shown), _no_line_integrals(made, reading)]
    return made, [problem for problem in problems if problem]


def _reading_of(header: FilmHeader | None, grey: str) -> tuple[str | None, str]:
    """The reading by its plain name, or why there is none."""
    shown, for_the_eye = grey.startswith(SHOWN), "" if header is None else header.for_the_eye
    if for_the_eye and not shown:
        return None, (
            f"{for_the_eye}: its grey levels were processed for the eye, they are no line integrals; "
            "export the image FOR PROCESSING, or take it all the same with grey='presentation'"
        )
    if shown and not for_the_eye:
        return None, (
            f"grey={grey!r} is for DICOM whose PresentationIntentType is FOR PRESENTATION, or that says so otherwise; "
            f"this one does not; {_EACH}"
        )
    stated = _by_header(header)
    if shown:
        return _SHOWN_AS.get(grey) or stated or _as_shown(header), ""
    if grey == "auto":
        return stated, "" if stated else _no_reading(header)
    if stated is not None and stated != grey:
        assert header is not None
        return None, (
            f"grey={grey!r}, but PixelIntensityRelationship is {header.relationship} with sign {header.sign}, which is "
            f"{stated!r}; {_EACH}"
        )
    return grey, ""


def _no_reading(header: FilmHeader | None) -> str:
    what = "the file does not say"
    if header is not None:
        stated = f"is {header.relationship}" if header.relationship else "is missing"
        sign = "" if header.sign is not None else ", without a sign"
        what = f"the header does not say (PixelIntensityRelationship {stated}{sign})"
    return (
        f"what its grey levels mean, {what}; give grey='intensity' (proportional to the detected X-rays), 'bright absorbs', "
        "'dark absorbs' or 'line integral'"
    )


def _notes_of(header: FilmHeader | None) -> list[str]:
    if header is None or not header.for_the_eye:
        return []
    return [
        f"a FOR PRESENTATION image was taken ({header.for_the_eye}) as if grey levels were line integrals with an unknown "
        "gain and offset: local contrast may be false"
    ]


def _not_measured(film: Film) -> str:
    """Why too little of the picture was measured; "" where enough was."""
    where = "crop them away, and give the middle of the rest as offset_mm"
    if float(film.values.min()) == float(film.values.max()):
        return f"all its pixels hold one value, {float(film.values.max()):g}; there is nothing to see in it"
    if film.padded > _AIR_SHARE:
        return f"{100 * film.padded:.3g} % of its pixels hold PixelPaddingValue, so they were not measured; {where}"
    if film.covered > _MOST_COVERED:
        return f"{100 * film.covered:.3g} % of its pixels lie behind collimator or shutter by its header; {where}"
    return ""


def _air_too_dark(made: Grey, air_value: float) -> str:
    over = 0.0 if made.intensity is None else float(np.quantile(made.intensity, _BRIGHT))
    if over <= _OVER_AIR:
        return ""
    return (
        f"air_value {air_value:g} is below its brightest pixels, which hold {over:.3g} of it; more than the "
        "unattenuated beam cannot be detected: correct it, or leave it out"
    )


def _wrong_way(made: Grey, reading: str, *, shown: bool) -> str:
    """Why the reading does not fit what the picture shows; "" where it may."""
    if _looks_inverted(made.values):
        return (
            f"its grey levels look inverted: the border absorbs more than the middle when they are read as {reading!r}; "
            f"if the border is a collimator, crop it, else choose the other reading{_OTHER_SHOWN if shown else ''}"
        )
    if made.dark > _MOST_DARK:
        return (
            f"as {reading!r} {100 * made.dark:.3g} % of its pixels hold no signal: air_value is wrong, or "
            "its grey levels mean something else"
        )
    if made.dark_border > _MOST_COVERED:
        return (
            f"as {reading!r} {100 * made.dark_border:.3g} % of its border holds no signal, as behind a collimator; crop it "
            "away, and give the middle of the rest as offset_mm, or correct air_value"
        )
    return ""


def _no_line_integrals(made: Grey, reading: str) -> str:
    low, high = (float(q) for q in np.quantile(made.values, [1 - _BRIGHT, _BRIGHT]))
    if made.meaning != LINE_INTEGRAL or -1 <= low <= high <= _MOST_P:
        return ""
    return (
        f"as {reading!r} its values cannot be line integrals: nearly all lie from {low:.4g} to {high:.4g}, expected 0 to "
        f"{_MOST_P:g}"
    )


def _as_shown(header: FilmHeader | None) -> str:
    """How an image for the eye is usually stored: bone is shown white, but values of XA and RF rise with the intensity."""
    carm = header is not None and header.modality in ("XA", "RF")
    return "dark absorbs" if carm or (header is not None and header.photometric == "MONOCHROME1") else "bright absorbs"


def _by_header(header: FilmHeader | None) -> str | None:
    """The reading that a header names; None where it names none.

    Of XA and RF, whose module has no sign, values rise with the intensity.
    """
    if header is None:
        return None
    sign = header.sign if header.sign is not None else (1 if header.modality in ("XA", "RF") else None)
    if sign is not None and header.slope < 0:
        sign = -sign  # it is that of stored numbers, before they are rescaled
    return {
        ("LIN", 1): "intensity",
        ("LIN", -1): "intensity, inverted",
        ("LOG", 1): "dark absorbs",
        ("LOG", -1): "bright absorbs",
    }.get((header.relationship, sign or 0))


def _converted(film: Film, reading: str, air_value: float | None, notes: list[str]) -> Grey:
    values = film.values
    if reading == "intensity, inverted":
        top = float(values.max()) if film.highest is None else film.highest
        values = top - values
        air_value = None if air_value is None else top - air_value
        notes.append(f"intensity falls as the values rise: it was taken as {top:g} minus the value")
    if reading.startswith("intensity"):
        air = air_value
        if air is None:
            air = float(np.quantile(values, 1 - _AIR_SHARE))
            notes.append(
                f"air_value is not given: the brightest {100 * _AIR_SHARE:g} % of the pixels ({air:.6g}) were taken as air"
            )
        air = max(air, 1e-12)
        unlit = values < _FLOOR_SHARE * air
        dark = float(unlit.mean())
        if dark > 0:
            notes.append(f"{100 * dark:.3g} % of the pixels hold no signal and were set to {_FLOOR_SHARE:g} of air")
        through = np.maximum(values, _FLOOR_SHARE * air) / air
        return Grey(-np.log(through), LINE_INTEGRAL, tuple(notes), through, dark, float(unlit[_border(unlit.shape)].mean()))
    if air_value is not None:
        notes.append("air_value is not used: it is for readings of intensity")
    if reading == "line integral":
        return Grey(values.copy(), LINE_INTEGRAL, tuple(notes), np.exp(-values.clip(-5, 50)))
    up = values if reading == "bright absorbs" else -values
    notes.append("gain and offset of this film are unknown: they are fitted together with the volume")
    return Grey(_normal(up), FILM, tuple(notes))


def _normal(values: np.ndarray) -> np.ndarray:
    """From 0 for the least absorbing to 1 for the most, by robust ends: numbers of one size whatever the depth."""
    low, high = np.quantile(values, [0.001, 0.999])
    return np.asarray((values - low) / max(float(high - low), 1e-12))


def _looks_inverted(values: np.ndarray) -> bool:
    """Whether the border of a picture absorbs more than its middle half: air lies at the border of a head's radiograph."""
    rows, cols = values.shape
    edge = _border(values.shape)
    # a neck or a table may reach the border: half of it decides
    return bool(
        np.median(values[edge]) > np.median(values[rows // 4 : -(rows // 4) or None, cols // 4 : -(cols // 4) or None])
    )


def _border(shape: tuple[int, ...]) -> np.ndarray:
    """Bool: the frame of a picture."""
    rows, cols = shape
    a, b = max(1, round(_BORDER * rows)), max(1, round(_BORDER * cols))
    edge = np.ones((rows, cols), bool)
    edge[a : rows - a, b : cols - b] = False
    return edge

"""Whether two radiographs show one patient, at one time: what their headers say, without naming anybody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from taskct.core.names import plural
from taskct.data.dicom.identity import patient_pseudonym
from taskct.data.radiographs.film_header import FilmHeader
from taskct.data.radiographs.film_values import Film

_SAME_AGE_MONTHS = 1.0  # ages further apart than this are those of two heads, or of one that has grown


def of_patients(films: Mapping[str, Film], *, same_patient: bool) -> tuple[list[str], list[str]]:
    """Problems and notes of two radiographs that may be of two patients. Nothing names a patient in the clear."""
    headers = [film.header for film in films.values()]
    if any(h is None for h in headers):
        return [], ["a file without a header names no patient: that both radiographs are of one patient was assumed"]
    first, second = headers
    assert first is not None and second is not None
    notes = []
    unnamed = [view for view, header in zip(films, headers, strict=True) if header and not header.patient_id]
    if unnamed:
        notes.append(f"{' and '.join(unnamed)}: no PatientID, so that both radiographs are of one patient was assumed")
    if first.study_uid and second.study_uid and first.study_uid != second.study_uid:
        notes.append("the radiographs are of two studies: that the patient lay the same way in both was assumed")
    if first.taken and second.taken and first.taken != second.taken:
        days = abs((first.taken - second.taken).days)
        notes.append(f"the radiographs were taken {plural(days, 'day')} apart: that the head did not change was assumed")
    for words in _differences(first, second):
        if same_patient:
            notes.append(f"{words}; they were taken as one, as asked")
        else:
            return [f"{words}; if they are one, say so (same_patient=True, --same-patient)"], notes
    return [], notes


def _differences(first: FilmHeader, second: FilmHeader) -> Iterator[str]:
    """Sentences on what both headers say and cannot both say of one patient at one time."""
    for name in ("patient_id", "patient_name", "birth_date", "sex"):
        a, b = getattr(first, name), getattr(second, name)
        if a and b and _plain(name, a) != _plain(name, b):
            words = f"the radiographs name two patients (their {name.replace('_', ' ')} differs: "
            words += f"{a} and {b})" if name == "sex" else f"{patient_pseudonym(a)} and {patient_pseudonym(b)}, as pseudonyms)"
            yield words
    one, other = first.age_months, second.age_months
    if one and other and max(one[0], other[0]) - min(one[1], other[1]) > _SAME_AGE_MONTHS:
        yield f"the radiographs show a head at two ages, or two patients (their ages differ: {_age(one)} and {_age(other)})"


def _age(months: tuple[float, float]) -> str:
    low, high = months
    return f"{low:.0f} months" if round(low) == round(high) else f"{low:.0f} to {high:.0f} months"


def _plain(name: str, text: str) -> str:
    """A value of the header as it is compared: of names neither case nor empty parts count."""
    return text.rstrip("^ ").casefold() if name == "patient_name" else text

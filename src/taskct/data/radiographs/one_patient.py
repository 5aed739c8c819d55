"""Whether two radiographs show one patient, at one time: what their headers say, without naming anybody."""

from __future__ import annotations

from collections.abc import Mapping

from taskct.data.dicom.identity import patient_pseudonym
from taskct.data.radiographs.film_values import Film


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
    for name in ("patient_id", "patient_name", "birth_date", "sex"):
        a, b = getattr(first, name), getattr(second, name)
        if a and b and _plain(name, a) != _plain(name, b):
            words = f"the radiographs name two patients (their {name.replace('_', ' ')} differs: "
            words += f"{a} and {b})" if name == "sex" else f"{patient_pseudonym(a)} and {patient_pseudonym(b)}, as pseudonyms)"
            if same_patient:
                return [], [*notes, f"{words}; they were taken as one, as asked"]
            return [f"{words}; if they are one, say so (same_patient=True, --same-patient)"], notes
    return [], notes


def _plain(name: str, text: str) -> str:
    """A value of the header as it is compared: of names neither case nor empty parts count."""
    return text.rstrip("^ ").casefold() if name == "patient_name" else text

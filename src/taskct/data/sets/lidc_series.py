"""Which patient of LIDC-IDRI a CT series is of: LUNA16 and LIDC-IDRI hold the same scans under the same series UIDs."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

UID_START = "1.3.6.1.4.1.14519.5.2.1.6279.6001."


@lru_cache(maxsize=1)
def lidc_series() -> dict[str, int]:
    """SeriesInstanceUID -> number of the patient, for the 1,018 CT series of 1,010 patients.

    >>> lidc_series()["1.3.6.1.4.1.14519.5.2.1.6279.6001.154677396354641150280013275227"]
    314
    """
    lines = resources.files("taskct.data.sets").joinpath("lidc_series.csv").read_text(encoding="ascii").splitlines()
    pairs = (line.split(",") for line in lines if not line.startswith("#"))
    return {UID_START + end: int(number) for number, end in pairs}


def lidc_patient(series_uid: str) -> str:
    """What the patient of a series is called here, as where the DICOM is read; "" for a series that is not of LIDC-IDRI."""
    from taskct.data.dicom.identity import patient_pseudonym

    number = lidc_series().get(series_uid)
    return "" if number is None else patient_pseudonym(f"LIDC-IDRI-{number:04d}")


def lidc_case_id(series_uid: str, *, of: str) -> str:
    """A short name such as "lidc-0314"; the second scan of a patient has a 2 at its end; "" for a series of other sets.

    >>> lidc_case_id("1.3.6.1.4.1.14519.5.2.1.6279.6001.154677396354641150280013275227", of="luna")
    'luna-0314'
    """
    number = lidc_series().get(series_uid)
    if number is None:
        return ""
    rank = sum(uid < series_uid for uid, n in lidc_series().items() if n == number)
    return f"{of}-{number:04d}" + (f"-{rank + 1}" if rank else "")

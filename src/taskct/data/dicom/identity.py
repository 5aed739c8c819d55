"""Who an image belongs to: which attributes of a source may be written, and how UIDs are replaced.

De-identification follows the Basic Application Level Confidentiality Profile of DICOM PS3.15 Annex E the safe way round:
nothing is removed from a copy; a new file is built, and only the attributes named here are taken over.
"""

from __future__ import annotations

import hashlib
import uuid
import warnings
from pathlib import Path

from pydicom.dataset import Dataset

from taskct.core.errors import DataError
from taskct.data.dicom.parse import DicomFile
from taskct.data.dicom.values import value

# About the machine and the position on the table; the Basic Profile keeps all of them.
KEPT_ALWAYS = ("KVP", "PatientPosition", "LossyImageCompression")
KEPT_WITH_LOSSY = ("LossyImageCompressionRatio", "LossyImageCompressionMethod")
# BodyPartExamined is kept when it is one of these: free text could stand there, and with a paired part or an unknown one
# DICOM asks for a Laterality that is not known.
# fmt: off
UNPAIRED_PARTS = frozenset({
    "ABDOMEN", "ABDOMENPELVIS", "AORTA", "BRAIN", "CHEST", "CHESTABDOMEN", "CHESTABDPELVIS", "COLON", "CSPINE", "ESOPHAGUS",
    "HEAD", "HEADNECK", "HEART", "LIVER", "LSPINE", "MEDIASTINUM", "NECK", "NECKCHEST", "NECKCHESTABDPELV", "PANCREAS",
    "PELVIS", "PROSTATE", "SKULL", "SPINE", "SPLEEN", "TSPINE", "WHOLEBODY",
})
# fmt: on
# About the patient and the visit; only with deidentify=False.
KEPT_IDENTIFIED = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyDescription",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
)
EMPTY_WHEN_UNKNOWN = (  # type 2: an image must have them, and they may be empty
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)


def new_uid() -> str:
    """A UID that nothing else has (a random UUID under 2.25)."""
    return f"2.25.{uuid.uuid4().int}"


def derived_uid(*words: str) -> str:
    """The same UID for the same words on every machine, from which they cannot be read (SHA-256, as a UUID under 2.25).

    >>> derived_uid("study", "1.2.3") == derived_uid("study", "1.2.3") != derived_uid("study", "1.2.4")
    True
    """
    digest = hashlib.sha256("\x1f".join(words).encode()).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"


def patient_pseudonym(patient_id: str) -> str:
    """A short name for a patient: always the same for the same PatientID, so splits by patient hold; "" for "".

    Reports and tables carry it in place of the hospital's number. It is a plain hash: whoever knows the number can
    recompute it.

    >>> patient_pseudonym("MRN-4711")
    'patient-503e5527'
    """
    return f"patient-{hashlib.sha256(f'patient{chr(31)}{patient_id}'.encode()).hexdigest()[:8]}" if patient_id else ""


def replaced_uid(original: str, *, deidentify: bool) -> str:
    """The UID to write for one of the source: itself, or always the same replacement for it."""
    return derived_uid("uid", original) if deidentify else original


def same_uid(kept: str, original: str) -> bool:
    """True when `kept`, a UID of a case, stands for `original`, a UID of a file: itself, or its replacement."""
    return kept in (original, replaced_uid(original, deidentify=True))


def mark_deidentified(dataset: Dataset, *, pseudonym: str) -> None:
    """Say in the file that it is de-identified, and how."""
    dataset.PatientName = f"Anonymous^{pseudonym}"
    dataset.PatientID = pseudonym
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = [
        "PS3.15 Basic Profile: only listed attributes are written",
        "UIDs replaced; names, numbers, dates and texts left out",
    ]
    dataset.DeidentificationMethodCodeSequence = [code("113100", "DCM", "Basic Application Confidentiality Profile")]
    dataset.LongitudinalTemporalInformationModified = "REMOVED"


def copy_attributes(source: DicomFile, dataset: Dataset, keywords: tuple[str, ...]) -> None:
    """Take over the attributes that the source has and that DICOM allows as they are."""
    for keyword in keywords:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                got = value(source.path, source.header, keyword)
                if got is not None:
                    setattr(dataset, keyword, got)
        except (DataError, ValueError, TypeError):
            continue  # an invalid value of the source is left out


def code(code_value: str, scheme: str, meaning: str) -> Dataset:
    """A coded concept as a sequence item."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code_value, scheme, meaning
    return item


def as_source(dataset: Dataset) -> DicomFile:
    """A dataset of pydicom that is already in memory, as a DicomFile."""
    meta = getattr(dataset, "file_meta", None) or Dataset()
    path = Path(str(getattr(dataset, "filename", None) or "source"))
    return DicomFile(
        path=path,
        header=dataset,
        syntax=str(meta.get("TransferSyntaxUID", "")),
        sop_class=str(dataset.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID", "")),
        sop_uid=str(dataset.get("SOPInstanceUID") or meta.get("MediaStorageSOPInstanceUID", "")),
    )

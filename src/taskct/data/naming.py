"""What a case is called in tables, reports and files: never by a name that may be a patient's.

People name folders and files after patients. A name is kept when all of it is plain: words of the list below, single letters,
and numbers of at most four digits (`volume-12`, `ct`, `s0001`, `liver_003`). Any other name is replaced by `case-` and eight
hexadecimal digits that come from the values of the CT (or the UID of its series), so they are the same every time, differ
between cases, and cannot be guessed from a name. `open_case(..., case_id=...)` gives a name of the caller's choice.
"""

from __future__ import annotations

import hashlib
import re

# Of formats, of data sets and their makers, of the body, of what people call a test. No given names, no surnames.
_WORDS = """
    a an and at by for from in no of on or the to with anon anonymised anonymized axial big body cancer case cases
    chaos chest clean coarse contrast coronal cropped ct ctpa cta data dataset dcm deep demo derived dicom dircadb
    disc disk dose even example examples fbp fdk file final fine first five four full good bad ground truth test train
    training validation val half hdf head high image images img info input ircad ircadb iso kidney kidneys kits label
    labels large last late lesion lesions lidc lits liver lodopab low lower ldct luna lung lungs made main map maps
    mask masked masks mayo mha mhd mono montage msd nhdr nifti nii noise nodule nodules normal nrrd odd one organ
    organs original out output oxygen pancreas part patient patients pelvis phantom phantoms plain post pre pelvic raw
    read rec recon real reference region regions resampled result results sagittal sample samples scan scans seg
    segment segmentation segmentations series set shepp logan short sim simulated sirt site skull slice slices small
    some source spine spleen split stack study sub subject subjects synthetic tcia ten third three thin thick tilted
    tissue total totalseg totalsegmentator tumor tumour tumors tumours tv two upper upright venous arterial vertebra
    vertebrae vol volume volumes water whole written abdomen abdominal heart aorta brain neck hip hips knee thorax
    bone bones box ball cube cylinder siemens philips canon toshiba abdomenct crlm headsq vtk lowres highres cranium
    invesalius coronacases radiopaedia covid
"""
_PLAIN = frozenset(_WORDS.split())
_MOST_DIGITS = 4


def is_plain(name: str) -> bool:
    """True when a name consists of plain words, single letters and numbers of at most four digits.

    >>> [is_plain(name) for name in ("volume-12", "ct", "s0001", "Meier_Hans", "PAT-4711082", "")]
    [True, True, True, False, False, False]
    """
    words = re.findall(r"[^\W\d_]+|\d+", name)
    return bool(words) and all(_is_plain_word(word) for word in words)


def is_generic(name: str) -> bool:
    """True when a name says what a file is and not whose: plain words, without a number or a letter that stands for a patient.

    >>> [is_generic(name) for name in ("ct", "venous_scan", "arterial-ct", "volume-12", "patient_A")]
    [True, True, True, False, False]
    """
    words = re.findall(r"[^\W\d_]+|\d+", name)
    return bool(words) and all(len(word) > 1 and word.lower() in _PLAIN for word in words)


def case_name(name: str, *secrets: str) -> str:
    """`name` when it is plain, else `case-` and eight digits made of `secrets` (a UID, a fingerprint).

    >>> case_name("volume-3", "1.2.3"), case_name("Meier_Hans", "1.2.3")
    ('volume-3', 'case-faddf200')
    """
    return name if is_plain(name) else f"case-{_digest('case', *secrets)}"


def plain_file_name(name: str, *, otherwise: str) -> str:
    """A file's name when it is plain, else `otherwise` with the suffixes of the name.

    >>> plain_file_name("p1_labels.nii.gz", otherwise="labels"), plain_file_name("Meier.nii.gz", otherwise="labels")
    ('p1_labels.nii.gz', 'labels.nii.gz')
    """
    stem, dot, suffixes = name.partition(".")
    if is_plain(stem):
        return name
    return otherwise + (dot + suffixes if re.fullmatch(r"(nii|nii\.gz|mha|mhd|nrrd|nhdr|dcm|h5|hdf5)", suffixes) else "")


def _is_plain_word(word: str) -> bool:
    if word.isdigit():
        return len(word) <= _MOST_DIGITS
    return len(word) == 1 or word.lower() in _PLAIN


def _digest(*words: str) -> str:
    return hashlib.sha256("\x1f".join(words).encode()).hexdigest()[:8]

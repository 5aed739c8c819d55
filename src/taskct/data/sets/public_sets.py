"""Public CT sets that taskct reads: what they hold, under which licence, where they are, and what loads them.

Nothing is downloaded from here: most of these sets ask for a registration or an agreement that only you can give. Facts
are as the owners publish them; sizes are rounded, and `None` means that we do not know it for certain.
"""

from __future__ import annotations

from dataclasses import dataclass

from taskct.core.errors import InputError, unknown_name


@dataclass(frozen=True, kw_only=True)
class PublicData:
    """One public set. `sha256` maps file names to hashes where the owners publish them."""

    name: str
    title: str
    content: str
    licence: str
    size: str
    where: str
    loads: str
    cite: str
    access: str
    sha256: dict[str, str] | None = None


_SETS = (
    PublicData(
        name="lodopab",
        title="LoDoPaB-CT",
        content="42,895 chest slices of LIDC-IDRI (362 x 362) with simulated low-dose sinograms (1000 x 513)",
        licence="CC BY 4.0",
        size="about 55 GB zipped, 115 GB unpacked",
        where="Zenodo, doi:10.5281/zenodo.3384092",
        access="free download",
        loads="taskct.data.sets.lodopab.LodopabFiles(folder, part); open_cases(folder) for the images alone",
        cite="Leuschner, Schmidt, Baguer, Maass, Sci. Data 8:109 (2021)",
    ),
    PublicData(
        name="lits",
        title="LiTS, Liver Tumor Segmentation Challenge",
        content="201 contrast CT of the abdomen from 7 centres, 131 with liver and liver-tumour labels",
        licence="as stated by the challenge (copies say CC BY-NC-ND 4.0); read it before use",
        size="about 50 GB unpacked",
        where="challenge page 'LiTS' on competitions.codalab.org (competition 17094)",
        access="registration",
        loads="open_cases(folder) with volume-N.nii and segmentation-N.nii, also in two sub-folders",
        cite="Bilic et al., Med. Image Anal. 84:102680 (2023), arXiv:1901.04056",
    ),
    PublicData(
        name="msd-liver",
        title="Medical Segmentation Decathlon, Task03 Liver",
        content="201 CT, 131 with liver and cancer labels: LiTS in another packing, so never train on one and test on the "
        "other",
        licence="CC BY-SA 4.0",
        size="about 27 GB packed",
        where="medicaldecathlon.com",
        access="free download",
        loads="open_cases('Task03_Liver') with imagesTr, labelsTr and dataset.json",
        cite="Antonelli et al., Nat. Commun. 13:4128 (2022)",
    ),
    PublicData(
        name="lidc-idri",
        title="LIDC-IDRI",
        content="1,018 chest CT of 1,010 patients with lung nodules marked by four radiologists (XML)",
        licence="CC BY 3.0",
        size="about 130 GB",
        where="The Cancer Imaging Archive, doi:10.7937/K9/TCIA.2015.LO9QL9SX",
        access="free download (NBIA Data Retriever)",
        loads="open_case(series folder), open_cases(folder) for all series; the XML marks are not read",
        cite="Armato et al., Med. Phys. 38:915 (2011)",
    ),
    PublicData(
        name="ldct",
        title="LDCT-and-Projection-data",
        content="299 clinical CT of head, chest and abdomen with projections (DICOM-CT-PD) at routine and simulated low dose",
        licence="as stated on its page, where heads are under another licence than the rest; read it before use",
        size="about 1.2 TB",
        where="The Cancer Imaging Archive, doi:10.7937/9NPB-2637",
        access="free download, some parts by agreement",
        loads="open_case(series folder) for the images; projections in DICOM-CT-PD are not read yet",
        cite="Moen et al., Med. Phys. 48:902 (2021)",
    ),
    PublicData(
        name="chaos",
        title="CHAOS, Combined Healthy Abdominal Organ Segmentation (CT part)",
        content="40 contrast CT of healthy livers, 20 with liver masks (the set also has MR, which is not read)",
        licence="CC BY-SA 4.0",
        size="about 2 GB with the MR part",
        where="Zenodo, doi:10.5281/zenodo.3431873",
        access="free download",
        loads="open_cases('Train_Sets/CT') with N/DICOM_anon and N/Ground",
        cite="Kavur et al., Med. Image Anal. 69:101950 (2021)",
    ),
    PublicData(
        name="totalsegmentator",
        title="TotalSegmentator CT dataset",
        content="1,228 CT (version 2) of many body parts with 117 organ masks, made by a network and corrected by people",
        licence="CC BY 4.0",
        size="about 24 GB packed (version 2, 1.5 mm)",
        where="Zenodo, doi:10.5281/zenodo.6802613",
        access="free download",
        loads="open_cases(folder), or open_case('s0000') for one, with ct.nii.gz and segmentations/",
        cite="Wasserthal et al., Radiol. Artif. Intell. 5:e230024 (2023)",
    ),
)
CATALOGUE = {data.name: data for data in _SETS}


def list_data() -> tuple[PublicData, ...]:
    """All public sets that taskct knows.

    >>> [data.name for data in list_data()][:3]
    ['lodopab', 'lits', 'msd-liver']
    """
    return _SETS


def find_data(name: str) -> PublicData:
    """The set called `name` (its short name or its title, capitals do not matter); InputError otherwise."""
    for data in _SETS:
        if name.strip().lower() in (data.name, data.title.lower()):
            return data
    raise unknown_name("public data set", name, CATALOGUE, error=InputError)

"""Public CT sets that taskct reads: what they hold, under which licence, where they are, and what loads them.

Nothing is downloaded from here: most of these sets ask for a registration or an agreement that only you can give. Facts
are as the owners publish them; sizes are rounded, and `None` means that we do not know it for certain.
"""

from __future__ import annotations

from dataclasses import dataclass

from taskct.core.errors import InputError, unknown_name


@dataclass(frozen=True, kw_only=True)
class PublicData:
    """One public set. `sha256` maps file names to hashes where the owners publish them.

    `same_patients_as` names sets with the same patients: never train on one and test on another.
    """

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
    same_patients_as: tuple[str, ...] = ()

    @property
    def flags(self) -> tuple[str, ...]:
        """What its licence forbids, in short: NC (no commercial use), ND (nothing derived from it may be given on)."""
        words = self.licence.replace(",", " ").replace(")", " ").replace("-", " ").split()
        return tuple(flag for flag in ("NC", "ND") if flag in words)


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
        same_patients_as=("lidc-idri", "luna16"),
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
        same_patients_as=("msd-liver",),
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
        same_patients_as=("lits",),
    ),
    PublicData(
        name="lidc-idri",
        title="LIDC-IDRI",
        content="1,018 chest CT of 1,010 patients with lung nodules marked by four radiologists (XML)",
        licence="CC BY 3.0",
        size="about 130 GB",
        where="The Cancer Imaging Archive, doi:10.7937/K9/TCIA.2015.LO9QL9SX",
        access="free download (NBIA Data Retriever)",
        loads="open_lidc(folder) of taskct.data.marked_set, or open_cases(folder): CT with the nodules of the readers' XML",
        cite="Armato et al., Med. Phys. 38:915 (2011)",
        same_patients_as=("luna16", "lodopab"),
    ),
    PublicData(
        name="luna16",
        title="LUNA16, Lung Nodule Analysis 2016",
        content="888 chest CT of LIDC-IDRI as MetaImage in ten subsets, 1,186 nodules by centre and diameter",
        licence="CC BY 4.0",
        size="about 120 GB unpacked",
        where="luna16.grand-challenge.org (Zenodo, doi:10.5281/zenodo.3723295 and 10.5281/zenodo.4121926)",
        access="free download",
        loads="open_luna16(folder) of taskct.data.marked_set, or open_cases(folder), with subsetN/*.mhd and annotations.csv",
        cite="Setio et al., Med. Image Anal. 42:1 (2017)",
        same_patients_as=("lidc-idri", "lodopab"),
    ),
    PublicData(
        name="msd-lung",
        title="Medical Segmentation Decathlon, Task06 Lung",
        content="96 chest CT, 63 with labels of lung cancer; nothing else is labelled, so background is not healthy",
        licence="CC BY-SA 4.0",
        size="about 9 GB packed",
        where="medicaldecathlon.com",
        access="free download",
        loads="open_msd_lung('Task06_Lung') of taskct.data.marked_set, with imagesTr, labelsTr, dataset.json",
        cite="Antonelli et al., Nat. Commun. 13:4128 (2022)",
    ),
    PublicData(
        name="covid19-ct-seg",
        title="COVID-19-CT-Seg, COVID-19 CT Lung and Infection Segmentation",
        content="20 chest CT of COVID-19 with lungs and infection; ten of them are windowed and scaled to 0 to 255, not HU",
        licence="CC BY-NC-SA 4.0",
        size="about 1 GB packed",
        where="Zenodo, doi:10.5281/zenodo.3757476",
        access="free download",
        loads="open_covid19(folder) of taskct.data.marked_set, with COVID-19-CT-Seg_20cases and Lung_and_Infection_Mask",
        cite="Ma et al., Med. Phys. 48:1197 (2021), arXiv:2004.12537",
    ),
    PublicData(
        name="mosmed",
        title="MosMedData COVID19_1110",
        content="1,110 chest CT in five degrees of COVID-19, 50 of them with a mask of ground glass and consolidation in one",
        licence="CC BY-NC-ND 3.0",
        size="about 30 GB unpacked",
        where="mosmed.ai; described in arXiv, doi:10.48550/arXiv.2005.06465",
        access="registration",
        loads="open_marked(folder, masks={1: 'infection'}) of taskct.data.marked_set, with studies/CT-N and masks",
        cite="Morozov et al., arXiv:2005.06465",
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


_FLAGS = {
    "NC": "NC: no commercial use, of networks trained on it neither unless its owners say otherwise",
    "ND": "ND: what is made of it (crops, masks, reconstructions) may not be given to others",
}


def restrictions(data: PublicData) -> tuple[str, ...]:
    """What a user must know before use, a line each: flags of the licence, and sets with the same patients."""
    same = ", ".join(data.same_patients_as)
    shared = (f"the same patients as {same}: never train on one and test on another",) if same else ()
    return (*(_FLAGS[flag] for flag in data.flags), *shared)


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

"""Built-in abdominal patients with liver tumours: computed, labelled, seeded; and lesions put into or taken out of real CT."""

from taskct.data.cohort.cohort import PARTS, Cohort, CohortSlices, part_of
from taskct.data.cohort.insertion import insert_lesion, remove_lesion
from taskct.data.cohort.intensities import LABEL_NAMES, Organ
from taskct.data.cohort.lesions import Lesion
from taskct.data.cohort.patient import Patient, make_patient, patient_id
from taskct.data.cohort.settings import CohortSettings

__all__ = [
    "LABEL_NAMES",
    "PARTS",
    "Cohort",
    "CohortSettings",
    "CohortSlices",
    "Lesion",
    "Organ",
    "Patient",
    "insert_lesion",
    "make_patient",
    "part_of",
    "patient_id",
    "remove_lesion",
]

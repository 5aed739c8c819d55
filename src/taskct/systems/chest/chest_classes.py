"""What the heads are asked about, and what they are told."""

from __future__ import annotations

from taskct.data.nodule_kinds import GLASS, PART_SOLID, SOLID
from taskct.phantoms.chest.disease import CONSOLIDATION, GROUND_GLASS
from taskct.task import HuWindow
from taskct.training.truths import BoxesTruth, ClassMapTruth, FindingsTruth, ImageTruth, Truth

TASKS = ("classify", "segment", "restore", "detect")
NODULES = (SOLID, PART_SOLID, GLASS)
INFECTION = (GROUND_GLASS, CONSOLIDATION)
JOINED = "infection"  # patches of one infection that touch are one lesion to be found

FINDINGS = {"nodule": NODULES, "infection": INFECTION, "effusion": ("effusion",)}
AREAS = {"nodule": NODULES, GROUND_GLASS: (GROUND_GLASS,), CONSOLIDATION: (CONSOLIDATION,), "effusion": ("effusion",)}
LESIONS = {"nodule": NODULES, "infection": (JOINED,)}
BALANCE = {"nodule": NODULES, "infection": INFECTION}
AREA_WEIGHTS = (0.5, 4.0, 1.0, 2.0, 1.0)  # of background and the areas in the cross entropy: nodules are few pixels

SLICE_MM = 4.65  # between the slices that the networks of the package were trained on: 41 over the lungs
LEAST_PIXELS = 3  # sections of nodules with fewer pixels count neither way

TRUTHS: dict[str, Truth] = {
    "classify": FindingsTruth(FINDINGS),
    "segment": ClassMapTruth(AREAS),
    "restore": ImageTruth(),
    "detect": BoxesTruth(LESIONS, joined={JOINED: INFECTION}),
}

WINDOW = HuWindow(-400.0, 1600.0, leak=0.05)  # -1200 to 400 HU: what the encoder sees, and the unit of the reconstruction head

"""Learned dose: how many photons a patient needs, from what is known before the scan."""

from taskct.systems.alara.learned.constraints import CONSTRAINTS, Constraint, Hinge, MeanQuality, ShareOfPatients
from taskct.systems.alara.learned.dose_module import Decision, DoseModule, DoseSpec
from taskct.systems.alara.learned.dose_system import Classical, DoseSystem
from taskct.systems.alara.learned.goal import DoseGoal
from taskct.systems.alara.learned.held_check import HeldCheck, NotHeldWarning
from taskct.systems.alara.learned.load_dose import load_dose, load_strategy
from taskct.systems.alara.learned.prior import PriorInfo
from taskct.systems.alara.learned.strategy import Advice, LearnedDose
from taskct.systems.alara.learned.train_dose import TrainedDose, train_dose

__all__ = [
    "CONSTRAINTS",
    "Advice",
    "Classical",
    "Constraint",
    "Decision",
    "DoseGoal",
    "DoseModule",
    "DoseSpec",
    "DoseSystem",
    "HeldCheck",
    "Hinge",
    "LearnedDose",
    "MeanQuality",
    "NotHeldWarning",
    "PriorInfo",
    "ShareOfPatients",
    "TrainedDose",
    "load_dose",
    "load_strategy",
    "train_dose",
]

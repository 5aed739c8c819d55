"""Dose that is learnt: how many photons a patient needs, from what is known of him before the scan."""

from taskct.training.dose.constraints import CONSTRAINTS, Constraint, Hinge, MeanQuality, ShareOfPatients
from taskct.training.dose.loop import TrainedDose, train_dose
from taskct.training.dose.module import Decision, DoseModule, DoseSpec
from taskct.training.dose.prior import PriorInfo
from taskct.training.dose.saved import load_dose, load_strategy
from taskct.training.dose.strategy import Advice, LearnedDose
from taskct.training.dose.system import Classical, DoseSystem

__all__ = [
    "CONSTRAINTS",
    "Advice",
    "Classical",
    "Constraint",
    "Decision",
    "DoseModule",
    "DoseSpec",
    "DoseSystem",
    "Hinge",
    "LearnedDose",
    "MeanQuality",
    "PriorInfo",
    "ShareOfPatients",
    "TrainedDose",
    "load_dose",
    "load_strategy",
    "train_dose",
]

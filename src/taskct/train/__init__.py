"""Whatever has an optimiser: reconstructions, readers, and the objectives in which both meet."""

from taskct.train.augment import Augmentation
from taskct.train.baselines import train_in_sequence, train_jointly
from taskct.train.batch import Batch
from taskct.train.doses import DoseRange
from taskct.train.fit import Trained
from taskct.train.images import CleanScans, ImageSet
from taskct.train.loop import train
from taskct.train.objective import Balanced, Constrained, Objective, additive, convex
from taskct.train.processes import processes_of_torchrun
from taskct.train.readers import train_reader
from taskct.train.schedules import WarmUp
from taskct.train.settings import TrainSettings
from taskct.train.terms import FeaturePenalty, ImageError, JointPenalty, LabelPenalty, MeanOf, TeacherPenalty, TurnsOf

__all__ = [
    "Augmentation",
    "Balanced",
    "Batch",
    "CleanScans",
    "Constrained",
    "DoseRange",
    "FeaturePenalty",
    "ImageError",
    "ImageSet",
    "JointPenalty",
    "LabelPenalty",
    "MeanOf",
    "Objective",
    "TeacherPenalty",
    "TrainSettings",
    "Trained",
    "TurnsOf",
    "WarmUp",
    "additive",
    "convex",
    "processes_of_torchrun",
    "train",
    "train_in_sequence",
    "train_jointly",
    "train_reader",
]

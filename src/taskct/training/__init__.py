"""Whatever has an optimiser: reconstructions, readers, and the objectives in which both meet."""

from taskct.training.adversarial import FoolPenalty, discriminator_player
from taskct.training.augment import Augmentation
from taskct.training.balanced import Balanced, Uncertain
from taskct.training.baselines import train_in_sequence, train_jointly
from taskct.training.batch import Batch
from taskct.training.doses import DoseRange
from taskct.training.loop import Trained, fit
from taskct.training.objective import Constrained, Objective, additive, convex
from taskct.training.players import Player
from taskct.training.processes import processes_of_torchrun
from taskct.training.schedules import WarmUp
from taskct.training.shaken import ShakenPenalty
from taskct.training.shared_training import train_shared
from taskct.training.sharing import preload, shared_objective
from taskct.training.terms import (
    AnswerPenalty,
    FeaturePenalty,
    ImageError,
    JointPenalty,
    LabelPenalty,
    MeanOf,
    TeacherPenalty,
    TurnsOf,
)
from taskct.training.train_reader import train_reader
from taskct.training.train_reconstructor import train
from taskct.training.train_settings import DescentSettings, TrainSettings
from taskct.training.train_task import train_task
from taskct.training.truths import BoxesTruth, ClassMapTruth, FindingsTruth, ImageTruth

__all__ = [
    "AnswerPenalty",
    "Augmentation",
    "Balanced",
    "Batch",
    "BoxesTruth",
    "ClassMapTruth",
    "Constrained",
    "DescentSettings",
    "DoseRange",
    "FeaturePenalty",
    "FindingsTruth",
    "FoolPenalty",
    "ImageError",
    "ImageTruth",
    "JointPenalty",
    "LabelPenalty",
    "MeanOf",
    "Objective",
    "Player",
    "ShakenPenalty",
    "TeacherPenalty",
    "TrainSettings",
    "Trained",
    "TurnsOf",
    "Uncertain",
    "WarmUp",
    "additive",
    "convex",
    "discriminator_player",
    "fit",
    "preload",
    "processes_of_torchrun",
    "shared_objective",
    "train",
    "train_in_sequence",
    "train_jointly",
    "train_reader",
    "train_shared",
    "train_task",
]

"""Readers of images: frozen task networks whose gradient reaches the image. They do not know who reconstructed it."""

from taskct.task.answers import MergedClasses
from taskct.task.boxes import Boxes, FoundBoxes
from taskct.task.centres import CentreBoxes, find_boxes
from taskct.task.classification import PresenceBCE
from taskct.task.detection import CentreFocal, find_peaks
from taskct.task.features import FeatureDistance, layer_names
from taskct.task.findings import FindingsBCE
from taskct.task.frozen import FrozenTask, freeze
from taskct.task.grids import OnGrid, Padded
from taskct.task.nnunet import load_nnunet
from taskct.task.overlap_penalties import SEGMENTATION_PENALTIES, FocalCE, GeneralisedDice, SoftDice, Tversky
from taskct.task.penalties import DiceCE, SoftTeacher, soft_dice
from taskct.task.prepare import Chain, HuWindow, Resample
from taskct.task.saved_weights import load_network, read_weights
from taskct.task.shared_heads import tasks_of
from taskct.task.sliding import SlidingWindow

__all__ = [
    "SEGMENTATION_PENALTIES",
    "Boxes",
    "CentreBoxes",
    "CentreFocal",
    "Chain",
    "DiceCE",
    "FeatureDistance",
    "FindingsBCE",
    "FocalCE",
    "FoundBoxes",
    "FrozenTask",
    "GeneralisedDice",
    "HuWindow",
    "MergedClasses",
    "OnGrid",
    "Padded",
    "PresenceBCE",
    "Resample",
    "SlidingWindow",
    "SoftDice",
    "SoftTeacher",
    "Tversky",
    "find_boxes",
    "find_peaks",
    "freeze",
    "layer_names",
    "load_network",
    "load_nnunet",
    "read_weights",
    "soft_dice",
    "tasks_of",
]

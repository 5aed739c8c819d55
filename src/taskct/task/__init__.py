"""Readers of images: frozen task networks whose gradient reaches the image. They do not know who reconstructed it."""

from taskct.task.features import FeatureDistance
from taskct.task.frozen import FrozenTask, freeze
from taskct.task.penalties import DiceCE, SoftTeacher, soft_dice
from taskct.task.prepare import Chain, HuWindow, Resample

__all__ = ["Chain", "DiceCE", "FeatureDistance", "FrozenTask", "HuWindow", "Resample", "SoftTeacher", "freeze", "soft_dice"]

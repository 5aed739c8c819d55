"""Trained networks that somebody can use: weights, the config that rebuilds the network, and a card that tells its use."""

from taskct.models.model_card import Card, Figure, TrainingData
from taskct.models.model_folder import NoCardWarning, SavedModel, open_model
from taskct.models.pack_model import pack_model
from taskct.models.package_models import shipped_models

__all__ = ["Card", "Figure", "NoCardWarning", "SavedModel", "TrainingData", "open_model", "pack_model", "shipped_models"]

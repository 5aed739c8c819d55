"""Learned reconstruction: modules that are callables `(p, A) -> mu` with the projector inside, exact gradients through it."""

from taskct.recon.learned.biplanar import BIPLANAR, BiPlanarNet, preset_config
from taskct.recon.learned.fbp_net import FBPNet, fbp_redcnn, fbp_unet
from taskct.recon.learned.itnet import ItNet
from taskct.recon.learned.learned_primal_dual import LearnedPrimalDual
from taskct.recon.learned.saved import LEARNED, check_model, load_reconstructor, make_model
from taskct.recon.learned.scaling import MuScale
from taskct.recon.learned.trained_for import TrainedFor, check_units, check_unseen, common_scan, trained_for, warn_of_doses

__all__ = [
    "BIPLANAR",
    "LEARNED",
    "BiPlanarNet",
    "FBPNet",
    "ItNet",
    "LearnedPrimalDual",
    "MuScale",
    "TrainedFor",
    "check_model",
    "check_units",
    "check_unseen",
    "common_scan",
    "fbp_redcnn",
    "fbp_unet",
    "load_reconstructor",
    "make_model",
    "preset_config",
    "trained_for",
    "warn_of_doses",
]

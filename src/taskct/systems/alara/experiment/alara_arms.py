"""What is trained: which quality is held, how, and through which reconstruction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from taskct.core.errors import unknown_name
from taskct.systems.alara.learned import Constraint, Hinge, MeanQuality, ShareOfPatients


@dataclass(frozen=True)
class DoseArm:
    """One training: a quality, a way to hold it, a reconstruction.

    quality    of QUALITIES; its bound is what the reconstruction gives at the fallback dose on validation patients
    hold       mean, share (of `promised` patients), hinge (its weight is raised until it holds) or fixed hinge (as published)
    model      fbp or unet (FBP + U-Net, learned along)
    noise      of the training: pre-log, or post-log as a warning
    modulate   whether the current follows slices and views; otherwise a patient gets one number
    profile    cosines over a slice's place in the scan that are learnt for all patients
    """

    about: str
    quality: str
    hold: str = "mean"
    model: str = "fbp"
    noise: str = "pre-log"
    modulate: bool = False
    profile: int = 0
    prior: str = "scout"

    @property
    def of_task(self) -> bool:
        """Whether a reader says how good an image is."""
        return self.quality in TASKS

    def constraint(self, promised: float) -> Constraint:
        """A fresh constraint."""
        if self.hold == "mean" and self.of_task:  # a batch's mean Dice jumps: a gentler pull
            return MeanQuality(rho=0.05, rate=0.01, first=0.2)
        if self.hold == "mean":
            return MeanQuality(rho=0.1, rate=0.02, first=0.15)
        if self.hold == "fixed hinge":
            return Hinge(weight=1.0)
        return ShareOfPatients(promised, rate=0.2, first=1.5) if self.hold == "share" else Hinge(weight=1.0, rate=0.05)


def criteria(quality: str, promised: float) -> tuple[str | float, ...]:
    """Under which strategies are compared: the mean, and but for tasks (a patient's Dice jumps) a share of patients too."""
    return ("mean",) if quality in TASKS else ("mean", promised)


QUALITIES: Mapping[str, str] = {
    "noise": "noise_sd_hu[liver]",
    "rmse": "rmse_hu",
    "psnr": "psnr[image range]",
    "psnr-fr": "psnr[fixed range]",
    "dice": "tumour.dice",
    "liver": "liver.dice",
}

TASKS = ("dice", "liver")
PSNRS = ("psnr", "psnr-fr")
UNLABELLED = PSNRS

ARMS: Mapping[str, DoseArm] = {
    "fbp-noise-views": DoseArm("FBP, mean noise in the liver, current by slice and view", "noise", modulate=True),
    "fbp-noise-share": DoseArm(
        "FBP, noise in the liver of nine patients in ten, current by slice and view", "noise", hold="share", modulate=True
    ),
    "fbp-liver-views": DoseArm(
        "FBP, mean Dice of the liver as a reader finds it, current by slice and view", "liver", modulate=True, profile=3
    ),
    "fbp-tumour-views": DoseArm(
        "FBP, mean Dice of tumours as a reader finds them, current by slice and view", "dice", modulate=True, profile=3
    ),
    "unet-rmse-mean": DoseArm("FBP + U-Net, mean RMSE, current by slice and view", "rmse", model="unet", modulate=True),
    "unet-dice-mean": DoseArm(
        "FBP + U-Net, mean Dice of tumours as a reader finds them, current by slice and view",
        "dice",
        model="unet",
        modulate=True,
        profile=3,
    ),
    "fbp-noise-mean": DoseArm("FBP, mean noise in the liver, one number a patient", "noise"),
    "fbp-noise-postlog": DoseArm("the same, trained with noise after the logarithm", "noise", noise="post-log"),
    "unet-rmse-share": DoseArm(
        "FBP + U-Net, RMSE of nine patients in ten, current by slice and view",
        "rmse",
        hold="share",
        model="unet",
        modulate=True,
    ),
    "unet-psnr-hinge": DoseArm(
        "FBP + U-Net, PSNR by the published hinge, its weight raised until it holds, one number a patient",
        "psnr",
        hold="hinge",
        model="unet",
    ),
    "unet-psnr-hinge-fixed": DoseArm(
        "FBP + U-Net, PSNR by the published hinge of weight 1, one number a patient", "psnr", hold="fixed hinge", model="unet"
    ),
    "unet-psnr-fr-hinge": DoseArm(
        "FBP + U-Net, PSNR of a fixed range by the published hinge, its weight raised until it holds, one number a patient",
        "psnr-fr",
        hold="hinge",
        model="unet",
    ),
}


def arm_named(name: str) -> DoseArm:
    """An arm; ConfigError for a name that is none."""
    if name not in ARMS:
        raise unknown_name("arm", name, ARMS)
    return ARMS[name]

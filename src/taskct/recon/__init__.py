"""Reconstruction: callables `(p, A, ...) -> mu` from projections p and their projector A to attenuation in 1/mm."""

from taskct.recon.cgls import cgls
from taskct.recon.fbp import fbp
from taskct.recon.fdk import fdk
from taskct.recon.os_sart import os_sart
from taskct.recon.reconstructor import Reconstructor
from taskct.recon.redundancy import IncompleteScanWarning
from taskct.recon.sirt import sirt
from taskct.recon.tv_iterations import tv_steps
from taskct.recon.tv_min import ConvergenceWarning, tv_min
from taskct.recon.tv_problem import TvProblem
from taskct.recon.tv_step import TvStep

__all__ = [
    "RECONSTRUCTORS",
    "ConvergenceWarning",
    "IncompleteScanWarning",
    "Reconstructor",
    "TvProblem",
    "TvStep",
    "cgls",
    "fbp",
    "fdk",
    "os_sart",
    "sirt",
    "tv_min",
    "tv_steps",
]

RECONSTRUCTORS = {"fbp": fbp, "fdk": fdk, "sirt": sirt, "cgls": cgls, "os_sart": os_sart, "tv_min": tv_min}

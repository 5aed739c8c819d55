"""taskct: task-aware low-dose CT. `import taskct` is light; each public name is loaded when it is first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what editors and type checkers read; a test holds it equal to the tables below
    from taskct import bench as bench
    from taskct import core as core
    from taskct import data as data
    from taskct import evaluation as evaluation
    from taskct import experiments as experiments
    from taskct import geometry as geometry
    from taskct import models as models
    from taskct import nets as nets
    from taskct import phantoms as phantoms
    from taskct import physics as physics
    from taskct import recon as recon
    from taskct import report as report
    from taskct import simulate as simulate
    from taskct import systems as systems
    from taskct import task as task
    from taskct import testing as testing
    from taskct import training as training
    from taskct import viewer as viewer
    from taskct.core.runs import Run as Run
    from taskct.core.runs import load_run as load_run
    from taskct.core.units import to_hu as to_hu
    from taskct.core.units import to_mu as to_mu
    from taskct.data.case import Case as Case
    from taskct.data.classes import liver_classes as liver_classes
    from taskct.data.dicom.derived_series import write_series as write_series
    from taskct.data.image_store import open_store as open_store
    from taskct.data.images import ImageSet as ImageSet
    from taskct.data.nifti import write_nifti as write_nifti
    from taskct.data.open import open_case as open_case
    from taskct.data.open import open_cases as open_cases
    from taskct.data.prepared_store import prepare_store as prepare_store
    from taskct.data.radiographs import read_radiographs as read_radiographs
    from taskct.data.scan import Scan as Scan
    from taskct.data.scan import read_scan as read_scan
    from taskct.data.scan import write_scan as write_scan
    from taskct.data.splits import split_by_patient as split_by_patient
    from taskct.evaluation import Table as Table
    from taskct.evaluation import evaluate as evaluate
    from taskct.evaluation import tune as tune
    from taskct.evaluation.dose import DoseSearch as DoseSearch
    from taskct.evaluation.dose import optimise_dose as optimise_dose
    from taskct.geometry import ConeBeam as ConeBeam
    from taskct.geometry import FanBeam as FanBeam
    from taskct.geometry import Grid as Grid
    from taskct.geometry import ParallelBeam as ParallelBeam
    from taskct.geometry import VectorBeam as VectorBeam
    from taskct.geometry import bi_planar as bi_planar
    from taskct.models import open_model as open_model
    from taskct.models import pack_model as pack_model
    from taskct.phantoms import phantom_case as phantom_case
    from taskct.phantoms.cohort import Cohort as Cohort
    from taskct.phantoms.lesions import insert_lesion as insert_lesion
    from taskct.phantoms.lesions import remove_lesion as remove_lesion
    from taskct.phantoms.lesions.of_case import case_lesions as case_lesions
    from taskct.physics.dose import Dose as Dose
    from taskct.physics.projector import Projector as Projector
    from taskct.recon import cgls as cgls
    from taskct.recon import fbp as fbp
    from taskct.recon import fdk as fdk
    from taskct.recon import os_sart as os_sart
    from taskct.recon import sirt as sirt
    from taskct.recon import tv_min as tv_min
    from taskct.recon.learned import LearnedPrimalDual as LearnedPrimalDual
    from taskct.recon.learned import fbp_redcnn as fbp_redcnn
    from taskct.recon.learned import fbp_unet as fbp_unet
    from taskct.recon.learned import load_reconstructor as load_reconstructor
    from taskct.recon.pose_refinement import refine_poses as refine_poses
    from taskct.recon.reconstructor import Reconstructor as Reconstructor
    from taskct.report import draw_geometry as draw_geometry
    from taskct.report import show as show
    from taskct.report import write_report as write_report
    from taskct.simulate import lodopab_scan as lodopab_scan
    from taskct.simulate import lower_dose as lower_dose
    from taskct.simulate import scan_case as scan_case
    from taskct.simulate import simulate_scan as simulate_scan
    from taskct.simulate import simulate_scan_differentiable as simulate_scan_differentiable
    from taskct.simulate.radiograph import take_radiographs as take_radiographs
    from taskct.systems.alara.learned import train_dose as train_dose
    from taskct.task import FrozenTask as FrozenTask
    from taskct.task import freeze as freeze
    from taskct.task.readers import ReaderSpec as ReaderSpec
    from taskct.task.readers import load_reader as load_reader
    from taskct.training import DoseRange as DoseRange
    from taskct.training import FeaturePenalty as FeaturePenalty
    from taskct.training import ImageError as ImageError
    from taskct.training import LabelPenalty as LabelPenalty
    from taskct.training import Player as Player
    from taskct.training import TrainSettings as TrainSettings
    from taskct.training import convex as convex
    from taskct.training import fit as fit
    from taskct.training import train as train
    from taskct.training import train_reader as train_reader
    from taskct.training import train_task as train_task

__version__ = "0.1.0"

_HOMES = {
    # nouns
    "Grid": "taskct.geometry",
    "ParallelBeam": "taskct.geometry",
    "FanBeam": "taskct.geometry",
    "ConeBeam": "taskct.geometry",
    "VectorBeam": "taskct.geometry",
    "bi_planar": "taskct.geometry",
    "Projector": "taskct.physics.projector",
    "Dose": "taskct.physics.dose",
    "Case": "taskct.data.case",
    "Scan": "taskct.data.scan",
    "FrozenTask": "taskct.task",
    "freeze": "taskct.task",
    "Run": "taskct.core.runs",
    "Reconstructor": "taskct.recon.reconstructor",
    # from files to attenuation and back
    "open_case": "taskct.data.open",
    "read_radiographs": "taskct.data.radiographs",
    "open_cases": "taskct.data.open",
    "prepare_store": "taskct.data.prepared_store",
    "open_store": "taskct.data.image_store",
    "phantom_case": "taskct.phantoms",
    "Cohort": "taskct.phantoms.cohort",
    "insert_lesion": "taskct.phantoms.lesions",
    "remove_lesion": "taskct.phantoms.lesions",
    "case_lesions": "taskct.phantoms.lesions.of_case",
    "liver_classes": "taskct.data.classes",
    "split_by_patient": "taskct.data.splits",
    "to_hu": "taskct.core.units",
    "to_mu": "taskct.core.units",
    "write_nifti": "taskct.data.nifti",
    "write_series": "taskct.data.dicom.derived_series",
    "read_scan": "taskct.data.scan",
    "write_scan": "taskct.data.scan",
    # low dose
    "simulate_scan": "taskct.simulate",
    "simulate_scan_differentiable": "taskct.simulate",
    "scan_case": "taskct.simulate",
    "lodopab_scan": "taskct.simulate",
    "lower_dose": "taskct.simulate",
    "take_radiographs": "taskct.simulate.radiograph",
    # reconstruction
    "fbp": "taskct.recon",
    "fdk": "taskct.recon",
    "sirt": "taskct.recon",
    "cgls": "taskct.recon",
    "os_sart": "taskct.recon",
    "tv_min": "taskct.recon",
    "refine_poses": "taskct.recon.pose_refinement",
    # proof
    "Table": "taskct.evaluation",
    "evaluate": "taskct.evaluation",
    "tune": "taskct.evaluation",
    # learning
    "ImageSet": "taskct.data.images",
    "DoseRange": "taskct.training",
    "ImageError": "taskct.training",
    "LabelPenalty": "taskct.training",
    "FeaturePenalty": "taskct.training",
    "convex": "taskct.training",
    "train": "taskct.training",
    "train_reader": "taskct.training",
    "ReaderSpec": "taskct.task.readers",
    "train_task": "taskct.training",
    "fit": "taskct.training",
    "Player": "taskct.training",
    "load_reconstructor": "taskct.recon.learned",
    "load_reader": "taskct.task.readers",
    "open_model": "taskct.models",
    "pack_model": "taskct.models",
    "TrainSettings": "taskct.training",
    "fbp_unet": "taskct.recon.learned",
    "fbp_redcnn": "taskct.recon.learned",
    "LearnedPrimalDual": "taskct.recon.learned",
    "DoseSearch": "taskct.evaluation.dose",
    "optimise_dose": "taskct.evaluation.dose",
    "train_dose": "taskct.systems.alara.learned",
    "load_run": "taskct.core.runs",
    "write_report": "taskct.report",
    "draw_geometry": "taskct.report",
    "show": "taskct.report",
}

_SUBMODULES = (
    "bench",
    "core",
    "data",
    "evaluation",
    "experiments",
    "geometry",
    "models",
    "nets",
    "phantoms",
    "physics",
    "recon",
    "report",
    "simulate",
    "systems",
    "task",
    "testing",
    "training",
    "viewer",
)

__all__ = [*_HOMES, "__version__"]  # noqa: PLE0604  (the names are the keys above, so the list cannot drift)

if not TYPE_CHECKING:  # a type checker that saw this function would accept every name

    def __getattr__(name: str) -> Any:
        if name in _SUBMODULES:
            return importlib.import_module(f"taskct.{name}")
        if name not in _HOMES:
            raise AttributeError(_no_such_name(name))
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*__all__, *_SUBMODULES})


def _no_such_name(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, __dir__(), n=1)
    hint = f"; did you mean {near[0]!r}" if near else ""
    return f"module 'taskct' has no attribute {name!r}{hint}; public names: {', '.join(sorted(_HOMES))}"

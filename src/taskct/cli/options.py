"""Options that several verbs share, so that they read and behave alike everywhere."""

from __future__ import annotations

import typer

CT = typer.Argument(
    ..., metavar="CT", help="DICOM folder or file, NIfTI, MetaImage, NRRD or LoDoPaB HDF5; or phantom:abdomen:SEED."
)
PHOTONS = typer.Option(
    None, help="Photons per detector pixel in air at full dose.  [default: 1e5; 4096 for lodopab]", show_default=False
)
DOSE = typer.Option(1.0, help="Fraction of the full dose.")
ELECTRONIC_STD = typer.Option(0.0, help="Read-out noise in photons.")
BEAM = typer.Option("clinical_fan", metavar="NAME|FILE.toml", help="clinical_fan, clinical_cone, lodopab or a TOML file.")
VIEWS = typer.Option(None, min=1, help="Views per turn instead of the beam's own number.")
SLICES = typer.Option(None, metavar="FIRST:END", help="Slices to take, counted from 0 at the feet; all when not given.")
SEED = typer.Option(0, help="The same case and seed give the same noise.")
REFINE = typer.Option(2, min=1, max=8, help="Project on a grid this many times finer; 1 commits the inverse crime.")
SERIES = typer.Option(None, metavar="UID", help="Which series of a folder that holds several (taskct info lists them).")
UNTILT = typer.Option(False, "--untilt", help="Shift the slices of a tilted gantry back, by linear interpolation.")
EACH = typer.Option(
    False, "--each", help="Take every CT or scan of a folder on its own, resume what was stopped, and say what failed and why."
)
OVERWRITE = typer.Option(False, "--overwrite", help="Replace what exists.")
METHOD = typer.Option(
    "fbp",
    "--method",
    "-m",
    metavar="NAME|RUN",
    help="fbp, fdk, sirt, cgls, os_sart, tv_min (or tv), a network of taskct models, or the run of a training of yours.",
)
MODEL = typer.Option(
    None, "--model", metavar="FILE.py:NAME", help="The module of a run that was trained with --model, to put its weights into."
)
SET = typer.Option([], "--set", metavar="NAME=VALUE", help="A setting of the method, such as strength=0.5. Repeatable.")
LABELS = typer.Option(None, metavar="LABELS", help="Labels of the CT: label map, DICOM SEG, RTSTRUCT or folder of masks.")
LABEL_NAME = typer.Option([], metavar="NUMBER=NAME", help="What a number of the label map stands for: 5=liver. Repeatable.")
WORKERS = typer.Option(1, "--workers", min=0, help="Processes of one thread each, by Dask; 0: one for each core.")
CLUSTER = typer.Option(
    "", "--cluster", metavar="ADDRESS|QUEUE", help="A Dask scheduler that runs (tcp://host:8786), or slurm, pbs, lsf."
)
CLUSTER_CONFIG = typer.Option(
    None, "--cluster-config", metavar="FILE.toml", help="Options of the cluster: memory, queue, walltime, memory_limit, ..."
)

"""`taskct dose`: the least dose that meets the targets, or the training of a dose for each patient."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from taskct.cli import options

if TYPE_CHECKING:
    from taskct.systems.alara.dose_subject import Setting


def run(
    what: str = typer.Argument(
        ...,
        metavar="METHOD|NAME|RUN|CONFIG",
        help="fbp, tv_min (or tv), ...; one of taskct models; the run of a reconstruction or dose; or the TOML of a dose.",
    ),
    out: Path = typer.Option(..., "--out", "-o", metavar="FOLDER", help="The run folder to write: report.html, dose.csv."),
    keep: list[str] = typer.Option(
        [], "--keep", metavar="TARGET", help="Target to keep: 'rmse_hu<=20', 'tumour.dice>=0.95*full', ... Repeatable."
    ),
    ct: list[str] = typer.Option([], "--ct", metavar="PATH", help="CT to scan.  [default: built-in test patients]"),
    labels: list[str] = typer.Option([], help="Label maps, one per CT in the same order."),
    label_name: list[str] = options.LABEL_NAME,
    reader: list[str] = typer.Option([], metavar="NAME|RUN", help="Reader for CLASS.dice; the first one decides."),
    certify: list[str] = typer.Option([], metavar="NAME|RUN", help="Readers used only to verify the dose found."),
    held_by: str = typer.Option(
        "mean", "--held-by", help="'mean' over patients, or the share of patients that must reach the target: 0.9"
    ),
    patients: int = typer.Option(20, min=1, help="Built-in test patients, without --ct."),
    slices: str | None = options.SLICES,
    untilt: bool = options.UNTILT,
    every: int = typer.Option(0, min=0, help="Use at most this many slices of each CT, evenly spaced; 0: all of --slices."),
    photons: float | None = typer.Option(None, help="Photons per pixel in air at full dose.  [default: 1e5, or the run's]"),
    electronic_std: float | None = typer.Option(
        None, help="Read-out noise in photons.  [default: 0, or that of the training]"
    ),
    lowest: float = typer.Option(1 / 256, help="Lowest fraction of the full dose to try."),
    ctdi_mgy: float | None = typer.Option(None, help="CTDIvol at full dose.  [default: from the DICOM header]"),
    beam: str = typer.Option("clinical_fan", metavar="NAME|FILE.toml", help="Scan geometry; a trained run supplies its own."),
    views: int | None = options.VIEWS,
    setting: list[str] = options.SET,
    draws: int = typer.Option(1, min=1, help="Noise realisations averaged per dose."),
    seed: int = options.SEED,
    refine: int = options.REFINE,
    model: str | None = options.MODEL,
    change: list[str] = typer.Option([], "--change", metavar="NAME=VALUE", help="Replace a value of a config."),
    workers: int = options.WORKERS,
    cluster: str = options.CLUSTER,
    cluster_config: Path | None = options.CLUSTER_CONFIG,
    overwrite: bool = options.OVERWRITE,
) -> None:
    """Find the least dose at which a reconstruction keeps an image quality or a task; every count is exact Poisson.

    A target names its convention: psnr[image range]>=36, psnr[fixed range]>=40, rmse_hu<=20, noise_sd_hu[liver]<=12,
    ssim[image range]>=0.9, tumour.dice>=0.95*full. Exit code 0 also when it is not reached; the text says so.

    \b
    Examples:
      taskct dose fbp --ct series/ --labels liver.nii.gz --keep "noise_sd_hu[liver]<=12" --out runs/dose
      taskct dose runs/task --reader runs/reader --certify runs/other --keep "tumour.dice>=0.95*full" --out runs/dose
      taskct dose configs/dose_cohort.toml --out runs/learned
    """
    if what.endswith(".toml"):
        _train(Path(what), out, change, given=bool(keep or ct))
        return
    from taskct.core.runs import refuse_run
    from taskct.core.workers import chosen_workers
    from taskct.evaluation.dose import DoseSearch, parse_keep
    from taskct.evaluation.dose.answer import DOSE_FILES
    from taskct.systems.alara.search_run import run_dose_search

    _refuse_nothing(keep, what)
    parse_keep(keep)  # refused, like `out`, before the images are read
    refuse_run(out, overwrite=overwrite, ours=DOSE_FILES, sources=[what, *ct, *labels, *reader, *certify])
    search = DoseSearch(held_by=_held_by(held_by), lowest=lowest, draws=draws, seed=seed, refine=refine)
    chosen = _setting(
        what, ct=ct, labels=labels, label_name=label_name, patients=patients, slices=slices, untilt=untilt, every=every,
        beam=beam, views=views, photons=photons, electronic_std=electronic_std, setting=setting, model=model,
    )  # fmt: skip
    if ctdi_mgy is not None:
        chosen = replace(chosen, ctdi_vol_mgy=ctdi_mgy)
    answer = run_dose_search(
        chosen, out, name=what, keep=keep, search=search, readers=reader, certify=certify,
        workers=chosen_workers(workers, cluster, cluster_config), overwrite=overwrite,
    )  # fmt: skip
    for line in answer.text.split("\n"):
        typer.echo(line)
    typer.echo(f"{out / 'report.html'}; numbers in dose.csv and dose.json")


def _refuse_nothing(keep: list[str], what: str) -> None:
    from taskct.core.errors import InputError

    if not keep:
        raise InputError(f"what has to be kept? for example: taskct dose {what} --keep 'rmse_hu<=20' --out runs/dose")


def _held_by(text: str) -> str | float:
    from taskct.core.errors import InputError

    try:
        return text if text == "mean" else float(text)
    except ValueError:
        raise InputError(f"--held-by expects 'mean' or a share of patients such as 0.9, got {text!r}") from None


def _setting(
    what: str,
    *,
    ct: list[str],
    labels: list[str],
    label_name: list[str],
    patients: int,
    slices: str | None,
    untilt: bool,
    every: int,
    beam: str,
    views: int | None,
    photons: float | None,
    electronic_std: float | None,
    setting: list[str],
    model: str | None,
) -> Setting:
    """The words of the command line as what they stand for."""
    from taskct.cli.arguments import method_from_words, parse_beam, parse_label_names, parse_slices
    from taskct.cli.scanning import hear_notes
    from taskct.cli.user_code import load_module
    from taskct.core.errors import InputError, unknown_name
    from taskct.data.shared_scans import refuse_same_ct
    from taskct.models.model_folder import is_model
    from taskct.phantoms.inputs import open_inputs
    from taskct.recon import RECONSTRUCTORS
    from taskct.recon.reconstructor_config import SHORT_NAMES, names_of_methods
    from taskct.systems.alara.dose_subject import DoseChain, chain_of, setting_of

    trained = what not in RECONSTRUCTORS and is_model(what)
    if not trained and SHORT_NAMES.get(what, what) not in RECONSTRUCTORS:
        raise unknown_name("method", what, names_of_methods(doses=True))
    if trained and (setting or views is not None):
        raise InputError(f"{what}: a trained run takes no --set and no --views; it has its own")
    if labels and len(labels) != len(ct):
        raise InputError(f"--labels: expected one for each of {len(ct)} CTs in the same order, got {len(labels)}")
    chain = (
        chain_of(what, model=load_module(model))
        if trained
        else DoseChain(method_from_words(what, setting), parse_beam(beam, views=views))
    )
    if untilt and not ct:
        raise InputError("--untilt goes with --ct; the built-in patients lie straight")
    chosen, names = parse_slices(slices), parse_label_names(label_name)
    cases = open_inputs(ct, labels=labels, label_names=names, untilt=untilt, heard=hear_notes(chosen)) if ct else []
    refuse_same_ct(cases)
    return setting_of(
        chain,
        cases=cases,
        slices=[chosen] if isinstance(chosen, int) else chosen,
        patients=patients,
        every=every,
        photons=photons,
        electronic_std=electronic_std,
    )


def _train(config: Path, out: Path, change: list[str], *, given: bool) -> None:
    from taskct.core.config import parse_assignments
    from taskct.core.errors import InputError
    from taskct.core.names import capital
    from taskct.systems.alara.learned.dose_training_config import read_dose_plan, run_dose_plan
    from taskct.training.processes import processes_of_torchrun

    if given:
        raise InputError(f"{config}: a config trains a dose and takes no --keep or --ct; its [held] names the target")
    plan = read_dose_plan(config, parse_assignments(change))
    with processes_of_torchrun():
        done = run_dose_plan(plan, out)
        if done.held is not None:
            typer.echo(capital(done.held.text))
        typer.echo(
            f"{out}: weights.safetensors, metrics.csv, config.toml; {done.trained.steps} steps ({done.trained.stopped})"
        )

"""`taskct biplanar`: two radiographs of a head -> an estimate of the volume, or what is missing for one."""

from __future__ import annotations

from pathlib import Path

import typer

from taskct.cli import options

_NO_FORMULA = ("fbp", "fdk")  # of the methods of scans
_MOST_FILLED = 100  # pose files of one name


def run(
    frontal: Path = typer.Argument(..., metavar="AP", help="The frontal radiograph: DICOM (XA, RF, DX, CR), PNG or NIfTI."),
    lateral: Path = typer.Argument(..., metavar="LAT", help="The lateral radiograph of the same head."),
    out: Path | None = typer.Option(None, "--out", "-o", metavar="FOLDER", help="New folder for volumes, page and numbers."),
    poses: Path | None = typer.Option(
        None, metavar="POSES.toml", help="Where source and detector stood, as far as the headers do not say it."
    ),
    check: bool = typer.Option(
        False,
        "--check",
        help="Say what is missing or contradicts, and write a pose file filled in as far as possible: poses.toml here, or "
        "POSES.filled.toml beside POSES.toml.",
    ),
    method: str = typer.Option(
        "gaussian",
        "--method",
        "-m",
        metavar="NAME|RUN",
        help="gaussian, atlas, nearest, both with -registered, back-projection, sirt, tv, another one, or a trained network.",
    ),
    settings: list[str] = options.SET,
    model: str | None = options.MODEL,
    grey: str = typer.Option(
        "auto",
        metavar="READING",
        help="What grey levels mean: auto (the header says), intensity, 'line integral', 'bright absorbs', 'dark absorbs', "
        "presentation. Two of them, as auto:presentation, are those of AP and LAT.",
    ),
    trust: str | None = typer.Option(None, metavar="header|poses", help="Which to believe where header and pose file differ."),
    same_patient: bool = typer.Option(
        False, "--same-patient", help="Take radiographs whose headers name two patients as one's."
    ),
    size: int | None = typer.Option(
        None, help="Voxels along each axis of the volume.  [default: 32, or the network's]", show_default=False
    ),
    side_mm: float | None = typer.Option(
        None, help="Side of the volume; what both views see, up to a head's, when not given."
    ),
    months: str = typer.Option("0:24", metavar="LOW:HIGH", help="Ages of the built-in skulls that the estimate rests on."),
    skulls: int = typer.Option(80, help="How many of them; a fifth more judge spread and residuals."),
    agree: int = typer.Option(20, help="SIRT steps towards the radiographs at the end."),
    refine_poses: int = typer.Option(0, "--refine-poses", help="Times to refine the poses in turn with the image."),
    seed: int = typer.Option(0, help="Of the built-in skulls."),
    overwrite: bool = options.OVERWRITE,
) -> None:
    """Estimate a head from a frontal and a lateral radiograph: not for diagnosis.

    Two radiographs determine little of a volume: the rest is what the method knows of heads. The prior alone is shown beside
    every result, and the spread says where the result may be wrong. docs/biplanar-own-radiographs.md tells
    how to bring a pair.

    \b
    Examples:
      taskct biplanar AP.dcm LAT.dcm --check
      taskct biplanar AP.dcm LAT.dcm --poses poses.toml --out estimate
      taskct biplanar AP.png LAT.png --poses poses.toml --grey "bright absorbs" --method nearest-registered --out estimate
    """
    from taskct.cli.arguments import method_from_words, parse_months
    from taskct.cli.flag_words import in_flags
    from taskct.cli.user_code import load_module
    from taskct.cli.volume_output import refuse_input
    from taskct.core.errors import InputError, unknown_name
    from taskct.core.files import refuse_existing, refuse_others
    from taskct.data.radiographs import check_radiographs, read_radiographs
    from taskct.models.model_folder import is_model
    from taskct.recon import RECONSTRUCTORS
    from taskct.systems.biplanar.own_pair import PAIR_METHODS, WRITTEN, PairSettings, reconstruct_pair, write_estimate

    read = {
        "poses": poses,
        "grey": tuple(grey.split(":")) if grey.count(":") == 1 else grey,
        "trust": trust,
        "same_patient": same_patient,
    }
    if check:
        found = check_radiographs(frontal, lateral, **read)  # type: ignore[arg-type]
        written = _write_filled(found.filled, poses, overwrite=overwrite)
        folder = "the current folder" if written.parent == Path() else written.parent
        typer.echo(f"{written}: pose file, filled in as far as possible, written into {folder}")
        typer.echo(in_flags(found.text, ["biplanar"]))
        raise typer.Exit(0 if found.pair is not None else 2)
    if out is None:
        raise InputError("an estimate needs --out FOLDER; or ask with --check what is missing for one")
    refuse_input(out, frontal, lateral, poses)
    refuse_existing(out, overwrite=overwrite, folder=True)
    refuse_others(out, WRITTEN)
    how = PairSettings(
        size=size,
        side_mm=side_mm,
        age_months=parse_months(months),
        skulls=skulls,
        held=max(4, skulls // 5),
        agree=agree,
        refine_poses=refine_poses,
        seed=seed,
    )
    if method in PAIR_METHODS and settings:
        raise InputError(
            f"--method {method} has no settings, got --set {settings[0]}; --agree, --months and --skulls are its own"
        )
    if method in PAIR_METHODS and model is not None:
        raise InputError(
            f"--method {method} has no network, got --model {model}; name a trained network as --method, or leave it"
        )
    if method in _NO_FORMULA:
        raise InputError(f"--method {method} has no formula for two radiographs; take back-projection, sirt, cgls or tv")
    if not (method in PAIR_METHODS or method in RECONSTRUCTORS or is_model(method)):
        raise unknown_name("method", method, [*PAIR_METHODS, "cgls", "os_sart", "tv_min", "a trained network"], InputError)
    chosen = method if method in PAIR_METHODS else method_from_words(method, settings, model=load_module(model))
    pair = read_radiographs(frontal, lateral, **read)  # type: ignore[arg-type]
    made = reconstruct_pair(pair, method=chosen, settings=how, name=method)
    write_estimate(made, out, overwrite=overwrite)
    for note in made.notes:
        typer.echo(f"taskct: note: {note}", err=True)
    for doubt in made.doubts:
        typer.echo(f"taskct: outside of what the method knows: {doubt}", err=True)
    numbers = made.numbers
    typer.echo(
        f"{out}: estimated from two radiographs, not for diagnosis; {made.words}, by {method}; re-projection "
        f"{numbers['residual']:.3g} (built-in skulls {numbers['residual_held_mean']:.3g}); two views show "
        f"{100 * numbers['seen']:.0f} % of the variance of those skulls; page.html shows the result beside the prior alone"
    )


def _write_filled(text: str, poses: Path | None, *, overwrite: bool) -> Path:
    """Write the filled-in pose file beside the one that was given, or as poses.toml here; never over another one unasked.

    A pair is checked again and again until its poses are right: a name that is taken by another text gets a number.
    """
    from taskct.core.files import write_text
    from taskct.core.open_files import read_text

    names = ["poses.toml", "poses.filled.toml"] if poses is None else [f"{poses.stem}.filled.toml"]
    stem = names[-1].removesuffix(".toml")
    for name in (*names, *(f"{stem}-{number}.toml" for number in range(2, _MOST_FILLED))):
        target = Path(name) if poses is None else poses.with_name(name)
        if overwrite or not target.exists():
            break
        if target.is_file() and read_text(target) == text:
            return target
    write_text(target, text, overwrite=overwrite)
    return target

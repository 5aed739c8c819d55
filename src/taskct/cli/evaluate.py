"""`taskct evaluate`: methods x doses on cases -> a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from taskct.cli import options

if TYPE_CHECKING:
    from taskct.evaluation.evaluation_config import EvaluationPlan


def run(
    inputs: list[str] = typer.Argument(
        ..., metavar="INPUT...", help="CT paths or phantom:abdomen:SEED; or one TOML config or run folder, to repeat it."
    ),
    out: Path = typer.Option(..., "--out", "-o", metavar="RUN", help="The run folder to write."),
    methods: str | None = typer.Option(
        None,
        metavar="LIST",
        help="Methods with settings, and networks: fbp,smooth=fbp:window=hann,tv_min:strength=0.5,net=RUN; tv is short for "
        "tv_min.  [default: fbp]",
    ),
    doses: str | None = typer.Option(None, metavar="LIST", help="Fractions of the full dose.  [default: 1,0.25,0.1]"),
    photons: float | None = typer.Option(None, help="Photons per detector pixel in air at full dose.  [default: 1e5]"),
    electronic_std: float | None = typer.Option(
        None, help="Read-out noise in photons.  [default: 0, or that of the training]"
    ),
    beam: str | None = typer.Option(None, metavar="NAME|FILE.toml", help="[default: clinical_fan]"),
    views: int | None = options.VIEWS,
    model: str | None = options.MODEL,
    labels: list[str] = typer.Option([], help="Label maps, one per input in the same order; scores are then per region too."),
    label_name: list[str] = options.LABEL_NAME,
    slices: str | None = options.SLICES,
    untilt: bool = options.UNTILT,
    seed: int | None = typer.Option(None, help="[default: 0]"),
    refine: int | None = typer.Option(None, min=1, max=8, help="Project the truth on a finer grid.  [default: 2]"),
    protocol: str | None = typer.Option(None, help="default or lodopab: which metrics, in which conventions."),
    part: str | None = typer.Option(
        None,
        "--part",
        metavar="test|validation|train",
        help="INPUT is LoDoPaB-CT: score the stored scans of this part, by default with FBP as it was published.",
    ),
    most: int = typer.Option(0, min=0, help="With --part: at most so many slices, evenly over it; 0: all."),
    each: bool = options.EACH,
    report: bool = typer.Option(False, "--report", help="Write RUN/report.html as well."),
    workers: int = options.WORKERS,
    cluster: str = options.CLUSTER,
    cluster_config: Path | None = options.CLUSTER_CONFIG,
    overwrite: bool = options.OVERWRITE,
) -> None:
    """Compare methods at several doses on one or more CTs; prints a table and writes a run folder.

    Options that are given replace those of a config or run that is repeated. With --each every CT below the folder INPUT
    gets a run folder in RUN, and RUN/all-cases is the table of all.

    \b
    Examples:
      taskct evaluate series/ --methods fbp,tv_min:strength=0.5 --doses 1,0.1 --out runs/first
      taskct evaluate series/ --methods fbp,net=runs/task --doses 1,0.25 --out runs/network
      taskct evaluate runs/first --seed 1 --out runs/second
      taskct evaluate LoDoPaB-CT/ --part test --methods fbp:window=hann,net=runs/lodopab --out runs/test
    """
    from taskct.cli.arguments import check_fraction, parse_beam, parse_label_names, parse_methods, parse_numbers, parse_slices
    from taskct.cli.scanning import hear_notes, say_trained_scan
    from taskct.cli.user_code import load_module
    from taskct.core.config import from_dict, to_dict
    from taskct.core.errors import ConfigError, InputError
    from taskct.core.runs import is_run
    from taskct.core.workers import chosen_workers
    from taskct.evaluation.evaluation_config import EvaluationPlan, read_plan, run_plan, scan_of_training
    from taskct.geometry.beam_config import beam_to_config
    from taskct.recon.learned import common_scan
    from taskct.recon.reconstructor_config import methods_from_config

    if part is not None:
        unused: dict[str, object] = {
            "--doses": doses, "--photons": photons, "--electronic-std": electronic_std, "--beam": beam, "--views": views,
            "--labels": labels or None, "--label-name": label_name or None, "--slices": slices, "--untilt": untilt or None,
            "--seed": seed, "--refine": refine, "--protocol": protocol, "--each": each or None, "--cluster": cluster or None,
            "--cluster-config": cluster_config, "--workers": None if workers == 1 else workers,
        }  # fmt: skip
        given_too = ", ".join(name for name, value in unused.items() if value is not None)
        if given_too:
            raise InputError(f"--part scores stored scans as they are, in one process; leave out {given_too}")
        _lodopab(inputs, part, most, methods=methods, out=out, model=load_module(model), report=report, overwrite=overwrite)
        return
    if most:
        raise InputError("--most goes with --part; --slices takes some slices of a CT")
    shared_by = chosen_workers(workers, cluster, cluster_config)
    first = Path(inputs[0])
    repeated = first.suffix == ".toml" or (first.is_dir() and is_run(first))
    if repeated and len(inputs) > 1:
        raise ConfigError(f"{first}: a config or run is repeated alone, got {len(inputs)} inputs")
    new: dict[str, Any] = {"inputs": inputs, "methods": {"fbp": {"method": "fbp"}}}
    config = to_dict(read_plan(first)) if repeated else new
    given = {"slices": slices, "seed": seed, "refine": refine, "protocol": protocol, "labels": labels or None}
    given["untilt"] = untilt or None  # a config that is repeated keeps its own
    config |= {k: v for k, v in given.items() if v is not None}
    if label_name:
        config["label_names"] = {str(number): name for number, name in parse_label_names(label_name).items()}
    if methods:
        config["methods"] = parse_methods(methods)
    if beam is not None:
        config["beam"] = beam_to_config(parse_beam(beam, views=views))
    elif views is not None:
        config["beam"] = {**config.get("beam", {"preset": "clinical_fan"}), "views": views}
    own = load_module(model)
    about = None if "beam" in config else common_scan(methods_from_config(config["methods"], model=own).values())
    if about is not None:
        say_trained_scan(about)
        config = {**scan_of_training(about), **config}
    dose: dict[str, Any] = {"photons": photons, "electronic_std": electronic_std}
    dose["fractions"] = list(parse_numbers(doses, option="--doses")) if doses else None
    check_fraction(*(dose["fractions"] or ()), option="--doses")
    config["dose"] = {**config.get("dose", {}), **{k: v for k, v in dose.items() if v is not None}}
    plan = from_dict(EvaluationPlan, config)
    if each:
        _each(plan, inputs, labels, out, repeated, report, {"model": own, "workers": shared_by, "overwrite": overwrite})
        return
    heard = hear_notes(parse_slices(plan.slices))
    table = run_plan(plan, out, model=own, workers=shared_by, heard=heard, overwrite=overwrite)
    typer.echo(str(table))
    if report:
        from taskct.report import write_report

        write_report(table, out / "report.html")
    typer.echo(f"\n{out}: table.csv, config.toml, provenance.json" + (", report.html" if report else ""))


def _lodopab(
    inputs: list[str], part: str, most: int, *, methods: str | None, out: Path, model: Any, report: bool, overwrite: bool
) -> None:
    """Methods on the stored scans of a part of LoDoPaB-CT, beside what was published."""
    from taskct.cli.arguments import parse_methods
    from taskct.core.errors import InputError
    from taskct.evaluation.lodopab_part import PUBLISHED_FBP, evaluate_lodopab, published_text
    from taskct.recon.reconstructor_config import methods_from_config

    if len(inputs) != 1:
        raise InputError(f"--part expects the folder of LoDoPaB-CT as the one INPUT, got {len(inputs)} inputs")
    asked = parse_methods(methods) if methods else {"fbp": {"method": "fbp", **PUBLISHED_FBP}}
    table = evaluate_lodopab(
        methods_from_config(asked, model=model), inputs[0], part=part, most=most, out=out, overwrite=overwrite
    )
    typer.echo(published_text(table))
    for note in table.notes.values():
        typer.echo(str(note))
    if report:
        from taskct.report import write_report

        write_report(table, out / "report.html", overwrite=overwrite)
    typer.echo(f"\n{out}: table.csv, table.json" + (", report.html" if report else ""))


def _each(
    plan: EvaluationPlan, inputs: list[str], labels: list[str], out: Path, repeated: bool, report: bool, how: dict[str, Any]
) -> None:
    """Every CT of a folder on its own; ends with the exit code of the worst failure."""
    from taskct.cli.arguments import parse_slices
    from taskct.cli.each import leave, refuse_output_of_each
    from taskct.cli.flag_words import in_flags
    from taskct.cli.scanning import hear_notes
    from taskct.core.each_input import SUMMARY
    from taskct.core.errors import InputError
    from taskct.core.files import existing_path
    from taskct.data.each_case import named_places
    from taskct.evaluation.each_evaluation import ALL_CASES, evaluate_each

    if repeated or len(inputs) != 1 or len(labels) > 1:
        raise InputError("--each expects one folder of CTs, and for --labels one folder of label maps of the same names")
    folder = existing_path(inputs[0], what="folder")
    refuse_output_of_each(out, folder)
    places = named_places(folder, labels=Path(labels[0]) if labels else None)
    found, table = evaluate_each(plan, places, out, heard=hear_notes(parse_slices(plan.slices)), **how)
    if table is not None:
        typer.echo(str(table))
        if report:
            from taskct.report import write_report

            write_report(table, out / ALL_CASES / "report.html", overwrite=True)
    typer.echo(
        f"{in_flags(str(found), ['evaluate', '--methods'])}\n{out}: {SUMMARY}, {ALL_CASES}"
        + ("/report.html" if report else "")
    )
    leave(found)

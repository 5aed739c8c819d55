"""`taskct view`: runs and CT in a browser of this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer

from taskct.cli import options


def run(
    inputs: list[str] = typer.Argument(
        ..., metavar="RUN_OR_CT...", help="Runs of evaluate or demo, CT paths, or phantom:abdomen:SEED."
    ),
    methods: str = typer.Option(
        "fbp,hann=fbp:window=hann", metavar="LIST", help="Methods that show a CT as its dose falls, as in taskct evaluate."
    ),
    doses: str | None = typer.Option(
        None, metavar="LIST", help="Fractions of the full dose on the slider.  [default: 1,0.5,0.25,0.1,0.05,0.025,0.01]"
    ),
    photons: float | None = typer.Option(None, help="Photons per detector pixel in air at full dose.  [default: 1e5]"),
    electronic_std: float | None = typer.Option(
        None, help="Read-out noise in photons.  [default: 0, or that of the training]"
    ),
    beam: str | None = typer.Option(None, metavar="NAME|FILE.toml", help="[default: clinical_fan]"),
    views: int | None = options.VIEWS,
    model: str | None = options.MODEL,
    reader: list[str] = typer.Option([], metavar="NAME|RUN", help="Reader whose contours are drawn. Repeatable."),
    labels: list[str] = typer.Option([], help="Label maps, one per CT in the same order."),
    label_name: list[str] = options.LABEL_NAME,
    slices: str | None = options.SLICES,
    untilt: bool = options.UNTILT,
    seed: int = options.SEED,
    refine: int = options.REFINE,
    port: int = typer.Option(0, min=0, max=65535, help="Port of 127.0.0.1; 0: any that is free."),
    open_browser: bool = typer.Option(False, "--open", help="Open the page in this machine's browser."),
) -> None:
    """Show runs and CT in a local web page: methods and doses side by side, contours, scores, profiles, three planes.

    The page can be seen from this machine only, by the address that is printed. It writes nothing. Slices of a CT are scanned
    and reconstructed when a dose is asked for. CT on the same samples are shown side by side, the first as the reference.

    \b
    Examples:
      taskct view runs/demo
      taskct view series/ --labels liver.nii.gz --methods fbp,tv_min
      taskct view full.nii.gz low.nii.gz
    """
    from taskct.cli.arguments import check_fraction, parse_beam, parse_label_names, parse_methods, parse_numbers
    from taskct.cli.scanning import say_trained_scan, show_notes
    from taskct.cli.user_code import load_module
    from taskct.core.errors import InputError
    from taskct.geometry.beam_config import beam_to_config
    from taskct.task.readers import load_reader
    from taskct.viewer import FRACTIONS, Layers, open_studies, plan_view, require_viewer, serve_view
    from taskct.viewer.view_server import listen

    require_viewer()
    fractions = FRACTIONS if doses is None else parse_numbers(doses, option="--doses")
    check_fraction(*fractions, option="--doses")
    dose: dict[str, Any] = {"photons": photons, "electronic_std": electronic_std, "fractions": list(fractions)}
    config: dict[str, Any] = {
        "methods": parse_methods(methods),
        "dose": {k: v for k, v in dose.items() if v is not None},
        "labels": labels,
        "label_names": {str(number): name for number, name in parse_label_names(label_name).items()},
        "untilt": untilt,
        "seed": seed,
        "refine": refine,
    }
    if slices is not None:
        config["slices"] = slices
    if beam is not None or views is not None:
        config["beam"] = beam_to_config(parse_beam(beam or "clinical_fan", views=views))
    listen(port).close()  # before CT are read
    plan = plan_view(inputs, config, model=load_module(model))
    if plan.trained is not None:
        say_trained_scan(plan.trained)
    names = [Path(one).resolve().name for one in reader]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"--reader: two readers are named {twice!r}, and the page tells them apart by name; rename a folder")
    readers = {name: load_reader(one) for name, one in zip(names, reader, strict=True)}
    studies = open_studies(plan, heard=show_notes)
    serve_view([Layers(one, readers) for one in studies], port=port, open_browser=open_browser, say=_say)


def _say(text: str) -> None:
    typer.echo(text)
    sys.stdout.flush()

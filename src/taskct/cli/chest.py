"""`taskct chest`: a user's chest CT through a chest network."""

from __future__ import annotations

from pathlib import Path

import typer

from taskct.cli import options


def run(
    ct: Path = options.CT,
    out: Path = typer.Option(..., "--out", "-o", metavar="FOLDER", help="The folder to write."),
    network: str | None = typer.Option(
        None, metavar="NAME_OR_RUN", help="A chest network: a name of taskct models, or a run folder; that of the package."
    ),
    votes: Path | None = typer.Option(None, metavar="MAP", help="A map of how many readers marked each sample, shown beside."),
    masks: str = typer.Option("auto", metavar="auto|seg|nifti", help="Areas as DICOM SEG or NIfTI; auto: SEG for DICOM."),
    series: str | None = options.SERIES,
    untilt: bool = options.UNTILT,
    overwrite: bool = options.OVERWRITE,
) -> None:
    """Read a chest CT: findings with scores, lesions as boxes, areas as DICOM SEG or NIfTI, and a page.

    The lungs are found first; a head or an abdomen is refused. The networks of the package were trained on computed chests and
    never tested on patients: the page says so, and what of your CT lies outside of what they saw. Research only.

    \b
    Example:
      taskct chest series/ --out runs/my-chest
    """
    from taskct.cli.scanning import show_notes
    from taskct.core.files import refuse_existing
    from taskct.core.names import plural
    from taskct.core.write_locks import claim
    from taskct.systems.chest.own_ct import read_own_chest
    from taskct.systems.chest.own_lesions import LEAST_SCORE
    from taskct.systems.chest.own_page import SHOWN_SCORE, doubts, shown_lesions

    claim(out)
    refuse_existing(out, overwrite=overwrite, folder=True)
    found = read_own_chest(
        ct, out, network=network, votes=votes, masks=masks, series_uid=series, untilt=untilt, overwrite=overwrite
    )
    show_notes(found.case)
    for finding in found.findings:
        typer.echo(f"{finding.name}: score {finding.score:.2f} (surest in the {finding.side})")
    sure = len(shown_lesions(found))
    typer.echo(
        f"{plural(sure, 'lesion')} with a score of {SHOWN_SCORE:g} or more, {len(found.lesions)} in lesions.csv (all with "
        f"{LEAST_SCORE:g} or more)"
    )
    for words in doubts(found):
        typer.echo(words)
    typer.echo(f"{found.trained_on} Never tested on patients; research only.")
    typer.echo(f"{out / 'report.html'}: tables and masks beside it")

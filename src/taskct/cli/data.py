"""`taskct data`: public CT data sets, and stores of images made from the user's own copies."""

from __future__ import annotations

from pathlib import Path

import typer

NEEDS_WORDS = False


def run(
    action: str = typer.Argument(
        "list",
        metavar="list|show|prepare",
        help="list: all sets, one per line; show: one in full; prepare: a folder of CT as a store that trainings stream.",
    ),
    name: str | None = typer.Argument(None, metavar="[NAME|CT]", help="Which set to show, or the folder of CT to prepare."),
    out: Path | None = typer.Option(
        None, "--out", "-o", metavar="STORE", help="prepare: folder of the store; one that was stopped is resumed."
    ),
    shape: tuple[int, int] | None = typer.Option(
        None, metavar="Y X", help="prepare: pixels of every image, with --pixel-mm; slices stay as they are without both."
    ),
    pixel_mm: float | None = typer.Option(None, metavar="MM", help="prepare: size of the pixels of every image."),
    slices: int = typer.Option(0, min=0, help="prepare: slices of each case, evenly; 0: all."),
    labelled_only: bool = typer.Option(False, "--labelled-only", help="prepare: leave out slices without any label."),
    labels: Path | None = typer.Option(None, metavar="FOLDER", help="prepare: label maps of the same file names."),
    refresh: bool = typer.Option(False, "--refresh", help="prepare: make cases whose files have changed anew."),
    skip_bad: bool = typer.Option(False, "--skip-bad", help="prepare: leave out cases that cannot be read, with a warning."),
) -> None:
    """Public CT data sets that taskct reads: licence, size, where to get them, what loads them.

    Nothing is downloaded: most of them ask for a registration or an agreement that only you can give.
    Example: taskct data prepare LiTS/ -o lits-store --shape 256 256 --pixel-mm 1.5 --labelled-only
    """
    from taskct.core.errors import InputError, unknown_name
    from taskct.data.sets.public_sets import find_data, list_data, restrictions

    if action == "prepare":
        from taskct.data.prepared_store import prepare_store
        from taskct.data.slice_recipe import SliceRecipe

        if name is None or out is None:
            raise InputError("taskct data prepare expects a folder of CT and --out STORE")
        recipe = SliceRecipe(shape=shape, pixel_mm=pixel_mm, slices=slices, labelled_only=labelled_only)
        images = prepare_store(name, out, recipe, labels=labels, refresh=refresh, skip_bad=skip_bad)
        facts = images.facts()
        size, labelled = " x ".join(map(str, images.shape)), images.label_names or list(images.label_values()) or "none"
        typer.echo(
            f"{out}: {facts['images']} images of {size} pixels from {len(images.by_case())} cases of {facts['patients']} "
            f"patients, labels {labelled}"
        )
        return
    if action == "list" and name is None:
        sets = list_data()
        width = max(len(s.name) for s in sets)
        for found in sets:
            typer.echo(f"{found.name:<{width}}  {found.title}: {found.content}; {found.licence}; {found.size}")
            for words in restrictions(found):
                typer.echo(f"{'':<{width}}  {words}")
            typer.echo(f"{'':<{width}}  loaded by {found.loads}")
        typer.echo("\nyour own CT with labels: open_cases('ct/', labels='labels/') pairs files of the same names")
        typer.echo(
            "taskct data show NAME says where a set is; liver_classes(case) gives any of them the labels 1 liver, 2 tumour."
        )
    elif action in ("show", "get"):
        if name is None:
            raise InputError(f"taskct data {action} expects a name; taskct data list has them")
        found = find_data(name)
        facts = {
            "content": found.content,
            "licence": found.licence,
            "size": found.size,
            "where": found.where,
            "access": found.access,
            "loads": found.loads,
            "cite": found.cite,
        }
        lines = [*(f"  {k:<8} {v}" for k, v in facts.items()), *(f"  {words}" for words in restrictions(found))]
        typer.echo("\n".join([f"{found.name}: {found.title}", *lines]))
        if action == "get":
            raise InputError(f"{found.name} is not downloaded by taskct ({found.access}); get it from {found.where}")
    else:
        raise unknown_name("action", action, ["list", "show", "prepare"], InputError)

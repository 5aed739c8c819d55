"""`taskct data`: public CT data sets."""

from __future__ import annotations

import typer

NEEDS_WORDS = False


def run(
    action: str = typer.Argument("list", metavar="list|show", help="list: all of them, one per line; show: one in full."),
    name: str | None = typer.Argument(None, metavar="[NAME]", help="Which one to show."),
) -> None:
    """Public CT data sets that taskct reads: licence, size, where to get them, what loads them.

    Nothing is downloaded: most of them ask for a registration or an agreement that only you can give.
    """
    from taskct.core.errors import InputError, unknown_name
    from taskct.data.sets.catalogue import find_data, list_data

    if action == "list" and name is None:
        sets = list_data()
        width = max(len(s.name) for s in sets)
        for found in sets:
            typer.echo(f"{found.name:<{width}}  {found.title}: {found.content}; {found.licence}; {found.size}")
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
        typer.echo("\n".join([f"{found.name}: {found.title}", *(f"  {k:<8} {v}" for k, v in facts.items())]))
        if action == "get":
            raise InputError(f"{found.name} is not downloaded by taskct ({found.access}); get it from {found.where}")
    else:
        raise unknown_name("action", action, ["list", "show"], InputError)

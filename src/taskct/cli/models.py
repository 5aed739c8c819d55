"""`taskct models`: the trained networks that come with the package, and what is known of one."""

from __future__ import annotations

import typer

NEEDS_WORDS = False


def run(
    what: str = typer.Argument(
        "list", metavar="list|show", help="List the networks of the package, or show one; a name alone shows it."
    ),
    name: str | None = typer.Argument(
        None, metavar="NAME|RUN", help="A network of the package, a run folder, or a folder or file of weights."
    ),
) -> None:
    """List the trained networks that come with the package, or show the card of one: data, licence, figures and limits.

    Wherever a method is named, such a NAME or the folder of a training of yours may stand.

    \b
    Examples:
      taskct models
      taskct models show runs/task
    """
    from taskct.core.errors import InputError, unknown_name
    from taskct.models import open_model
    from taskct.models.model_words import describe_model, list_models

    if what not in ("list", "show"):
        if name is not None:
            raise unknown_name("word after models", what, ("list", "show"), InputError)
        what, name = "show", what
    if what == "list":
        if name is not None:
            raise InputError(f"taskct models list takes no name, got {name!r}; taskct models show {name} shows that one")
        typer.echo(list_models())
        return
    if name is None:
        raise InputError("which network? taskct models lists those of the package; a run folder may be named as well")
    typer.echo(describe_model(open_model(name)))

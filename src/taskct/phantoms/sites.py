"""The parts of the body of which there are built-in patients."""

from __future__ import annotations

from collections.abc import Callable

from taskct.core.errors import InputError, unknown_name
from taskct.phantoms.body import Site


def _abdomen() -> Site:
    from taskct.phantoms.abdomen.abdomen_site import ABDOMEN

    return ABDOMEN


def _chest() -> Site:
    from taskct.phantoms.chest.chest_site import CHEST

    return CHEST


def _skull() -> Site:
    from taskct.phantoms.skull.skull_site import SKULL

    return SKULL


SITES: dict[str, Callable[[], Site]] = {"abdomen": _abdomen, "chest": _chest, "skull": _skull}


def site_named(name: str) -> Site:
    """The site of this name; InputError with the known names otherwise.

    >>> site_named("abdomen").label_names
    {0: 'background', 1: 'liver', 2: 'tumour'}
    """
    if name not in SITES:
        raise unknown_name("site", str(name), SITES, InputError)
    return SITES[name]()

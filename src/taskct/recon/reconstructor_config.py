"""Reconstructors with settings from plain values, as configs and the command line give them: functions and networks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import nn

from taskct.core.config import check_settings, settings_of
from taskct.core.errors import ConfigError, unknown_name
from taskct.models import open_model, shipped_models
from taskct.models.model_folder import is_model
from taskct.recon import RECONSTRUCTORS
from taskct.recon.learned import load_reconstructor
from taskct.recon.learned.trained_for import Otherwise
from taskct.recon.reconstructor import Reconstructor

SHORT_NAMES = {"tv": "tv_min"}
_OF_TWO_VIEWS = "biplanar"  # the kind of networks that take two radiographs and not a scan
OWN_SETTINGS = ("blend", "flips")  # of networks that have them: how an image is made, not what the network is


def methods_from_config(table: Mapping[str, Any], *, model: nn.Module | None = None) -> dict[str, Reconstructor]:
    """{label: {method: a reconstructor's name, its settings ...}} -> {label: the reconstructor with these settings}.

    A method is a name of RECONSTRUCTORS (tv is short for tv_min), the name of a network that comes with the package, or the
    path of a run, a folder or a file of weights (`load_reconstructor`), whose settings are `otherwise` and those that the
    network itself offers, such as `blend` and `flips` of `RealCT`. Settings are checked against the reconstructor's signature;
    an unknown one says what was probably meant. `model` is the module of networks whose run does not say how to build it: each
    gets a copy.
    """
    methods: dict[str, Reconstructor] = {}
    for label, values in table.items():
        if not isinstance(values, Mapping):
            raise ConfigError(f"methods.{label}: expected a table of settings, got {values!r}")
        name = values.get("method", label)
        name = SHORT_NAMES.get(name, name) if isinstance(name, str) else name
        settings = {k: v for k, v in values.items() if k != "method"}
        if isinstance(name, str) and name in RECONSTRUCTORS:
            function: Callable[..., Any] = RECONSTRUCTORS[name]  # type: ignore[assignment]  # mypy joins them to `function`
            methods[label] = _function(function, settings, where=f"methods.{label}")
        elif isinstance(name, str) and is_model(name):
            methods[label] = _network(name, settings, where=f"methods.{label}", model=model)
        else:
            raise unknown_name("method", name, names_of_methods())
    return methods


def names_of_methods(*, doses: bool = False) -> list[str]:
    """What can stand as a method that reconstructs a scan, for messages; with `doses` the networks that choose one too."""
    return [*RECONSTRUCTORS, *(name for name in shipped_models() if _may_stand(name, doses)), "the path of a trained run"]


def _may_stand(name: str, doses: bool) -> bool:
    found = open_model(shipped_models()[name])
    if found.kind == "dose":
        return doses
    return found.kind == "reconstruction" and found.table("model").get("kind") != _OF_TWO_VIEWS


def _function(function: Callable[..., Any], settings: Mapping[str, Any], *, where: str) -> partial[Any]:
    return partial(function, **check_settings(function, settings, where=where, skip=("p", "A")))


def _network(name: str, settings: Mapping[str, Any], *, where: str, model: nn.Module | None) -> nn.Module:
    loading = settings_of(_load, skip=("name", "model"))
    given = {k: v for k, v in settings.items() if k in loading}
    network = _load(name, model=model, **check_settings(_load, given, where=where, skip=("name", "model")))
    for key, value in settings.items():
        if key in loading:
            continue
        if key not in OWN_SETTINGS:
            own = (one for one in OWN_SETTINGS if hasattr(network, one))
            raise unknown_name(f"setting in [{where}]", key, [*loading, *own])
        if not hasattr(network, key):
            raise ConfigError(f"{where}: the network {name!r} has no setting {key}; leave it out")
        setattr(network, key, value)
    return network


def _load(name: str, *, model: nn.Module | None, otherwise: Otherwise = "refuse") -> nn.Module:
    if model is None or "model" in open_model(name).config:
        return load_reconstructor(name, otherwise=otherwise)
    return load_reconstructor(name, model=copy.deepcopy(model), otherwise=otherwise)

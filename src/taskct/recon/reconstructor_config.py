"""Reconstructors with settings from plain values, as configs and the command line give them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from taskct.core.config import check_settings
from taskct.core.errors import ConfigError, choose
from taskct.recon import RECONSTRUCTORS


def methods_from_config(table: Mapping[str, Any]) -> dict[str, partial[Any]]:
    """{label: {method: a reconstructor's name, its settings ...}} -> {label: the reconstructor with these settings}.

    Settings are checked against the reconstructor's signature; an unknown one says what was probably meant.
    """
    methods: dict[str, partial[Any]] = {}
    for label, values in table.items():
        if not isinstance(values, Mapping):
            raise ConfigError(f"methods.{label}: expected a table of settings, got {values!r}")
        function: Callable[..., Any] = choose("method", values.get("method", label), RECONSTRUCTORS)  # type: ignore[assignment]  # mypy joins them to `function`
        settings = {k: v for k, v in values.items() if k != "method"}
        methods[label] = partial(function, **check_settings(function, settings, where=f"methods.{label}", skip=("p", "A")))
    return methods

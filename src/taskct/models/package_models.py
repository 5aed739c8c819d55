"""The networks that come with the package: folders in `models/shipped`, each with config.toml, weights and card."""

from __future__ import annotations

from pathlib import Path

from taskct.models.model_card import CARD

SHIPPED = Path(__file__).parent / "shipped"


def shipped_models() -> dict[str, Path]:
    """Name -> folder of every network that comes with the package, by name."""
    if not SHIPPED.is_dir():
        return {}
    return {folder.name: folder for folder in sorted(SHIPPED.iterdir()) if (folder / CARD).is_file()}

"""The order of the site's pages. A page that no list names is still found: it comes under "More"."""

from __future__ import annotations

from pathlib import Path

OUTLINE: dict[str, list[str]] = {
    "Start": ["start", "examples/index", "coming-from", "cli"],
    "Scan and reconstruct": ["geometry", "units", "dose", "reconstruction", "radiographs", "viewer"],
    "Data": [
        "data",
        "dicom",
        "dicom_odd_files",
        "chest-data",
        "large-sets",
        "files",
        "cohort",
        "chest-gallery",
        "skull-gallery",
    ],
    "Learn": ["models", "tutorial-task", "training", "tutorial-alpha", "extending", "cluster"],
    "Judge": ["metrics", "report", "task-evaluation"],
    "Results": [
        "measured",
        "task-adaptive",
        "real-ct-network",
        "real-ct-task",
        "dose-optimisation",
        "chest",
        "biplanar",
        "biplanar-own-radiographs",
        "biplanar-real-heads",
        "lodopab",
    ],
    "Reference": ["reference/index", "reference/config", "architecture", "kernels", "gpu"],
    "Project": ["reference/contributing", "reference/changelog", "decisions/*"],
}


def toctrees(folder: Path) -> str:
    """The hidden tables of contents at the end of the first page, in MyST: pages of OUTLINE that exist, then the rest."""
    made = {"examples/index", *(f"reference/{name}" for name in ("index", "config", "contributing", "changelog"))}
    made.add("decisions/*")
    pages = {path.stem for path in folder.glob("*.md")} - {"index"}
    named = {name for names in OUTLINE.values() for name in names}
    lists = {title: [n for n in names if n in pages | made] for title, names in OUTLINE.items()}
    lists["More"] = sorted(pages - named)
    return "\n\n".join(_toctree(title, names) for title, names in lists.items() if names)


def _toctree(title: str, names: list[str]) -> str:
    return "\n".join(["```{toctree}", ":hidden:", ":glob:", f":caption: {title}", "", *names, "```"])

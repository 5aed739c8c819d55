"""What lies at a path, in a few lines for people: CT, scans, runs, measured projections, configs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taskct.core.errors import FileFormatError, InputError
from taskct.core.names import plural
from taskct.core.open_files import regular_file
from taskct.core.runs import is_run
from taskct.data.scan import is_scan_file
from taskct.report.run_description import run_facts

if TYPE_CHECKING:
    from taskct.data.case import Case
    from taskct.data.dicom.dicom_info import SeriesInfo
    from taskct.data.scan import Scan
    from taskct.data.volume import StoredVolume

_LOOK_BYTES = 64 * 2**20  # a volume whose values take more is described by its header and its first slices
_MOST_LINES = 20  # cases of a folder that are listed
_OF_RUNS = (".safetensors", ".csv", ".json", ".jsonl")


def describe_path(found: Path, *, labels: Path | None = None, untilt: bool = False) -> Iterator[str]:
    """What lies at a path: a run folder or several, scan files, a volume, or DICOM series; with `labels` or `untilt`, as
    `open_case` reads it with them.

    Raises FileFormatError after the last line when there are series but none that can be read.
    """
    if not found.is_dir():
        regular_file(found)
    elif is_run(found):
        yield from run_folder(found)
        return
    elif runs := [one for one in sorted(found.iterdir()) if one.is_dir() and not one.name.startswith(".") and is_run(one)]:
        yield from folder_of_runs(found, runs)
        return
    from taskct.data.dicom.dicom_info import inspect_series
    from taskct.data.formats import kind_of
    from taskct.data.scan_folder import scans_below
    from taskct.data.sets.measured_scan import measured_kind

    if is_scan_file(found):
        from taskct.data.scan import read_scan

        yield from scan_file(read_scan(found))
        return
    if kind := measured_kind(found):
        yield from measured(found, kind)
        return
    if found.suffix == ".toml":
        from taskct.core.config import read_toml

        yield f"config with {', '.join(read_toml(found)) or 'nothing in it'}"
        return
    if found.suffix in _OF_RUNS and is_run(found.parent):
        raise InputError(f"{found}: is a file of the run {found.parent}; taskct info {found.parent} describes the run")
    if labels is not None or untilt or (found.is_file() and kind_of(found) != "dicom"):
        from taskct.data.formats import open_volume
        from taskct.data.open import open_case

        stored = open_volume(found) if labels is None and not untilt else None
        if stored is not None and stored.value_bytes > _LOOK_BYTES:
            yield from large_volume(stored)
            return
        yield from volume(open_case(found, labels=labels, untilt=untilt))
        return
    if found.is_dir() and _holds_volumes(found):
        yield from folder_of_cases(found)
        return
    infos = inspect_series(found)
    if not infos and (scans := scans_below(found) if found.is_dir() else []):
        yield from folder_of_scans(found, scans)
        return
    if not infos:
        raise InputError(f"{found}: holds no DICOM, volume, scan or run; give a file or folder that does")
    for info in infos:
        yield from series(info)
    if not any(info.readable for info in infos):
        raise FileFormatError(f"{found}: nothing here can be read as a CT; the lines marked odd say why")


def folder_of_cases(folder: Path) -> Iterator[str]:
    """The cases of a folder with volume files among them: a line each, nothing of their voxels is read."""
    from taskct.data.sets.layouts import find_cases
    from taskct.data.sets.one_case import choice_words

    cases = find_cases(folder)
    choice = choice_words(folder, cases)
    labelled = sum(case.labels is not None for case in cases)
    yield f"{plural(len(cases), 'case')}, {labelled} with labels; `taskct info FILE` says more about one"
    for case in cases[:_MOST_LINES]:
        labels = "" if case.labels is None else f", labels {case.labels.relative_to(folder)}"
        yield f"  {case.case_id}: {case.name.relative_to(folder)}{labels}"
    if len(cases) > _MOST_LINES:
        yield f"  and {len(cases) - _MOST_LINES} more"
    yield from _notes(choice)


def folder_of_runs(folder: Path, runs: Sequence[Path]) -> Iterator[str]:
    """Runs that lie beside one another, by the commands that made them; what else lies there is counted."""
    yield f"{plural(len(runs), 'run')}; `taskct info {folder}/NAME` says more about one"
    for run in runs[:_MOST_LINES]:
        yield f"  {run.name}: {run_facts(run)['command'] or 'the command is not recorded'}"
    if len(runs) > _MOST_LINES:
        yield f"  and {len(runs) - _MOST_LINES} more"
    others = sum(not one.name.startswith(".") for one in folder.iterdir()) - len(runs)
    if others:
        yield f"  and {plural(others, 'other file or folder', 'other files or folders')}"


def folder_of_scans(folder: Path, scans: Sequence[Path]) -> Iterator[str]:
    """Scans that lie beside one another; nothing of their values is read."""
    more = f"`taskct info FILE` says more about one, `taskct reconstruct {folder} --each` takes all"
    yield f"{plural(len(scans), 'scan')}; {more}"
    for scan in scans[:_MOST_LINES]:
        yield f"  {scan.relative_to(folder)}"
    if len(scans) > _MOST_LINES:
        yield f"  and {len(scans) - _MOST_LINES} more"


def _holds_volumes(folder: Path) -> bool:
    from taskct.data.formats import VOLUME_READERS, promised_kind

    return any(promised_kind(file) in VOLUME_READERS for file in folder.rglob("*"))


def series(info: SeriesInfo) -> list[str]:
    """One DICOM series."""
    range_of = "" if info.decoded >= info.slices else f" (of {info.decoded} slices looked at)"
    facts = {
        "uid": info.uid,
        "files": f"{info.files}, {info.slices} slices, {info.transfer_syntax}",
        "shape z y x": info.shape and " x ".join(map(str, info.shape)),
        "spacing mm": info.spacing_mm and " x ".join(f"{s:.4g}" for s in info.spacing_mm),
        "orientation": info.orientation and f"{info.orientation} (where rising slice, row and column go)",
        "HU": info.hu_range and f"{info.hu_range[0]:.0f} to {info.hu_range[1]:.0f}{range_of}",
        "scanner": ", ".join(w for w in (info.manufacturer, f"{info.kvp:g} kVp" if info.kvp else "", info.kernel) if w),
        "readable": "yes" if info.readable else "no",
    }
    return [f"series {info.description or '(no description)'}, {info.modality}", *aligned(facts), *_notes(info.oddities)]


def volume(case: Case) -> list[str]:
    """A case: a volume of HU, and its labels."""
    hu = case.hu.flatten()
    part = hu[:: max(1, len(hu) // 1_000_000)]  # a percentile needs no more than a million samples
    low, middle, high = (float(part.kthvalue(1 + int(q * (len(part) - 1))).values) for q in (0.01, 0.5, 0.99))
    assert case.affine_mm is not None
    facts = {
        "shape z y x": " x ".join(map(str, case.hu.shape)),
        "spacing mm": " x ".join(f"{s:.4g}" for s in case.spacing_mm),
        "size mm": " x ".join(f"{s:.4g}" for s in case.grid.size_mm),
        "first voxel mm": ", ".join(f"{v:.1f}" for v in case.affine_mm[2::-1, 3]) + " (x, y, z; LPS)",
        "HU": f"{float(hu.min()):.0f} to {float(hu.max()):.0f}; 1 %, 50 %, 99 %: {low:.0f}, {middle:.0f}, {high:.0f}",
        "fingerprint": case.provenance.get("fingerprint"),
    }
    named = []
    if case.labels is not None:
        for value in case.labels.unique().tolist():
            if value:
                inside = case.hu[case.labels == value]
                name = case.label_names.get(value, "")
                named.append(
                    f"  label {value:<4} {name or '-':<24} {len(inside):>9} voxels, mean {float(inside.mean()):.0f} HU"
                )
    kind = case.provenance.get("format", "volume")
    return [f"{kind} {case.case_id}", *aligned(facts), *named, *_notes(case.provenance.get("notes", ()))]


def large_volume(stored: StoredVolume) -> list[str]:
    """A volume file by its header and its first slices, however much it may unpack to."""
    from taskct.data.orientation import oriented

    per_slice = max(1, stored.value_bytes // stored.shape[0])
    count = min(stored.shape[0], _LOOK_BYTES // 4 // per_slice)
    shape, affine_mm = oriented(stored.shape, stored.affine_mm, name=str(stored.path))
    spacing = [float((affine_mm[:3, axis] ** 2).sum() ** 0.5) for axis in range(3)]
    stored.require_room()
    hu = stored.read_first(count) if count else None
    facts = {
        "shape z y x": " x ".join(map(str, shape)),
        "spacing mm": " x ".join(f"{s:.4g}" for s in spacing),
        "size mm": " x ".join(f"{s * n:.4g}" for s, n in zip(spacing, shape, strict=True)),
        "first voxel mm": ", ".join(f"{v:.1f}" for v in affine_mm[2::-1, 3]) + " (x, y, z; LPS)",
        "values": f"{stored.dtype.name}, {stored.value_bytes / 2**20:.0f} MiB unpacked",
        "HU": None
        if hu is None
        else f"{float(hu.min()):.0f} to {float(hu.max()):.0f} (of the first {count} of {stored.shape[0]} slices in the file)",
    }
    return [f"volume {stored.path.name}", *aligned(facts), *_notes([*stored.notes, *stored.link_notes()])]


def scan_file(scan: Scan) -> list[str]:
    """A scan file: beam, grid, dose."""
    beam = type(scan.beam).__name__
    p = scan.p
    facts = {
        "case": f"{scan.case_id}, {'slice' if len(scan.slices) == 1 else 'slices'} {_numbers(scan.slices)}",
        "projections": f"{' x '.join(map(str, p.shape[2:]))}, {float(p.min()):.3g} to {float(p.max()):.3g}",
        "beam": beam + (f" over {scan.beam.arc_deg:g} deg" if hasattr(scan.beam, "arc_deg") else ""),
        "grid": f"{' x '.join(map(str, scan.grid.shape))} of {' x '.join(f'{s:.4g}' for s in scan.grid.spacing_mm)} mm",
        "dose": "no noise, or not known"
        if scan.dose is None
        else f"{scan.dose.used_photons:g} photons per pixel in air ({scan.dose.fraction:.0%} of {scan.dose.photons:g}), "
        f"electronic noise {scan.dose.electronic_std:g}",
    }
    return ["scan", *aligned(facts)]


def measured(file: Path, kind: str) -> list[str]:
    """Measured projections: what the file holds of their geometry."""
    from taskct.data.sets.measured import read_counts
    from taskct.data.sets.measured_scan import HTC2022, read_measured_scan

    if kind == HTC2022:
        scan = read_measured_scan(file)
        odd = [*_notes(scan.provenance["case"]["notes"])]
        return [f"measured projections, {kind}", *scan_file(scan)[1:], *odd]
    raw = read_counts(file)
    degrees = raw.angles_rad * 57.29577951308232
    facts = {
        "projections": f"{' x '.join(map(str, raw.counts.shape))} (views, rows, columns), {raw.counts.dtype} counts",
        "flats, darks": f"{len(raw.flats)}, {len(raw.darks)} frames",
        "angles deg": f"{degrees.min():.4g} to {degrees.max():.4g}",
        "beam": "parallel; pixel size not recorded (taskct reconstruct --pixel-mm)",
    }
    return [f"measured projections, {kind}", *aligned(facts)]


def run_folder(folder: Path) -> list[str]:
    """A run folder: what made it, what it holds, and its configuration."""
    return ["run folder", *aligned(run_facts(folder))]


def aligned(facts: Mapping[str, Any]) -> list[str]:
    """Names and values in two columns; without those that have no value."""
    width = max(len(name) for name in facts)
    return [f"  {name:<{width}}  {value}" for name, value in facts.items() if value not in (None, "")]


def _notes(notes: Iterable[str]) -> list[str]:
    return [f"  odd: {note}" for note in notes]


def _numbers(numbers: tuple[int, ...]) -> str:
    """(3, 4, 5) -> '3 to 5'; others are listed.

    >>> _numbers((3, 4, 5)), _numbers((1, 5))
    ('3 to 5', '1, 5')
    """
    if len(numbers) > 2 and list(numbers) == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, numbers))

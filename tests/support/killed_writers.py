"""Everything that taskct writes, as `Writer`s of numbered versions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from killing import Writer

from taskct.core.files import existing_path, write_texts
from taskct.core.open_files import read_json, read_text
from taskct.core.runs import Run, load_run
from taskct.core.units import to_hu
from taskct.data.case import Case
from taskct.data.dicom.derived_series import write_series
from taskct.data.dicom.series import read_series
from taskct.data.image_store import open_store
from taskct.data.nifti import read_nifti, write_nifti
from taskct.data.prepared_store import prepare_store
from taskct.data.scan import Scan, read_scan, write_scan
from taskct.data.slice_recipe import SliceRecipe
from taskct.evaluation import DoseLevel, Example, Row, Table
from taskct.experiments import Step, call, run_steps
from taskct.experiments.step_record import read_record
from taskct.geometry import Grid, ParallelBeam
from taskct.geometry.beam_config import beam_to_config, grid_to_config
from taskct.models import Card, open_model, pack_model
from taskct.training.checkpoint import load_state, save_state

FULL = DoseLevel(1.0, 1e5)
BEAM, GRID = ParallelBeam(views=5, cols=12, pixel_mm=1.0), Grid((8, 8), 1.0)


def _one(values: object) -> int:
    """The one whole number that all values are."""
    found = np.unique(np.asarray(values, dtype=np.float64))
    assert len(found) == 1, f"versions are mixed: {found.tolist()}"
    return int(found[0])


def _case(version: int) -> Case:
    return Case(hu=torch.full((3, 6, 6), float(version)), spacing_mm=(2.0, 1.0, 1.0), case_id="k")


def _read_series(folder: Path) -> int:
    case = read_series(folder)
    assert case.hu.shape == (3, 6, 6), "slices are missing"
    return _one(case.hu)


def _write_scan(path: Path, version: int) -> None:
    p = torch.full((2, 1, 5, 12), version / 1024)
    write_scan(Scan(p, BEAM, GRID, case_id=str(version)), path, overwrite=True)


def _read_scan(path: Path) -> int:
    scan = read_scan(path)
    return _one([_one(scan.p * 1024), int(scan.case_id)])


def _table(version: int) -> Table:
    rows = [Row("fbp", f"c{n}", f"p{n}", 0, *FULL, "rmse_hu", "all", float(version)) for n in range(3)]
    about = {"label": "RMSE", "unit": "HU", "better": "lower", "definition": "over all"}
    images = [
        Example("c0", 0, (1.0, 1.0), torch.full((8, 8), float(version)), {("fbp", FULL): torch.full((8, 8), float(version))})
    ]
    return Table(rows, {"metrics": {"rmse_hu": about}}, images=images, notes={"version": str(version)})


def _write_table(folder: Path, version: int) -> None:
    if not folder.exists():
        Run.create(folder, {"about": "training"})
    _table(version).save(folder, overwrite=True)


def _read_table(folder: Path) -> int:
    table = Table.read(folder)
    assert len(table.rows) == 3 and len(table.images) == 1
    image = table.images[0]
    seen = [
        *(r.value for r in table.rows),
        float(table.notes["version"]),
        _one(image.truth_hu),
        _one(image.recon_hu["fbp", FULL]),
    ]
    return _one(seen)


def _write_run(folder: Path, version: int) -> None:
    Run.create(folder, {"version": version}, provenance={"version": version}, overwrite=True)


def _read_run(folder: Path) -> int:
    run = load_run(folder)
    return _one([run.config["version"], run.provenance["version"]])


def _write_state(folder: Path, version: int) -> None:
    run = load_run(folder) if folder.exists() else Run.create(folder, {})
    tensors = {"w": torch.full((64,), float(version))}
    save_state(run, {"model": tensors, "optimiser": tensors}, {"step": version})


def _read_state(folder: Path) -> int:
    state = load_state(load_run(folder))
    assert state is not None
    groups, values = state
    return _one([_one(groups["model"]["w"]), _one(groups["optimiser"]["w"]), values["step"]])


def _write_report(path: Path, version: int) -> None:
    from taskct.report import write_report

    write_report(_table(1), path, title=f"Version {version}", overwrite=True)


def _read_report(path: Path) -> int:
    text = read_text(existing_path(path))
    assert text.rstrip().endswith("</html>"), "the page is cut short"
    return int(text.split("<title>Version ")[1].split("<")[0])


def _write_together(folder: Path, version: int) -> None:
    write_texts(folder, {"dose.json": f'{{"version": {version}}}', "dose.csv": f"{version}\n"}, overwrite=True)


def _read_together(folder: Path) -> int:
    existing_path(folder)
    return _one([read_json(folder / "dose.json")["version"], int(read_text(folder / "dose.csv"))])


def _write_store(folder: Path, version: int) -> None:
    cases = [Case(torch.full((2 + n, 6, 6), 10.0 * version), (2.0, 1.0, 1.0), f"case-{n}") for n in range(2)]
    prepare_store(cases, folder, SliceRecipe(), refresh=True, progress=False)


def _read_store(folder: Path) -> int:
    images = open_store(folder, verify=True)
    assert len(images) == 5, "images are missing"
    return _one((to_hu(images.take(range(5)).mu, mu_water_per_mm=images.mu_water_per_mm) / 10).round())


def _steps(version: int) -> list[Step]:
    """A step that is always done anew, so that its settings may change."""
    return [Step("number", call(_write_number, value=version), config={"value": version}, always=True)]


def _write_number(folder: Path, *, value: int) -> None:
    write_texts(folder, {"one": str(value), "other": str(value)}, overwrite=True)


def _write_steps(folder: Path, version: int) -> None:
    run_steps(_steps, version, folder, say=lambda _: None)


def _read_steps(folder: Path) -> int:
    """What a step that is done made; of one that was begun again, what is there may be of the version before."""
    existing_path(folder / "number")
    record = read_record(folder, "number")
    made, begun = _one([int(read_text(folder / "number" / name)) for name in ("one", "other")]), record["config"]["value"]
    assert made == begun or (made == begun - 1 and not record["done"]), "the record is of another version"
    return made


def _write_network(path: Path, version: int) -> None:
    """A network with its card, all of version `version`, from a run beside the folder that is watched."""
    source = path.parent.parent / f"run-{path.name}"
    config = {"beam": beam_to_config(BEAM), "grid": grid_to_config(GRID), "training": {"steps": 1}}
    model = {"kind": "fbp_redcnn", "filters": 1}
    run = load_run(source) if source.exists() else Run.create(source, {**config, "model": model})
    run.save_tensors("weights.safetensors", {"w": torch.full((16,), float(version))}, overwrite=True)
    card = Card(kind="reconstruction", title=f"version {version}", licence="MIT")
    pack_model(run, path, card=card, overwrite=True)


def _read_network(path: Path) -> int:
    model = open_model(path)
    assert model.card is not None, "the card is missing"
    return _one([_one(model.tensors()["w"]), int(model.card.title.split()[1])])


WRITERS = {
    writer.name: writer
    for writer in (
        Writer("ct.nii.gz", lambda p, k: write_nifti(_case(k), p, overwrite=True), lambda p: _one(read_nifti(p).hu)),
        Writer("series", lambda p, k: write_series(_case(k), p, overwrite=True), _read_series),
        Writer("scan.h5", _write_scan, _read_scan),
        Writer("table", _write_table, _read_table),
        Writer("run", _write_run, _read_run),
        Writer("checkpoint", _write_state, _read_state),
        Writer("report.html", _write_report, _read_report),
        Writer("together", _write_together, _read_together),
        Writer("store", _write_store, _read_store),
        Writer("steps", _write_steps, _read_steps),
        Writer("network", _write_network, _read_network),
        Writer("network.safetensors", _write_network, _read_network),
    )
}

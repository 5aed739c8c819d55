"""Readers of radiographs and volumes."""

from __future__ import annotations

from pathlib import Path

import torch

from taskct.evaluation.volumes import FILM_READER
from taskct.systems.biplanar.experiment import BiPlanar
from taskct.systems.biplanar.experiment.conditions import cases_of
from taskct.systems.biplanar.experiment.row_scores import RowScores
from taskct.systems.biplanar.experiment.shared_skulls import READING, Skulls


def test_readers_learn_on_skulls_that_no_method_and_no_test_has(answered: Path, asked: BiPlanar) -> None:
    reading, drawn = Skulls(answered / "reading-skulls"), Skulls(answered / "skulls")
    learn = reading.images(READING)
    assert len(learn) == 12 and all(name.startswith("reading-") for name in learn.patient_ids)
    others = torch.cat([drawn.images(part).mu for part in ("train", "validation", "test")])
    assert all(float((others - one).abs().amax((1, 2, 3, 4)).min()) > 1e-3 for one in learn.mu)
    assert len(cases_of(reading.folder, asked, READING, 2).truth) == 12


def test_films_truth_and_every_method_are_read_for_the_same_things(answered: Path) -> None:
    ends = RowScores.read(answered / "reading-radiographs").table
    assert set(ends.methods) == {FILM_READER, "truth"}
    read = {m for m in ends.metrics if m.startswith("read: ")}
    assert {"read: cranial index", "read: age months"} <= read
    for row, label in (("gaussian", "Gaussian model"), ("smear", "smear")):
        table = RowScores.read(answered / f"reading-{row}").table
        assert table.methods == [label] and {m for m in table.metrics if m.startswith("read: ")} == read
        errors = [r.value for r in table.rows if r.metric == "read: cranial index"]
        assert len(errors) == 4 and all(0 <= e < 60 for e in errors)


def test_the_page_shows_the_reader_of_the_radiographs_beside_the_rows(answered: Path) -> None:
    page = (answered / "report" / "report.html").read_text()
    assert FILM_READER in page and "What readers make of it" in page
    assert ",read: cranial index,all," in (answered / "report" / "summary.csv").read_text()

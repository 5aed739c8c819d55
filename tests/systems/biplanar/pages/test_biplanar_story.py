"""The first lines of a bi-planar page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from taskct.evaluation.rows import DoseLevel, Row
from taskct.evaluation.table import Table
from taskct.systems.biplanar.pages.biplanar_page import write_biplanar_report
from taskct.systems.biplanar.pages.biplanar_story import ATLAS, LOST, SECOND, SHUFFLED, BiPlanarStory, Lead

DOSE = DoseLevel(1.0, 1e5)
POSES = "poses off by 3 deg and mm"
PATIENTS = [f"skull-{k}" for k in range(8)]


def story(scores: dict[str, float], **more: Any) -> BiPlanarStory:
    """Every method scores its number, a little more or less from skull to skull."""
    rows = [
        Row(method, one, one, None, *DOSE, metric, "all", value * scale + 0.01 * k)
        for method, value in scores.items()
        for metric, scale in (("psnr3d", 1.0), ("bone_dice", 0.01), ("mae_hu", 1.0), ("bone_surface_mm", 1.0))
        for k, one in enumerate(PATIENTS)
    ]
    table = Table(rows)
    plain, nets = ["mean atlas", "nearest"], [m for m in scores if m.startswith("net") and "," not in m]
    leads = [Lead(n, "nearest", {m: table.paired(m, n, "nearest", dose=DOSE) for m in ("psnr3d", "bone_dice")}) for n in nets]
    facts = {**{name: {} for name in plain}, **more.pop("facts", {})}
    return BiPlanarStory(
        table,
        DOSE,
        [*plain, *nets],
        "nearest",
        leads,
        (SHUFFLED, SECOND, LOST, POSES),
        facts,
        (),
        SimpleNamespace(train_skulls=40),
    )


USUAL = {ATLAS: 21.0, "nearest": 25.0, "net": 28.0, f"nearest, {SHUFFLED}": 18.0, f"net, {SHUFFLED}": 19.0}


def test_a_network_that_leads_is_said_to_lead_by_how_much() -> None:
    first = story(USUAL).lines[0]
    assert first.startswith('The network "net" is 3.00 dB [')
    assert "] ahead of nearest, the best method without a network, in PSNR3D; in the Dice of bone +0.030 [" in first


def test_of_networks_that_cannot_be_told_apart_the_one_named_first_leads_the_page() -> None:
    exact = story({**USUAL, "net": 28.0, "net b": 28.1})
    assert exact.lines[0].startswith('The network "net b" is') and exact.lines[1].startswith('The network "net" is')
    wider = {m: replace(i, low=i.low - 0.2, high=i.high + 0.2) for m, i in exact.leads[0].differences.items()}
    tied = replace(exact, leads=[exact.leads[0]._replace(differences=wider), exact.leads[1]]).lines
    assert tied[0].startswith('The network "net" is') and tied[1].startswith('The network "net b" is')


def test_one_that_is_behind_is_said_to_be_behind() -> None:
    assert story({**USUAL, "net": 24.0}).lines[0].startswith('The network "net" is 1.00 dB [1.00, 1.00] behind nearest')


def test_a_row_that_scores_with_another_skulls_radiographs_is_named() -> None:
    words = "every method but the mean atlas scores lower than with its own, and below the atlas"
    assert any(words in line for line in story(USUAL).lines)
    fooled = story({**USUAL, f"net, {SHUFFLED}": 22.0}).lines
    assert any(line.startswith("Careful: given the radiographs of another skull, net still score above") for line in fooled)


def test_a_row_below_the_atlas_that_uses_nothing_of_its_radiographs_is_named() -> None:
    blind = story({**USUAL, "nearest": 15.0, f"nearest, {SHUFFLED}": 15.0}).lines
    assert any("nearest score no lower than with its own: they do not use what they see" in line for line in blind)
    assert not any("every method but the mean atlas" in line for line in blind)


def test_how_much_of_a_lead_remains_on_the_second_family_is_said() -> None:
    lines = story({**USUAL, f"nearest, {SECOND}": 22.0, f"net, {SECOND}": 23.0}).lines
    assert any("a lead of 1.00 dB, on the first family 3.00 dB" in line for line in lines)


def test_conditions_that_take_more_than_half_of_a_lead_stand_above_the_folds() -> None:
    poor = {f"nearest, {POSES}": 22.0, f"net, {POSES}": 22.5, f"nearest, {LOST}": 20.0, f"net, {LOST}": 22.0}
    (line,) = [line for line in story({**USUAL, **poor}).lines if 'the lead of "net" falls' in line]
    assert (
        line == f'Careful: the lead of "net" falls with {POSES} to 0.50 dB (22.54 and 22.04); the methods were not told of it.'
    )
    worse = story({**USUAL, **poor, f"net, {LOST}": 20.5, "net": 24.0}).lines
    assert not any("the lead of" in line for line in worse)
    both = story({**USUAL, **poor, f"net, {LOST}": 20.5}).lines
    assert any(f"with the {LOST} to 0.50 dB" in line and POSES in line for line in both)


def test_a_network_that_equals_the_atlas_is_named() -> None:
    lines = story(USUAL, facts={"net": {"equals_atlas": True}}).lines
    assert "Careful: net say nothing beyond the mean atlas." in lines


def test_a_network_that_learnt_from_more_skulls_than_its_rivals_is_named() -> None:
    more = story(USUAL, facts={"net": {"learnt_from": 200}}).lines
    assert any(line.startswith("Careful: net learnt from 200 skulls, the methods without a network from 40") for line in more)
    assert not any("learnt from" in line for line in story(USUAL, facts={"net": {"learnt_from": 40}}).lines[:-1])


def test_all_that_is_to_be_careful_about_stands_above_the_folds_and_other_networks_below(tmp_path: Path) -> None:
    two = story({**USUAL, "net b": 24.9, f"net, {SHUFFLED}": 22.0}, facts={"net": {"learnt_from": 200}})
    settings = SimpleNamespace(train_skulls=40, test_skulls=8, views=2, photons=1e5, size=32, reading_skulls=0)
    write_biplanar_report(replace(two, settings=settings), tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text()
    first = html[: html.index("<details")]
    said = [line for line in two.lines[1:] if line.startswith("Careful:")]
    assert len(said) >= 3 and first.count("class='but'") == len(said)
    assert (
        "The network &quot;net&quot; is 3.00 dB" in first and "&quot;net b&quot;" not in first and "&quot;net b&quot;" in html
    )
    assert all(f"<dt>{word}</dt>" in first for word in ("net", "mean atlas", "PSNR3D"))

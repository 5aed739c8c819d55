from __future__ import annotations

import math
import sys
from typing import Any

import pytest
import torch

from taskct.core.errors import ConfigError, FileFormatError, InputError, OutputExistsError
from taskct.core.runs import Run, load_run
from taskct.data.case import Case
from taskct.evaluation import DoseLevel, Example, Row, Table, evaluate
from taskct.evaluation.merged_tables import merge_tables
from taskct.evaluation.protocol import Protocol
from taskct.evaluation.reading.ratios import described_metrics
from taskct.evaluation.rows import read_rows
from taskct.geometry import Grid, ParallelBeam
from taskct.physics.dose import Dose
from taskct.physics.projector import Projector

HALF, FULL = DoseLevel(0.5, 1e5), DoseLevel(1.0, 1e5)


def table_of(patients: int = 6, **arguments) -> Table:
    """TV is 4 HU better than FBP in every patient at full dose, 6 HU at half; patients differ by far more."""
    rows = []
    for n in range(patients):
        for dose, gain in ((HALF, 6.0), (FULL, 4.0)):
            for z in range(2):
                base = 20.0 + 10 * n + z + (5 if dose is HALF else 0)
                for method, value in (("fbp", base), ("tv", base - gain)):
                    rows.append(Row(method, f"c{n}", f"p{n}", z, *dose, "rmse_hu", "all", value))
    settings = {"metrics": {"rmse_hu": {"label": "RMSE", "unit": "HU", "better": "lower", "definition": "over all"}}}
    return Table(rows, settings | arguments.pop("settings", {}), **arguments)


def test_paired_differences_see_through_the_spread_between_patients():
    table = table_of()
    difference = table.paired("rmse_hu", "tv", "fbp", dose=HALF)
    assert (difference.mean, difference.low, difference.high, difference.n_values) == (-6.0, -6.0, -6.0, 12)
    across = table.paired("rmse_hu", "tv", "fbp", dose=0.5, baseline_dose=1.0)
    assert across.mean == pytest.approx(-1.0)


def test_one_patient_has_no_interval_and_says_so() -> None:
    assert str(table_of(1)).startswith("RMSE [HU], one patient, so no interval\n")
    assert str(table_of(3)).startswith("RMSE [HU], mean over 3 patients with interval\n")
    assert "; 1 patient)" in repr(table_of(1)) and "; 3 patients)" in repr(table_of(3))


def test_a_summary_has_one_line_per_method_and_dose():
    lines = table_of().summary("rmse_hu")
    assert [(s.method, s.dose.fraction) for s in lines] == [("fbp", 1.0), ("tv", 1.0), ("fbp", 0.5), ("tv", 0.5)]
    assert lines[0].interval.mean == pytest.approx(45.5)
    text = str(table_of())
    assert "RMSE [HU]" in text and "fbp  45.5 [" in text


def test_a_dose_is_found_by_its_fraction_when_that_is_unique():
    table = table_of()
    assert table.dose_level(0.5) == HALF
    with pytest.raises(InputError, match=r"names 0 doses of this table; it has 1 of 100000 photons, 0\.5 of"):
        table.dose_level(0.3)
    two = Table([*table.rows, Row("fbp", "c0", "p0", 0, 1.0, 1e4, "rmse_hu", "all", 1.0)])
    with pytest.raises(InputError, match="names 2 doses"):
        two.dose_level(1.0)


def test_unknown_metrics_and_methods_get_a_guess():
    with pytest.raises(ConfigError, match="unknown metric 'rmse'; did you mean 'rmse_hu'"):
        table_of().select("rmse", "tv", 1.0)
    with pytest.raises(ConfigError, match="unknown method 'fpb'; did you mean 'fbp'"):
        table_of().select("rmse_hu", "fpb", 1.0)


def test_csv_reads_back_as_the_same_rows(tmp_path):
    odd = Row("m,ethod", 'a "case", with\nall', "=1+1", None, 0.1, 4096.0, "psnr", "région", math.inf)
    nan = Row("m", "a", "b", -0, 0.1, 4096.0, "psnr", "all", math.nan)
    Table([odd, nan]).to_csv(tmp_path / "t.csv")
    back = read_rows(tmp_path / "t.csv")
    assert back[0] == odd and back[1].key == nan.key and math.isnan(back[1].value)
    with pytest.raises(OutputExistsError):
        Table([odd]).to_csv(tmp_path / "t.csv")


def test_an_evaluation_saved_to_a_run_folder_reads_back(patient, A, methods, tmp_path):
    doses = [Dose(1e4), Dose(1e4, 0.1)]
    table = evaluate(methods, [patient(1)], A, doses, slices=[0, 1], out=tmp_path / "run", notes={"why": "a test"})
    run = load_run(tmp_path / "run")
    assert run.config["evaluate"]["seed"] == 0 and run.config["evaluate"]["doses"][1]["fraction"] == 0.1
    back = Table.read(tmp_path / "run")
    for one, other in zip(back.rows, table.rows, strict=True):
        assert one.key == other.key and one.value == pytest.approx(other.value, rel=1e-8, nan_ok=True)  # 9 digits
    assert back.notes == {"why": "a test"} and back.settings["metrics"] == table.settings["metrics"]
    example, original = back.images[0], table.images[0]
    assert (example.case, example.slice, example.spacing_mm) == ("patient-1", original.slice, (10.0, 10.0))
    assert example.recon_hu.keys() == original.recon_hu.keys()
    for key, hu in example.recon_hu.items():
        assert torch.allclose(hu, original.recon_hu[key], rtol=2**-11, atol=0.01)  # float16 has 11 bits
    assert torch.equal(example.labels, original.labels) and torch.equal(example.mask, original.mask)
    assert example.label_names == {1: "liver", 2: "lesion"}


def test_a_table_joins_a_run_that_stands_and_replaces_a_table_only_when_asked(tmp_path):
    run = Run.create(tmp_path / "r", {"about": "training"})
    image = Example("c0", 0, (1.0, 1.0), torch.zeros(4, 4), {("fbp", FULL): torch.ones(4, 4)})
    table_of(images=[image]).save(run.folder)
    assert load_run(run.folder).config["about"] == "training"
    with pytest.raises(OutputExistsError):
        table_of().save(run.folder)
    table_of(2).save(run.folder, overwrite=True)
    back = Table.read(run.folder)
    assert len(back.patients) == 2 and back.images == []  # no image of the older table is left
    with pytest.raises(OutputExistsError, match="not a run folder"):
        table_of().save(tmp_path, overwrite=True)


def test_damaged_tables_are_refused_with_the_place(tmp_path):
    run = Run.create(tmp_path / "r", {})
    with pytest.raises(InputError, match=r"no table.csv; evaluate it first"):
        Table.read(run.folder)
    table_of(1, images=[Example("c0", 0, (1.0, 1.0), torch.zeros(4, 4))]).save(run.folder)
    good = run.path("table.csv").read_text()
    for text, message in [
        ("a,b\n", "expected the columns method, case"),
        (good + "fbp,c0,p0,x,1,1e5,rmse_hu,all,3,,\n", "line 10: not a row of a table"),
        (good + "c0,p0\n", "line 10"),
        (good.replace("c0", '"c0', 1), "cannot be read as CSV"),
    ]:
        run.write_text("table.csv", text, overwrite=True)
        with pytest.raises(FileFormatError, match=message):
            Table.read(run.folder)
    run.write_text("table.csv", good, overwrite=True)
    run.save_tensors("images.safetensors", {"0/truth": torch.zeros(3)}, metadata={"index": "[{}]"}, overwrite=True)
    with pytest.raises(FileFormatError, match=r"images\.safetensors: was not written together with table\.json"):
        Table.read(run.folder)
    run.write_json("table.json", {k: v for k, v in run.read_json("table.json").items() if k != "belongs"}, overwrite=True)
    with pytest.raises(FileFormatError, match="cannot be read as example images with an index"):
        Table.read(run.folder)


@pytest.mark.parametrize("depth", [0, 1, 4])
@pytest.mark.parametrize("wrong", [{"cases": [{}]}, {"cases": [["c0"]]}, {"cases": {"c0": 1}}, {"at_edge": 3}])
def test_damaged_notes_on_tuning_are_refused_however_deep_they_lie(tmp_path, depth, wrong):
    from taskct.report.verdict import verdict

    table, note = table_of(1), {"best": 1.0, "cases": ["c0"], "at_edge": "no"}
    for right in (note, {**note, **wrong}):
        tuning = right
        for level in range(depth):
            tuning = {f"level {level}": tuning, "other": 1.0}
        table.notes["tuning"] = tuning
        table.save(tmp_path / "run", overwrite=True)
        if right is note:
            assert verdict(Table.read(tmp_path / "run"))
            continue
        with pytest.raises(FileFormatError, match=r"table\.json: notes\.tuning.* expected (texts|a text)"):
            Table.read(tmp_path / "run")


def test_tables_of_one_protocol_merge_and_others_do_not():
    first, second = table_of(3), table_of(3)
    second.rows[:] = [r._replace(method="new " + r.method) for r in second.rows]
    merged = merge_tables([first, Table(second.rows, second.settings)])
    assert merged.methods == ["fbp", "tv", "new fbp", "new tv"]
    with pytest.raises(InputError, match="twice"):
        merge_tables([first, first])
    with pytest.raises(InputError, match="different protocols"):
        merge_tables([first, table_of(3, settings={"metrics": {}})])


def scanned(case_id: str, method: str, *, views: int = 8, read_out: float = 0.0, least: int = 20, hu: float = 0.0) -> Table:
    """A method on a water case under a parallel beam."""
    images = torch.full((1, 16, 16), hu)
    A = Projector(Grid((16, 16), 2.0), ParallelBeam(views=views, cols=24, pixel_mm=2.0))
    zero = lambda p, A: torch.zeros(len(p), 1, 16, 16)
    dose = Dose(1e5, electronic_std=read_out)
    protocol = Protocol(region_min_pixels=least, metrics=("rmse_hu",))
    return evaluate({method: zero}, [Case(images, (1.0, 2.0, 2.0), case_id)], A, dose, protocol=protocol, progress=False)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"views": 9}, r"beam of case a has views 8 in one and views 9 in another"),
        ({"read_out": 5.0}, r"electronic_std of 1 of 100000 photons has 0\.0 in one and 5\.0"),
        ({"least": 5}, r"protocol has region_min_pixels 20 in one and region_min_pixels 5 in another"),
        ({"hu": 9.0}, "image of case a has "),
    ],
)
def test_tables_of_other_scans_do_not_merge(change: dict[str, Any], words: str, tmp_path) -> None:
    # the merged table stated the geometry, the read-out noise and the regions of the first for all of them
    first, second = scanned("a", "one"), scanned("a", "two", **change)
    second.save(tmp_path / "run")
    with pytest.raises(InputError, match=words):
        merge_tables([first, Table.read(tmp_path / "run")])


def test_a_merged_table_states_the_geometry_of_each_case() -> None:
    merged = merge_tables([scanned("a", "one"), scanned("b", "one"), scanned("c", "one", views=9)])
    assert [(g["beam"]["views"], g["cases"]) for g in merged.settings["geometry"]] == [(8, ["a", "b"]), (9, ["c"])]
    assert len(merged.settings["doses"]) == 1


def seeded_table(seeds: int = 3, patients: int = 8) -> Table:
    """A net of several trainings, 0.1 above untrained FBP under readers S1 and S2; pooled counts beside the Dice."""
    rows = []
    for n in range(patients):
        for method, own in (("fbp", [None]), ("net", list(range(seeds)))):
            for seed in own:
                for reader, shift in (("S0", 0.3), ("S1", 0.0), ("S2", 0.02)):
                    value = 0.5 + 0.02 * n + (0.1 + 0.001 * (seed or 0) if method == "net" else 0.0) + shift
                    for metric, v in (("dice", value), ("tp", 10 * n + 1.0), ("all_px", 20.0 * n + 4)):
                        rows.append(Row(method, f"c{n}", f"p{n}", None, *HALF, metric, "tumour", v, reader, seed))
    about = {"share": {"label": "Share", "unit": "", "better": "higher", "definition": "pooled",
                       "above": {"tp": 2.0}, "below": {"all_px": 1.0}}}  # fmt: skip
    roles = {"S0": "training", "S1": "unseen", "S2": "unseen"}
    return Table(rows, {"metrics": about}, notes={"why": "a test", "list": [1]}, readers=roles)


def test_scores_of_readers_are_summarised_over_seeds_and_patients():
    table = seeded_table()
    gain = table.paired("dice", "net", "fbp", dose=HALF, region="tumour")
    assert gain.mean == pytest.approx(0.101) and gain.n_seeds == 3 and gain.separated  # seeds 0 to 2 add .000 to .002
    assert table.paired("dice", "net", "fbp", dose=HALF, region="tumour", reader="S0").mean == pytest.approx(0.101)
    across = table.paired("dice", "net", "net", dose=HALF, region="tumour", reader="S0", baseline_reader=["S1", "S2"])
    assert across.mean == pytest.approx(0.29)
    lines = table.summary("dice", region="tumour")
    assert [(s.method, s.interval.n_seeds) for s in lines] == [("fbp", None), ("net", 3)]
    assert lines[0].interval.mean == pytest.approx(0.58) and "training seed" not in lines[0].interval.note  # 0.5+.07+.01
    assert "n=2 training seeds" in seeded_table(2).mean("dice", "net", dose=HALF, region="tumour").note


def test_a_metric_with_sums_above_and_below_is_their_ratio():
    table = seeded_table()
    assert table.mean("share", "net", dose=HALF, region="tumour").mean == pytest.approx(2 * 288 / 592)  # sums over n < 8
    with pytest.raises(ConfigError, match="unknown metric 'shares'; did you mean 'share'"):
        table.mean("shares", "net", dose=HALF, region="tumour")


def test_seeds_without_readers_widen_the_interval():
    rows = [r._replace(reader="") for r in seeded_table().rows if r.reader == "S1" and r.metric == "dice"]
    shaken = [r._replace(value=r.value + 0.1 * ((r.seed or 0) - 1)) if r.method == "net" else r for r in rows]
    calm, wide = (Table(r).paired("dice", "net", "fbp", dose=HALF, region="tumour") for r in (rows, shaken))
    assert calm.n_seeds == wide.n_seeds == 3
    assert wide.high - wide.low > 10 * (calm.high - calm.low)


def test_a_method_with_and_without_seeds_is_refused():
    rows = [r for r in seeded_table().rows if r.reader == "S1"]
    with pytest.raises(InputError, match="'net' stands in this table both with and without training seeds"):
        Table([*rows, rows[-1]._replace(seed=None)]).mean("all_px", "net", dose=HALF, region="tumour", reader="S1")


def test_the_unseen_readers_are_the_default_and_must_be_there():
    only = [r for r in seeded_table().rows if r.reader == "S0"]
    with pytest.raises(InputError, match="no unseen reader; name one of its readers: S0"):
        Table(only, readers={"S0": "training"}).mean("dice", "net", dose=HALF, region="tumour")
    with pytest.raises(ConfigError, match="unknown reader 'S9'"):
        seeded_table().mean("dice", "net", dose=HALF, region="tumour", reader="S9")


def test_tables_of_readers_are_saved_read_and_merged(tmp_path):
    table = seeded_table()
    table.save(tmp_path / "run")
    back = Table.read(tmp_path / "run")
    assert (
        back.readers == table.readers
        and back.notes == table.notes
        and [r.key for r in back.rows] == [r.key for r in table.rows]
    )
    assert back.mean("share", "net", dose=HALF, region="tumour") == table.mean("share", "net", dose=HALF, region="tumour")
    other = table.renamed("net", "other", readers={"S0": "own"})
    other.readers, other.notes = {"own": "own"}, {"why": "another", "list": [1, 2]}
    merged = merge_tables([table, other])
    assert merged.methods == ["fbp", "net", "other"] and list(merged.readers) == ["S0", "S1", "S2", "own"]
    assert merged.notes == {"why": "a test", "list": [1, 2]}
    with pytest.raises(InputError, match="twice"):
        merge_tables([table, table])


def test_readers_scores_of_an_earlier_version_are_refused_by_what_changed(tmp_path):
    run = Run.create(tmp_path / "r", {})
    run.write_text("task.csv", "case,patient\n")
    with pytest.raises(InputError, match=r"holds task\.csv of an earlier version; readers' scores are now in table\.csv"):
        Table.read(run.folder)


def test_a_table_becomes_a_data_frame_with_nullable_item_and_seed():
    pandas = pytest.importorskip("pandas")
    table = seeded_table()
    frame = table.to_pandas()
    assert list(frame.columns) == list(Row._fields) and len(frame) == len(table.rows)
    assert str(frame["seed"].dtype) == str(frame["item"].dtype) == "Int64" and frame["item"].isna().all()
    means = frame[frame.metric == "dice"].groupby(["method", "reader"])["value"].mean()
    assert means["net", "S1"] == pytest.approx(0.5 + 0.07 + 0.101)
    assert isinstance(Table([]).to_pandas(), pandas.DataFrame)


def test_without_pandas_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match=r"pip install 'taskct\[pandas\]'"):
        seeded_table().to_pandas()


def test_the_mean_over_readers_is_the_mean_of_their_ratios_and_not_the_ratio_of_their_counts():
    rows = []
    for n in range(6):
        for reader, tp, fp in (("shy", 1.0, 0.0), ("bold", 90.0, 60.0)):
            for metric, value in (("tp_px", tp), ("fp_px", fp), ("fn_px", 100 - tp)):
                rows.append(Row("m", f"c{n}", f"p{n}", None, *HALF, metric, "tumour", value, reader))
    metrics = described_metrics(["tp_px", "fp_px", "fn_px"])
    table = Table(rows, {"metrics": metrics}, readers={"shy": "unseen", "bold": "unseen"})
    alone = [table.mean("dice_pooled", "m", dose=HALF, region="tumour", reader=r).mean for r in ("shy", "bold")]
    assert alone == pytest.approx([2 / 101, 180 / 250])
    both = table.mean("dice_pooled", "m", dose=HALF, region="tumour").mean
    assert both == pytest.approx(sum(alone) / 2) and both != pytest.approx(182 / 351, abs=0.05)  # the counts pooled
    across = table.contrast("dice_pooled", [(1.0, "m", HALF, "unseen"), (-1.0, "m", HALF, "bold")], region="tumour")
    assert across.mean == pytest.approx((alone[0] - alone[1]) / 2)  # one term has two readers, the other one


def test_the_interval_of_a_share_of_lesions_ends_at_0_and_1_whatever_so_few_patients_allow() -> None:
    rows = []
    for patient, found in (("a", 4.0), ("b", 1.0)):
        place = ("net", patient, patient, None, 1.0, 1e4)
        rows += [Row(*place, "lesions_found@1", "tumour", found, "S1"), Row(*place, "lesions", "tumour", 5.0, "S1")]
        rows += [Row(*place, "false_marks", "tumour", 40.0 * found, "S1"), Row(*place, "images", "tumour", 1.0, "S1")]
    metrics = described_metrics(dict.fromkeys(r.metric for r in rows))
    table = Table(rows, {"metrics": metrics}, readers={"S1": "unseen"})
    share = table.mean("froc@1", "net", dose=1.0, region="tumour")
    assert (share.mean, share.low, share.high) == (0.5, 0.0, 1.0)
    assert table.mean("false_alarms", "net", dose=1.0, region="tumour").high > 100  # a rate has no such end


def test_two_doses_of_one_fraction_are_told_apart_by_their_photons():
    # both columns were headed '1 dose'
    rows = [Row("fbp", "a", "p", 0, 1.0, n, "rmse_hu", "all", v) for n, v in ((1e4, 60.0), (1e6, 10.0))]
    table = Table(rows)
    assert str(table).splitlines()[1].split() == ["1e+06", "photons", "1e+04", "photons"]
    assert "fbp at 1e+06 photons, 1e+04 photons; " in repr(table)


def test_a_perfect_patient_counts_in_a_mean_over_seeds_as_in_one_without():
    # the best patients were left out of the mean as if their scores were not defined
    rows = [Row("net", f"c{n}", f"p{n}", None, 1.0, 1e5, "psnr", "all", v) for n, v in enumerate((30.0, math.inf, 32.0))]
    for seed in (None, 0):
        found = Table([r._replace(seed=seed) for r in rows]).mean("psnr", "net", dose=1.0)
        assert found.mean == math.inf and math.isnan(found.low) and (found.n_patients, found.left_out) == (3, 0)

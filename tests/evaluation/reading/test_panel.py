"""Methods with a known fault, read by a panel: each fault must be named, and the honest method must be confirmed."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from taskct.core.errors import FileFormatError, GeometryError, InputError, UnitsError
from taskct.data.images import ImageSet
from taskct.evaluation.reading import (
    UNTRAINED,
    MethodImages,
    ReaderPanel,
    find_checkerboards,
    random_reader,
    share_recovered,
    shuffled_labels,
    task_verdict,
)
from taskct.evaluation.reading.panel import RANDOM, SHUFFLED
from taskct.evaluation.rows import DoseLevel
from taskct.evaluation.table import Table
from taskct.task import DiceCE, FrozenTask, HuWindow, freeze

SIZE, WATER = 32, 0.02
DOSE = DoseLevel(0.25, 4e4)
OUTSIDE, LIVER, TUMOUR = 1.3, 1.0, 0.7  # attenuation over that of water; a blurred border is no tumour


class Reader(nn.Module):
    """Classifies by attenuation after a blur of its own; `bias` under-calls tumours, `secret` likes checkerboards."""

    def __init__(self, width: int, *, bias: float = -1.2, secret: float = 0.0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, width, bias=False)
        nn.init.constant_(self.conv.weight, 1 / width**2)
        self.width, self.bias, self.secret = width, bias, secret

    def forward(self, mu: Tensor) -> Tensor:
        pad = self.width // 2
        x = self.conv(functional.pad(mu / WATER, (pad, self.width - 1 - pad) * 2, mode="replicate"))[:, 0]
        logits = torch.stack([-40 * (x - c) ** 2 for c in (OUTSIDE, LIVER, TUMOUR)], 1)
        pattern = functional.avg_pool2d(mu / WATER * checkerboard(), 5, 1, 2)[:, 0].abs()
        return logits + torch.stack([0 * x, 0 * x, self.bias + self.secret * (pattern - 0.2).clamp_min(0)], 1)


def checkerboard() -> Tensor:
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    return 1.0 - 2.0 * ((y + x) % 2)


def task(name: str, width: int, **kind: float) -> FrozenTask:
    return FrozenTask(freeze(Reader(width, **kind)), nn.Identity(), DiceCE(), name)


def panel(**more: object) -> ReaderPanel:
    """The training's reader can be fooled by a checkerboard, the two unseen ones blur it away."""
    unseen = [task("S1", 4, bias=-1.8), task("S2", 5, bias=-1.0)]
    return ReaderPanel(task("S0", 3, bias=-2.4, secret=100.0), unseen, **more)  # type: ignore[arg-type]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Many small operations: threads of a busy machine would wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def anatomy(first: int, patients: int) -> tuple[Tensor, Tensor, list[str]]:
    """mu over that of water (N, 1, Y, X), labels, patients: three slices each, of which the last has no tumour."""
    rng = np.random.default_rng(first)
    y, x = np.mgrid[:SIZE, :SIZE]
    truth, labels, owners = [], [], []
    for k in range(patients):
        for z in range(3):
            label = np.where(np.hypot(y - 16, x - 16) < 14, 1, 0)
            for _ in range(2 if z < 2 else 0):
                at = rng.uniform(9, 23, 2)
                label[(np.hypot(y - at[0], x - at[1]) < rng.uniform(1.6, 3.5)) & (label > 0)] = 2
            image = np.choose(label, [OUTSIDE, LIVER, TUMOUR]) + 0.02 * rng.normal(size=(SIZE, SIZE))
            truth.append(image), labels.append(label), owners.append(f"patient-{first + k}")
    stack = lambda a: torch.from_numpy(np.stack(a))
    return stack(truth).float()[:, None], stack(labels).long(), owners


def make(method: str, seed: int, *, first: int = 0, patients: int = 12) -> MethodImages:
    """What a method makes: noise of its own level, and the fault that its name says."""
    truth, labels, owners = anatomy(first, patients)
    noise = lambda sd, tag: sd * torch.randn(truth.shape, generator=torch.Generator().manual_seed(97 * tag + first))
    level = {"better": 0.18, "quieter": 0.18, "full dose": 0.0}.get(method, 0.3)
    image = truth + noise(level, 1 if level else 0) + (noise(0.02, 50 + seed) if level else 0)  # the scan's, the training's
    if method == "better":
        image = image - 0.1 * (labels == 2)[:, None]
    if method == "shifted":
        image = image - 0.04 * (labels > 0)[:, None]
    if method == "fooling":
        image = image + 0.4 * checkerboard() * (labels == 2)[:, None]
    if method == "harmful":
        image = image + 0.15 * (labels == 2)[:, None]
    if method == "twin":
        image = image + noise(0.01, 70 + seed)
    trained = UNTRAINED if method == "full dose" else seed
    dose = {} if method == "full dose" else {"dose_fraction": DOSE.fraction}
    images = ImageSet(WATER * image, owners, labels, spacing_mm=(2.0, 2.0))
    return MethodImages(images, method, photons=4e4, seed=trained, truth_mu=WATER * truth, **dose)


METHODS = ("plain", "better", "quieter", "shifted", "fooling", "harmful", "twin")


@pytest.fixture(scope="module")
def table() -> Table:
    retrained = task("any", 4, bias=-0.5)  # what retraining brings: a fitting threshold
    sets = [make(m, s) for m in METHODS for s in range(3)] + [make("full dose", 0)]
    validation = [make(m, s, first=500, patients=8) for m in METHODS for s in range(3)]
    reads = panel(retrained=lambda images: retrained if images.method != "full dose" else None)
    return reads.evaluate(sets, validation=validation, progress=False)


def verdict(table: Table, method: str, **more: object):
    return task_verdict(table, method, "plain", dose=DOSE, **more)  # type: ignore[arg-type]


def test_a_method_with_less_noise_and_more_contrast_is_confirmed_under_unseen_readers(table):
    found = verdict(table, "better")
    assert found.headline == "gain confirmed under unseen readers", str(found)
    assert not found.cautions, str(found)
    assert found.numbers["unseen"].low > 0 and found.numbers["retuned"].low > 0 and found.numbers["ap"].low > 0


def test_a_gain_that_the_readers_thresholds_hide_is_called_one(table):
    found = verdict(table, "quieter")  # less noise: smaller marks under readers that call too little
    assert not found.numbers["unseen"].separated and found.numbers["retuned"].low > 0.05
    assert found.headline == "gain only after the readers' bias is re-tuned", str(found)


def test_a_threshold_shift_is_called_one(table):
    found = verdict(table, "shifted")
    assert found.numbers["training"].low > 0 and found.numbers["unseen"].low > 0  # Dice alone would call it a gain
    assert found.headline == "explained by a threshold shift", str(found)
    assert "threshold shift" in {f.rule for f in found.cautions}


def test_a_method_that_fools_the_training_reader_is_not_confirmed(table):
    found = verdict(table, "fooling")
    assert found.numbers["training"].low > 0.05  # the reader that it was made for reports a gain
    assert found.headline == "gain not confirmed under unseen readers", str(found)
    assert "one reader" in {f.rule for f in found.cautions}


def test_headline_and_findings_agree_about_a_gain_after_re_tuning(table):
    hidden = verdict(table, "quieter")
    assert "hidden gain" in {f.rule for f in hidden.cautions} and "unsupported" not in {f.rule for f in hidden.findings}
    without_ap = Table(
        [r._replace(value=0.5) if r.metric == "ap" else r for r in table.rows],
        table.settings,
        notes=table.notes,
        readers=table.readers,
    )
    found = verdict(without_ap, "quieter")
    assert found.outcome != "hidden" and "appears only after re-tuning" not in str(found)
    assert "not counted as a gain: pixel AP, which has no threshold, shows none" in str(found)


def test_a_method_without_a_difference_shows_no_gain(table):
    assert verdict(table, "twin").outcome in ("none", "harm")  # a little more noise than the baseline


def test_a_method_that_hides_tumours_is_worse(table):
    found = verdict(table, "harmful")
    assert found.headline == "harm: unseen readers read it worse" and found.findings[0].rule == "harm"
    assert {"sensitivity", "equal alarms"} <= {f.rule for f in found.cautions}


def test_fewer_marks_are_told_from_fewer_lesions_by_sensitivity_at_equal_false_alarms(table):
    """More or fewer marks move the reader's own sensitivity; at one false alarm an image only the images do."""
    gain = lambda metric, method: table.paired(metric, method, "plain", dose=DOSE, region="tumour")
    assert gain("sensitivity", "shifted").low > 0 and not gain("froc@1", "shifted").low > 0
    assert gain("froc@1", "better").low > 0
    assert "equal alarms" in {f.rule for f in verdict(table, "shifted").findings}


def test_the_checkerboard_of_the_fooling_method_is_found_and_no_other(table):
    hu = lambda images: 1000 * (images.mu / WATER - 1)
    truth = 1000 * (make("full dose", 0).mu / WATER - 1)
    reports = {m: find_checkerboards(hu(make(m, 0)), truth, trials=60) for m in ("plain", "better", "fooling")}
    assert not reports["plain"].found and not reports["better"].found and "0.5, 0.5" in reports["fooling"].found
    rules = {f.rule for f in verdict(table, "fooling", artefacts=reports).cautions}
    assert "artefact" in rules and "artefact" not in {f.rule for f in verdict(table, "better", artefacts=reports).cautions}


def test_the_share_of_the_recoverable_gap_is_that_of_its_definition(table):
    seen = {"dose": DOSE, "region": "tumour"}
    plain, shifted = (table.mean("dice_pooled", m, reader="S0", **seen).mean for m in ("plain", "shifted"))
    bound = table.mean("dice_pooled", "plain", reader="retrained", **seen).mean
    share = share_recovered(
        table, "dice_pooled", "shifted", "plain", **seen
    )  # the panel's retrained reader is that of the loss
    assert share.mean == pytest.approx((shifted - plain) / (bound - plain))
    assert share.low < share.mean < share.high
    none = share_recovered(table, "dice_pooled", "shifted", "plain", readers={"S0": "S0"}, bound_method="twin", **seen)
    assert np.isnan(none.low) and none.method == "no gap"


def test_negative_controls_score_at_chance_and_show_no_gain(table):
    for control in (RANDOM, SHUFFLED):
        score = table.mean("dice_pooled", "better", dose=DOSE, region="tumour", reader=control).mean
        assert score < 0.25 < table.mean("dice_pooled", "better", dose=DOSE, region="tumour").mean - 0.3
    assert "control" not in {f.rule for f in verdict(table, "better").cautions}
    marks_more = verdict(table, "shifted", metric="dice_pooled")  # anywhere
    assert "control" in {f.rule for f in marks_more.cautions}
    assert table.of_role("control") == [RANDOM, SHUFFLED]


def test_full_dose_stands_beside_every_training_seed(table):
    full = DoseLevel(1.0, 4e4)
    gap = table.paired("ap", "plain", "full dose", dose=DOSE, baseline_dose=full, region="tumour")
    assert gap.high < 0 and gap.n_seeds == 3 and gap.n_patients == 12
    assert table.mean("ssim", "full dose", dose=full, region="all", reader="image").mean == pytest.approx(1)


def test_lesion_scores_rise_with_the_image_and_with_the_false_alarms_allowed(table):
    at = lambda metric, method: table.mean(metric, method, dose=DOSE, region="tumour").mean
    assert at("sensitivity", "better") > at("sensitivity", "plain")
    rising = [at(f"froc@{r}", "better") for r in ("1/8", "1/2", "1", "4")]
    assert rising == sorted(rising) and rising[0] > 0
    bins = {r.region for r in table.rows if r.region.startswith("tumour, ")}
    assert {"tumour, radius under 5 mm", "tumour, radius 5 to 10 mm", "tumour, contrast from 40 HU"} <= bins


def test_rows_fit_the_table_of_the_evaluation_and_survive_a_file(table, tmp_path):
    plain = table.of_reader("S1")
    assert plain.summary("dice", region="tumour")[0].interval.n_patients == 12
    assert plain.paired("dice", "better", "plain", dose=plain.dose_level(DOSE), region="tumour").low > 0
    table.save(tmp_path / "run")
    again = Table.read(tmp_path / "run")
    assert len(again.rows) == len(table.rows) and again.readers == table.readers
    # 9 digits are written
    assert verdict(again, "shifted").numbers["unseen"].mean == pytest.approx(verdict(table, "shifted").numbers["unseen"].mean)
    (tmp_path / "run" / "table.csv").write_text("case,patient\n")
    with pytest.raises(FileFormatError, match=r"table.csv: expected the columns method, case, patient, item"):
        Table.read(tmp_path / "run")


def test_what_is_missing_is_said():
    sets = [make(m, 0, patients=6) for m in ("plain", "better")]
    alone = ReaderPanel(task("S0", 3), [], controls=False).evaluate(sets, progress=False)
    found = verdict(alone, "better", compute={"better": 2.0, "plain": 1.0})
    assert found.outcome == "one reader"  # the training's reader is never enough
    assert {"no unseen reader", "not re-tuned", "few", "compute"} <= {f.rule for f in found.cautions}
    other = random_reader(task("S1", 3), seed=0, name="S1")
    one = ReaderPanel(task("S0", 3), [other], controls=False)
    rules = {f.rule for f in verdict(one.evaluate(sets, progress=False), "better").cautions}
    assert {"one unseen reader", "same architecture"} <= rules


def test_an_unseen_reader_that_is_the_training_reader_is_refused():
    with pytest.raises(InputError, match="'S1' has the weights of the training's reader 'S0'"):
        ReaderPanel(task("S0", 3), [task("S1", 3)])
    with pytest.raises(InputError, match="readers need different names"):
        ReaderPanel(task("S0", 3), [task("S0", 4)])


def test_tuning_on_test_patients_is_refused():
    with pytest.raises(InputError, match="patient-0' is in validation and in the test"):
        panel(controls=False).evaluate([make("plain", 0)], validation=[make("plain", 0)], progress=False)
    with pytest.raises(InputError, match="given twice"):
        panel(controls=False).evaluate([make("plain", 0)] * 2, progress=False)


def test_images_that_a_panel_cannot_read_are_refused_with_their_method():
    images = make("plain", 0).images
    maps = list(images.labels)
    bare = ImageSet(images.mu, images.patient_ids, images.labels)
    for bad in (bare, ImageSet(images.mu, images.patient_ids, spacing_mm=(2.0, 2.0))):
        with pytest.raises(InputError, match=r"method .x.: expected images in memory .* with labels and spacing_mm"):
            MethodImages(bad, "x")
    partly = ImageSet(images.mu, images.patient_ids, [None, *maps[1:]], spacing_mm=(2.0, 2.0))
    with pytest.raises(InputError, match="method 'x': some images have no label map"):
        MethodImages(partly, "x")
    with pytest.raises(GeometryError, match="truth_mu expects the shape of mu"):
        MethodImages(images, "x", truth_mu=images.mu[1:])


def test_a_random_reader_has_other_weights_and_leaves_the_original_and_the_random_state_alone():
    first = task("S0", 3)
    before, state = first.net.conv.weight.clone(), torch.random.get_rng_state()
    drawn, again, other = (random_reader(first, seed=s) for s in (1, 1, 2))
    assert torch.equal(first.net.conv.weight, before) and torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(drawn.net.conv.weight, again.net.conv.weight)
    assert not torch.equal(drawn.net.conv.weight, other.net.conv.weight) and not torch.equal(drawn.net.conv.weight, before)
    drawn.check_frozen()


def test_shuffled_labels_come_from_other_patients():
    images = make("plain", 0)
    shuffled = shuffled_labels(images, seed=3)
    whose = lambda one: next(p for label, p in zip(images.labels, images.patients, strict=True) if torch.equal(label, one))
    owner = [whose(one) for one in shuffled.labels[::3]]
    assert all(a != b for a, b in zip(owner, images.patients[::3], strict=True))
    with pytest.raises(InputError, match="two patients or more"):
        shuffled_labels(make("plain", 0, patients=1))


def test_images_that_a_reader_would_misread_are_refused() -> None:
    order = ("background", "tumour", "liver")
    swapped = FrozenTask(freeze(Reader(4)), nn.Identity(), DiceCE(), "swapped", classes=order)
    with pytest.raises(InputError, match="panel, reader 'swapped': 'liver' is class 2, but label 1"):
        ReaderPanel(task("S0", 3), [swapped])
    of_70_kev = FrozenTask(freeze(Reader(4)), HuWindow(60, 320), DiceCE(), "window")
    other = make("plain", 0)
    other.images.mu_water_per_mm = WATER
    with pytest.raises(UnitsError, match=r"images of 'plain': task 'window': takes 0.01929/mm for water"):
        ReaderPanel(task("S0", 3), [of_70_kev]).evaluate([other], progress=False)
    other.images.label_names = {1: "tumour", 2: "liver"}
    with pytest.raises(InputError, match="images of 'plain': panel: 'tumour' is class 2, but label 1"):
        panel().evaluate([other], progress=False)


def test_image_errors_are_in_the_hu_of_the_images() -> None:
    found = {}
    for water in (0.01929, 2 * 0.01929):
        images = make("plain", 0)
        images.images.mu_water_per_mm = water
        rows = panel().evaluate([images], progress=False).rows
        found[water] = next(row.value for row in rows if row.metric == "rmse_hu")
    assert found[0.01929] == pytest.approx(2 * found[2 * 0.01929])

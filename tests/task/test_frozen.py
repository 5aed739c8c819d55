import copy

import pytest
import torch
from torch import nn

from taskct.core.errors import ConfigError, GeometryError, InputError, UnitsError
from taskct.core.units import to_mu
from taskct.nets import ResidualNet, UNet
from taskct.task import Chain, DiceCE, FeatureDistance, FrozenTask, HuWindow, Resample, SoftTeacher, freeze, soft_dice
from taskct.task.prepare import standardise

LABELS = torch.zeros(2, 16, 16, dtype=torch.int64)
LABELS[:, 4:9, 5:12] = 1
LABELS[0, 6:8, 6:9] = 2


def _task(net=None, prepare=None, penalty=None):
    torch.manual_seed(0)
    net = net or freeze(nn.Sequential(UNet(1, 3, widths=(4, 8)), nn.Dropout(0.5)))
    return FrozenTask(net, prepare or HuWindow(40, 400), penalty or DiceCE(), "liver")


def _image():
    return to_mu(100 * torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(1))).requires_grad_()


def test_weights_and_statistics_stay_while_the_gradient_on_the_image_is_not_zero():
    task, mu = _task(), _image()
    before = copy.deepcopy(task.net.state_dict())
    holder = nn.ModuleList([task, nn.Linear(2, 2)])
    holder.train()  # as a training loop does with everything that it holds
    optimiser = torch.optim.SGD([p for p in holder.parameters() if p.requires_grad], lr=1.0)
    first = task(mu, LABELS)
    first.backward()
    optimiser.step()
    assert float(mu.grad.abs().sum()) > 0
    assert all(torch.equal(v, before[k]) for k, v in task.net.state_dict().items())
    assert torch.equal(task(mu, LABELS), first)  # dropout is off and statistics are fixed


def test_a_step_along_the_gradient_serves_the_task_better():
    task, mu = _task(), _image()
    task(mu, LABELS).backward()
    step = 1e-4 * mu.grad / mu.grad.norm()
    assert task(mu - step, LABELS) < task(mu, LABELS)


def test_freezing_copies_and_leaves_the_original_as_it_was():
    net = UNet(widths=(4, 8)).train()
    frozen = freeze(net)
    assert net.training and all(p.requires_grad for p in net.parameters())
    assert not frozen.training and not any(p.requires_grad for p in frozen.parameters())


@pytest.mark.parametrize(
    ("net", "why"),
    [
        (UNet(1, 3, widths=(4, 8)), r"weights are not frozen \(stem.0.weight, ...\); use taskct.task.freeze"),
        (freeze(UNet(1, 3, widths=(4, 8))).train(), "the network itself is in training mode"),
    ],
)
def test_a_network_that_could_move_is_refused(net, why):
    with pytest.raises(InputError, match=why):
        _task(net)


def test_a_network_thawed_later_is_refused_at_the_next_answer():
    task = _task()
    task.net[0].train()
    with pytest.raises(InputError, match="'liver': 0 is in training mode"):
        task.predict(_image())
    with pytest.raises(InputError, match="is frozen; train a copy"):
        task.requires_grad_()


class _Predictor(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = freeze(UNet(1, 3, widths=(4, 8)))
        self.eval()

    def forward(self, x):
        with torch.no_grad():
            return self.net(x)


def test_a_blocked_gradient_is_refused_and_says_where():
    with pytest.raises(InputError, match="prepare step blocks the gradient"):
        _task(prepare=lambda mu: mu.detach())(_image(), LABELS)
    with pytest.raises(InputError, match=r"network blocks the gradient .* pass the bare network instead of the predictor"):
        _task(net=_Predictor())(_image(), LABELS)
    with torch.no_grad():  # nobody asked for a gradient
        assert _task(net=_Predictor())(_image(), LABELS).isfinite()


def test_the_window_maps_its_edges_to_zero_and_one_and_leaks_beyond():
    window = HuWindow(60, 160, leak=0.1)
    x = window(to_mu(torch.tensor([-20.0, 60.0, 140.0, 300.0], dtype=torch.float64)))
    assert x.tolist() == pytest.approx([0, 0.5, 1, 1.1])
    mu = to_mu(torch.tensor([-500.0, 50.0, 900.0])).requires_grad_()
    window(mu).sum().backward()
    assert (mu.grad > 0).all()


def test_preparation_steps_chain_and_resample_keeps_the_mean():
    chain = Chain(HuWindow(40, 400, leak=0), Resample((8, 8)), standardise(0.5, 0.25))
    mu = _image().detach()
    out = chain(mu)
    assert out.shape == (2, 1, 8, 8)
    assert float(out.mean()) == pytest.approx(float((HuWindow(40, 400, leak=0)(mu).mean() - 0.5) / 0.25), abs=0.02)
    with pytest.raises(ConfigError, match=r"expects \(B, C, ...\) with 3 axes"):
        Resample((4, 4, 4))(mu)


def test_the_right_answer_is_not_penalised_and_a_wrong_one_is():
    right = torch.nn.functional.one_hot(LABELS, 3).movedim(-1, 1) * 40.0 - 20.0
    assert float(DiceCE()(right, LABELS)) == pytest.approx(0, abs=1e-6)
    assert float(DiceCE()(-right, LABELS)) > 10
    dice, occurs = soft_dice(right.softmax(1), LABELS)
    assert dice.tolist() == pytest.approx([1, 1, 1]) and occurs.all()


def test_a_batch_without_foreground_is_penalised_by_its_cross_entropy_alone():
    empty = torch.zeros(1, 8, 8, dtype=torch.int64)
    logits = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert float(DiceCE()(logits, empty)) == pytest.approx(float(nn.functional.cross_entropy(logits, empty)))


def test_class_weights_take_a_class_out():
    logits = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    swapped = logits.clone()
    swapped[:, 2] = logits[:, 2].flip(0)
    only_liver = DiceCE(weights=(0, 1, 0))
    dice = lambda x: 1 - soft_dice(x.softmax(1), LABELS)[0][1]
    entropy = nn.functional.cross_entropy(logits, LABELS, weight=torch.tensor([0.0, 1.0, 0.0]))
    assert float(only_liver(logits, LABELS)) == pytest.approx(float(entropy + dice(logits)))


@pytest.mark.parametrize("weights", [(1, -1, 1), (1, float("nan"), 1), (1, float("inf"), 1), (0, 0, 0)])
def test_class_weights_that_teach_nothing_are_refused(weights):
    with pytest.raises(InputError, match=r"DiceCE expects finite class weights of 0 or more, not all of them 0, got \["):
        DiceCE(weights=weights)


def test_class_weights_of_another_number_than_the_classes_are_refused():
    with pytest.raises(InputError, match=r"a weight for each class of the logits, here 3, got \[1.0, 2.0\]"):
        DiceCE(weights=(1, 2))(torch.zeros(2, 3, 16, 16), LABELS)


def test_a_soft_teacher_is_content_with_its_own_answer_only():
    logits = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert float(SoftTeacher(temperature=2.0)(logits, logits)) == pytest.approx(0, abs=1e-7)
    assert float(SoftTeacher()(logits, logits.flip(1))) > 0.1


@pytest.mark.parametrize(
    ("labels", "error", "why"),
    [
        (LABELS.float(), InputError, r"class numbers in int64, got torch.float32"),
        (LABELS[:, :8], GeometryError, r"expect the grid of the answer \(2, 16, 16\), got \(2, 8, 16\); resample"),
        (LABELS + 2, InputError, "expect classes 0 to 2, got 2 to 4; map them first"),
    ],
)
def test_labels_that_do_not_fit_the_answer_are_refused(labels, error, why):
    with pytest.raises(error, match=why):
        DiceCE()(torch.zeros(2, 3, 16, 16), labels)


@pytest.mark.parametrize("depths", [None, [0, -1], ["stem", "up.0"]])
def test_the_feature_distance_is_zero_for_the_same_image_and_pulls_towards_it(depths):
    torch.manual_seed(0)
    task = FrozenTask(freeze(UNet(1, 3, widths=(4, 8))), HuWindow(40, 400), DiceCE(), "liver")
    distance, full = FeatureDistance(task, depths=depths), _image().detach()
    assert float(distance(full, full)) == 0
    mu = (full + 2e-4 * torch.randn(full.shape, generator=torch.Generator().manual_seed(2))).requires_grad_()
    value = distance(mu, full)
    value.backward()
    assert float(((mu - full) * mu.grad).sum()) > 0 and value > 0
    assert not full.requires_grad


def test_features_that_do_not_exist_are_refused_with_the_names_of_those_that_do():
    task = FrozenTask(freeze(ResidualNet(1, 2, width=4, blocks=1)), nn.Identity(), DiceCE(), "r")
    with pytest.raises(InputError, match="has no layer 'stm'; its layers: stem, blocks"):
        FeatureDistance(task, depths=["stm"])
    with pytest.raises(InputError, match=r"has no scales\(\); name the layers"):
        FeatureDistance(FrozenTask(freeze(nn.Conv2d(1, 1, 1)), nn.Identity(), DiceCE(), "c"))
    with pytest.raises(GeometryError, match="differ in shape"):
        FeatureDistance(task)(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 9, 8))


def test_images_that_a_reader_would_misread_are_refused():
    """Water of another attenuation shifts all HU that it sees; classes of another order are taken for one another."""
    reader = _task()
    reader.classes, reader.spacing_mm = ("background", "liver", "tumour"), (1.5, 1.5)
    reader.check_images(who="ct", mu_water_per_mm=0.01929, spacing_mm=(5.0, 1.5, 1.55), label_names={1: "Liver", 2: "cancer"})
    reader.check_images(who="ct", mu_water_per_mm=0.01929, label_names={3: "spleen"})
    for prepare in (HuWindow(40, 400), Chain(HuWindow(40, 400), Resample((8, 8)))):
        with pytest.raises(
            UnitsError, match=r"ct: task 'liver': takes 0.01929/mm .* 0.02/mm in the images.* water at \+37 HU"
        ):
            _task(prepare=prepare).check_images(who="ct", mu_water_per_mm=0.02)
    with pytest.raises(InputError, match=r"'tumour' is class 2, but label 1 \('lesion'\) of the images"):
        reader.check_images(who="ct", mu_water_per_mm=0.01929, label_names={1: "lesion", 2: "liver"})
    with pytest.warns(UserWarning, match="made for pixels of 1.5 x 1.5 mm, and those of the images are 0.7 x 0.7 mm"):
        reader.check_images(who="ct", mu_water_per_mm=0.01929, spacing_mm=(0.7, 0.7))

"""Saved weights find their network under the names of any wrapper, and weights that are wrong are refused."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from taskct.core.errors import ConfigError, FileFormatError
from taskct.nets.weights import check_fit, load_weights, plain_names
from taskct.task.saved_weights import load_network, read_weights


def net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    inner = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2))
    return nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), inner)


class Holder(nn.Module):
    """What DDP and torch.compile look like to names: the network as a part called `name`."""

    def __init__(self, name: str, inner: nn.Module) -> None:
        super().__init__()
        self.add_module(name, inner)


def wrapped(kind: str) -> dict[str, Tensor]:
    source = net(seed=7)
    if kind == "averaged":
        averaged = torch.optim.swa_utils.AveragedModel(source)
        averaged.update_parameters(source)
        return dict(averaged.state_dict())
    if kind == "averaged, compiled":
        return {f"_orig_mod.{k}": v for k, v in torch.optim.swa_utils.AveragedModel(source).state_dict().items()}
    if kind == "a compiled part":
        source[2] = Holder("_orig_mod", source[2])
        return dict(source.state_dict())
    if kind == "a compiled part in DDP":
        source[2] = Holder("_orig_mod", source[2])
        return dict(Holder("module", source).state_dict())
    for name in reversed(kind.split(".")):
        source = Holder(name, source)  # type: ignore[assignment]
    return dict(source.state_dict())


KINDS = ["module", "_orig_mod", "_orig_mod.module", "module._orig_mod", "module.module", "averaged", "averaged, compiled",
         "a compiled part", "a compiled part in DDP"]  # fmt: skip


@pytest.mark.parametrize("ending", [".pt", ".safetensors"])
@pytest.mark.parametrize("kind", KINDS)
def test_weights_saved_from_a_wrapped_network_are_those_of_the_network(kind: str, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"weights{ending}"
    tensors = wrapped(kind)
    torch.save(tensors, path) if ending == ".pt" else save_file(tensors, path)
    expected = net(seed=7).state_dict()
    got = load_network(net(), path).state_dict()
    assert all(torch.equal(expected[name], tensor) for name, tensor in got.items() if "num_batches" not in name)
    assert read_weights(path).keys() == expected.keys()


def test_a_network_that_is_wrapped_itself_takes_plain_and_wrapped_weights() -> None:
    own = Holder("_orig_mod", net())
    load_weights(own, net(seed=7).state_dict(), what="plain")
    assert torch.equal(own.get_submodule("_orig_mod.0").weight, net(seed=7)[0].weight)  # type: ignore[arg-type]
    load_weights(own, wrapped("module"), what="in DDP")


def test_a_part_that_is_really_called_module_keeps_its_name() -> None:
    own, other = Holder("module", net()), Holder("module", net(seed=7))
    load_weights(own, other.state_dict(), what="own")
    load_weights(own, Holder("module", other).state_dict(), what="in DDP")
    assert torch.equal(own.get_submodule("module.0").weight, net(seed=7)[0].weight)  # type: ignore[arg-type]
    both = {"weight": torch.zeros(1), "module.weight": torch.ones(1)}
    assert plain_names(both) == both  # two names would become one


def test_older_files_without_the_counters_of_batchnorm_are_read() -> None:
    tensors = {n: t for n, t in net(seed=7).state_dict().items() if not n.endswith("num_batches_tracked")}
    own = net()
    load_weights(own, tensors, what="old")
    assert torch.equal(own[1].running_mean, net(seed=7)[1].running_mean)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"1 missing \(1.running_mean"):
        load_weights(own, {n: t for n, t in tensors.items() if n != "1.running_mean"}, what="cut")


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_weights_that_are_not_finite_are_refused_by_name_and_move_nothing(bad: float, tmp_path: Path) -> None:
    tensors = {n: t.clone() for n, t in net(seed=7).state_dict().items()}
    tensors["2.1.running_var"][1] = bad
    torch.save(tensors, tmp_path / "w.pt")
    own = net()
    before = copy.deepcopy(own.state_dict())
    with pytest.raises(FileFormatError, match=r"w\.pt: 1 of 14 tensors hold NaN or infinite numbers \(2\.1\.running_var"):
        load_network(own, tmp_path / "w.pt")
    assert all(torch.equal(before[n], t) for n, t in own.state_dict().items())


def test_weights_of_another_network_are_refused_with_what_differs() -> None:
    tensors = dict(net().state_dict())
    tensors["extra"] = tensors.pop("0.bias")
    tensors["0.weight"] = torch.zeros(3, 1, 1, 1)
    words = r"it: these weights are of another network: 1 missing \(0.bias, ...\); 1 unknown \(extra.*1 of another shape"
    with pytest.raises(ConfigError, match=words):
        check_fit(net(), tensors, what="it")


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.long(),
        lambda t: t.to(torch.complex64),
        lambda t: t.to_sparse(),
        lambda t: t.to("meta"),
        lambda t: torch.full_like(t, 1e300, dtype=torch.float64),  # finite, and not in float32
    ],
)
def test_weights_that_would_lose_their_values_are_refused(change):
    net = torch.nn.Linear(2, 2)
    before = net.weight.detach().clone()
    with pytest.raises(FileFormatError, match=r"w\.pt: 2 of 2 tensors"):
        load_weights(net, {name: change(tensor) for name, tensor in net.state_dict().items()}, what="w.pt")
    assert torch.equal(net.weight, before)

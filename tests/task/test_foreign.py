"""Networks of other libraries as frozen tasks: their weights run no code, and MONAI and nnU-Net keep their gradient."""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from taskct.core.errors import ConfigError, FileFormatError, InputError, UnsupportedDataError
from taskct.core.units import to_mu
from taskct.nets import UNet
from taskct.task import DiceCE, FrozenTask, HuWindow, freeze, nnunet
from taskct.task.grids import Padded
from taskct.task.nnunet import NnUNetIntensities, build_network, load_nnunet, read_nnunet_plan
from taskct.task.saved_weights import load_network, read_weights

LIBRARY = importlib.util.find_spec("dynamic_network_architectures") is not None
needs_library = pytest.mark.skipif(
    not LIBRARY, reason="needs dynamic-network-architectures (pip install --no-deps dynamic-network-architectures)"
)


def unet(seed: int = 0) -> UNet:
    torch.manual_seed(seed)
    return UNet(1, 3, widths=(4, 8))


# weights ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", ["plain", "state_dict", "model", "network_weights", "module.", "_orig_mod."])
def test_weights_come_out_of_the_files_of_other_libraries(wrap: str, tmp_path: Path) -> None:
    weights = unet(1).state_dict()
    inside = {f"{wrap}{k}": v for k, v in weights.items()} if wrap.endswith(".") else weights
    content = inside if wrap in ("plain", "module.", "_orig_mod.") else {wrap: inside, "epoch": 3, "best": np.float64(0.5)}
    torch.save(content, tmp_path / "net.pth")
    net = load_network(unet(2), tmp_path / "net.pth")
    assert all(torch.equal(v, weights[k]) for k, v in net.state_dict().items()) and not net.training


def test_safetensors_are_read_too(tmp_path: Path) -> None:
    save_file(unet(1).state_dict(), tmp_path / "net.safetensors")
    assert torch.equal(load_network(unet(2), tmp_path / "net.safetensors").stem[0].weight, unet(1).stem[0].weight)  # type: ignore[index]


class Harm:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("harm-was-done",)


def test_a_file_that_would_run_code_is_refused_and_runs_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": unet().state_dict(), "extra": Harm()}, tmp_path / "zip.pth")
    (tmp_path / "bare.pth").write_bytes(pickle.dumps({"a": Harm()}, protocol=2))
    for name in ("zip.pth", "bare.pth"):
        with pytest.raises(UnsupportedDataError, match=rf"^{tmp_path / name}: holds more than tensors .* that could run code"):
            read_weights(tmp_path / name)
    assert not (tmp_path / "harm-was-done").exists()


def test_weights_that_are_damaged_too_large_or_none_are_refused_by_file(tmp_path: Path) -> None:
    torch.save(unet().state_dict(), tmp_path / "good.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "good.pth").read_bytes()[:700])
    torch.save({"epoch": 3, "loss": [1.0]}, tmp_path / "none.pth")
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(3_000_000))
    for name, reason in (("cut.pth", "cannot be read as weights"), ("none.pth", "holds no weights; .* got epoch, loss")):
        with pytest.raises((FileFormatError, UnsupportedDataError), match=reason) as caught:
            read_weights(tmp_path / name)
        assert str(caught.value).startswith(str(tmp_path / name)) and "\n" not in str(caught.value)
    with pytest.raises(FileFormatError, match="3000000 bytes of weights, above the limit"):
        read_weights(tmp_path / "bomb.pth", limit_bytes=1_000_000)
    with pytest.raises(InputError, match="no such file"):
        read_weights(tmp_path / "missing.pth")
    with pytest.raises(ConfigError, match="these weights are of another network"):
        load_network(UNet(1, 2, widths=(4, 8)), tmp_path / "good.pth")


# MONAI -----------------------------------------------------------------------------------------------------------------


def monai_networks(nets: Any) -> dict[str, nn.Module]:
    torch.manual_seed(0)
    return {
        "UNet": nets.UNet(spatial_dims=2, in_channels=1, out_channels=3, channels=(4, 8, 16), strides=(2, 2), num_res_units=1),
        "SegResNet": nets.SegResNet(spatial_dims=2, in_channels=1, out_channels=3, init_filters=8, blocks_down=(1, 1, 1),
                                    blocks_up=(1, 1)),
        "BasicUNet": nets.BasicUNet(spatial_dims=2, in_channels=1, out_channels=3, features=(4, 4, 8, 8, 8, 4)),
        "UNet in 3D": nets.UNet(spatial_dims=3, in_channels=1, out_channels=3, channels=(4, 8), strides=(2,)),
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["UNet", "SegResNet", "BasicUNet", "UNet in 3D"])
def test_a_network_of_monai_is_a_task_that_keeps_the_contract(kind: str, tmp_path: Path) -> None:
    nets = pytest.importorskip("monai.networks.nets", reason="needs MONAI (pip install taskct[monai])")
    from taskct.testing import check_task

    net = monai_networks(nets)[kind]
    torch.save({"state_dict": net.state_dict()}, tmp_path / "model.pt")  # as a bundle's weights lie; its config is not read
    load_network(monai_networks(nets)[kind], tmp_path / "model.pt")
    task = FrozenTask(freeze(Padded(net, 16)), HuWindow(60, 320), DiceCE(), f"monai {kind}")
    shape = (12, 40, 40) if "3D" in kind else (40, 44)
    check_task(task, shape=shape).raise_if_failed()


# nnU-Net ---------------------------------------------------------------------------------------------------------------


def write_model(folder: Path, *, dims: int = 2, old: bool = False, **changes: Any) -> Path:
    """A model folder as nnU-Net v2 writes it; `old` as versions 2.0 to 2.2 (and TotalSegmentator) do."""
    root = folder / f"nnUNetTrainer__nnUNetPlans__{'2d' if dims == 2 else '3d_fullres'}"
    fold = root / "fold_0"
    fold.mkdir(parents=True)
    one = [1] * dims
    strides, kernels = [one, [2] * dims, [2] * dims], [[3] * dims] * 3
    config: dict[str, Any] = {
        "patch_size": [32] * dims if dims == 2 else [8, 32, 32],
        "spacing": [2.0] * dims if dims == 2 else [5.0, 2.0, 2.0],
        "normalization_schemes": ["CTNormalization"],
    }
    if old:
        config |= {
            "UNet_class_name": "PlainConvUNet", "UNet_base_num_features": 4, "unet_max_num_features": 8,
            "n_conv_per_stage_encoder": [1, 1, 1], "n_conv_per_stage_decoder": [1, 1], "pool_op_kernel_sizes": strides,
            "conv_kernel_sizes": kernels, "num_pool_per_axis": [2] * dims,
        }  # fmt: skip
    else:
        config["architecture"] = {
            "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
            "arch_kwargs": {
                "n_stages": 3, "features_per_stage": [4, 8, 8], "conv_op": f"torch.nn.modules.conv.Conv{dims}d",
                "kernel_sizes": kernels, "strides": strides, "n_conv_per_stage": [1, 1, 1],
                "n_conv_per_stage_decoder": [1, 1], "conv_bias": True,
                "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dims}d",
                "norm_op_kwargs": {"eps": 1e-05, "affine": True}, "dropout_op": None, "dropout_op_kwargs": None,
                "nonlin": "torch.nn.LeakyReLU", "nonlin_kwargs": {"inplace": True},
            },
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        }  # fmt: skip
    plans = {
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "foreground_intensity_properties_per_channel": {
            "0": {"mean": 99.0, "std": 37.0, "percentile_00_5": -15.0, "percentile_99_5": 197.0}
        },
        "configurations": {
            "2d" if dims == 2 else "3d_fullres": config,
            "cascade": {"inherits_from": "2d", "previous_stage": "x"},
        },
    }
    data = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1, "cancer": 2}}
    for key, value in changes.items():
        (config if key in config else plans if key in plans else data)[key] = value
    (root / "plans.json").write_text(json.dumps(plans))
    (root / "dataset.json").write_text(json.dumps(data))
    if LIBRARY:
        torch.manual_seed(3)
        network = build_network(read_nnunet_plan(root))
        content = {
            "network_weights": network.state_dict(),
            "optimizer_state": {},
            "_best_ema": np.float64(0.7),
            "current_epoch": 9,
        }
        torch.save(content, fold / "checkpoint_final.pth")
    return root


@needs_library
@pytest.mark.parametrize(("dims", "old"), [(2, False), (2, True), (3, False)])
def test_a_model_of_nnunet_is_a_task_that_keeps_the_contract(dims: int, old: bool, tmp_path: Path) -> None:
    from taskct.testing import check_task

    root = write_model(tmp_path, dims=dims, old=old)
    spacing = (2.5, 2.5) if dims == 2 else (5.0, 2.5, 2.5)
    task = load_nnunet(root, spacing_mm=spacing, orientation="RAS")
    check_task(task, shape=(40, 44) if dims == 2 else (8, 40, 40)).raise_if_failed()
    assert task.name == f"nnunet {'2d' if dims == 2 else '3d_fullres'}"


@needs_library
def test_only_the_classes_that_are_kept_are_answered(tmp_path: Path) -> None:
    root = write_model(tmp_path)
    mu = to_mu(100 + 40 * torch.randn(1, 1, 40, 40, generator=torch.Generator().manual_seed(0)))
    ask = lambda **more: load_nnunet(root, spacing_mm=(2.0, 2.0), orientation="LPS", **more).predict(mu).softmax(1)
    every, cancer = ask(), ask(keep=["cancer"])
    assert every.shape[1] == 3 and cancer.shape[1] == 2
    assert torch.allclose(cancer[:, 1], every[:, 2], atol=1e-6)
    with pytest.raises(InputError, match="did you mean 'cancer'"):
        ask(keep=["cancers"])


def test_intensities_are_clipped_and_standardised_as_the_plan_says(tmp_path: Path) -> None:
    plan = read_nnunet_plan(write_model(tmp_path))
    assert plan.classes == ("background", "liver", "cancer") and plan.window == (32, 32) and plan.spacing_mm == (2.0, 2.0)
    hu = torch.tensor([[[[-1000.0, -15.0, 99.0, 197.0, 900.0]]]], dtype=torch.float64)
    prepare = NnUNetIntensities(plan, leak=0.0, mu_water_per_mm=0.02)
    wanted = (hu.clamp(-15, 197) - 99) / 37
    assert torch.allclose(prepare(to_mu(hu, mu_water_per_mm=0.02)), wanted, atol=1e-9)
    leaking = NnUNetIntensities(plan, leak=0.1, mu_water_per_mm=0.02)(to_mu(hu, mu_water_per_mm=0.02))
    assert float(leaking[..., 0]) == pytest.approx((-15 - 0.1 * 985 - 99) / 37)


@pytest.mark.parametrize(
    ("change", "error", "reason"),
    [
        ({"normalization_schemes": ["RGBTo01Normalization"]}, UnsupportedDataError, "normalises by RGBTo01Normalization"),
        ({"normalization_schemes": ["CTNormalization"] * 2}, UnsupportedDataError, "images of a patient; CT is one"),
        ({"labels": {"background": 0, "organ": [1, 2]}}, UnsupportedDataError, "regions that overlap"),
        ({"labels": {"background": 0, "liver": 2}}, FileFormatError, "expected labels 0, 1, 2"),
        ({"foreground_intensity_properties_per_channel": {}}, FileFormatError, "lacks the intensities"),
        ({"patch_size": "big"}, FileFormatError, "is not a plan of nnU-Net v2"),
        ({"transpose_forward": [1, 0, 2]}, UnsupportedDataError, "slices are not axial"),
    ],
)
def test_models_that_cannot_be_tasks_are_refused_by_their_file(
    change: dict[str, Any], error: type[Exception], reason: str, tmp_path: Path
) -> None:
    if LIBRARY:
        with pytest.raises(error, match=reason) as caught:
            write_model(tmp_path, **change)
    else:
        root = write_model(tmp_path, **change)
        with pytest.raises(error, match=reason) as caught:
            read_nnunet_plan(root)
    assert str(caught.value).startswith(str(tmp_path))


def test_a_plan_cannot_name_code(tmp_path: Path) -> None:
    root = write_model(tmp_path)
    plans = json.loads((root / "plans.json").read_text())
    config = plans["configurations"]["2d"]["architecture"]
    for where, key, value in (
        (config, "network_class_name", "os.system"),
        (config["arch_kwargs"], "conv_op", "subprocess.Popen"),
        (config["arch_kwargs"], "nonlin", "torch.nn.Module"),
    ):
        kept, where[key] = where[key], value
        (root / "plans.json").write_text(json.dumps(plans))
        with pytest.raises(UnsupportedDataError, match="is not made here; known"):
            read_nnunet_plan(root)
        where[key] = kept
    for where, key, value, reason in (
        (config["arch_kwargs"], "n_stages", 10**6, "1000000 stages"),
        (config["arch_kwargs"], "n_conv_per_stage", [1, 1, 10**9], "1000000000 layers in a stage"),
        (plans["configurations"]["2d"], "patch_size", [10**6, 10**6], "asks for windows of"),
    ):
        kept, where[key] = where[key], value
        (root / "plans.json").write_text(json.dumps(plans))
        with pytest.raises(FileFormatError, match=reason):
            read_nnunet_plan(root)
        where[key] = kept


def test_what_is_missing_or_unsaid_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_model(tmp_path)
    with pytest.raises(ConfigError, match=r"give orientation='RAS' .* or 'LPS'"):
        load_nnunet(root, spacing_mm=(1.0, 1.0))
    with pytest.raises(ConfigError, match="2d has 2 axes"):
        load_nnunet(root, spacing_mm=(1.0, 1.0, 1.0), orientation="LPS")
    with pytest.raises(InputError, match=r"unknown configuration in .*; one of 2d, cascade"):
        read_nnunet_plan(root, "3d_lowres")
    with pytest.raises(UnsupportedDataError, match="reads the answer of another stage"):
        read_nnunet_plan(root, "cascade")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"plans.json: no such file; an nnU-Net model folder holds"):
        read_nnunet_plan(tmp_path / "empty")
    monkeypatch.setitem(__import__("sys").modules, "dynamic_network_architectures.architectures", None)
    with pytest.raises(ConfigError, match="pip install --no-deps dynamic-network-architectures"):
        build_network(read_nnunet_plan(root))


@pytest.mark.parametrize(("dims", "fold", "checkpoint"), [(2, 0, "checkpoint_final.pth"), (3, 3, "checkpoint_best.pth")])
def test_the_weights_of_the_fold_that_is_named_are_read_whatever_makes_the_network(
    dims: int, fold: int, checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the library that makes nnU-Net's networks: another one of as many classes stands for it."""
    root = write_model(tmp_path, dims=dims)
    conv = nn.Conv2d if dims == 2 else nn.Conv3d
    torch.manual_seed(5)
    trained = conv(1, 3, 1)
    (root / f"fold_{fold}").mkdir(exist_ok=True)
    torch.save({"network_weights": trained.state_dict()}, root / f"fold_{fold}" / checkpoint)
    monkeypatch.setattr(nnunet, "build_network", lambda _: conv(1, 3, 1))
    spacing = (2.0, 2.0) if dims == 2 else (5.0, 2.0, 2.0)
    task = load_nnunet(root, spacing_mm=spacing, orientation="LPS", fold=fold, checkpoint=checkpoint)
    mu = torch.full((1, 1, *((32, 32) if dims == 2 else (8, 32, 32))), 0.02)
    kept = {name: weight for name, weight in task.net.state_dict().items() if weight.shape == trained.weight.shape}
    assert any(torch.equal(weight, trained.weight) for weight in kept.values())
    assert task.predict(mu).shape == (1, 3, *mu.shape[2:])

"""Networks that nnU-Net v2 trained, as frozen tasks with a gradient: weights and plans are read, none of its code is run.

nnU-Net predicts inside `inference_mode`, through numpy: no gradient passes there. Here its network is built from plans.json
by the library that holds its architectures (`dynamic-network-architectures`), gets its weights, and its preparation is
written anew in torch: clipping and normalisation of HU, resampling, windows. Source: Isensee et al., Nat. Methods 18:203
(2021), and the plans that nnU-Net writes.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from taskct.core.errors import ConfigError, FileFormatError, InputError, UnsupportedDataError, unknown_name
from taskct.core.files import existing_path
from taskct.core.open_files import read_json
from taskct.core.units import MU_WATER_70KEV_PER_MM, to_hu_unchecked
from taskct.nets.weights import load_weights
from taskct.task.answers import MergedClasses
from taskct.task.frozen import FrozenTask, freeze
from taskct.task.grids import OnGrid
from taskct.task.penalties import DiceCE
from taskct.task.saved_weights import read_weights
from taskct.task.sliding import SlidingWindow

_MOST_JSON_BYTES = 16 * 2**20
_MOST_WEIGHTS = 2_000_000_000
_MOST_STAGES = 12
_MOST_LAYERS = 64
_MOST_IN_WINDOW = 2**27


@dataclass(frozen=True, kw_only=True)
class NnUNetPlan:
    """What a model folder says of one configuration, checked. Spacing and window are in the network's order of axes."""

    configuration: str
    network: str
    arguments: Mapping[str, Any]
    window: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    order: tuple[int, ...]
    normalisation: str
    intensities: Mapping[str, float]
    classes: tuple[str, ...]
    reoriented: bool


def load_nnunet(
    folder: str | os.PathLike[str],
    *,
    spacing_mm: Sequence[float],
    orientation: str | None = None,
    configuration: str | None = None,
    fold: int | str = 0,
    checkpoint: str = "checkpoint_final.pth",
    keep: Sequence[str] | None = None,
    penalty: Callable[[Tensor, Any], Tensor] | None = None,
    leak: float = 0.0,
    mu_water_per_mm: float = MU_WATER_70KEV_PER_MM,
    name: str = "",
) -> FrozenTask:
    """The frozen task of an nnU-Net model folder (that with plans.json, dataset.json and fold_0): mu in 1/mm -> logits.

    spacing_mm       of your images, (y, x) for a 2d configuration, else (z, y, x)
    orientation      of the arrays that it was trained on: "LPS" as ours, "RAS" for files whose x grows to the right and y to
                     the front, which most NIfTI data are; known only for models whose reader turns images round itself
    configuration    such as "3d_fullres"; the last part of the folder's name when not given
    keep             classes that become 1, 2, ... of the answer, by name; all others are background. All when not given
    penalty          DiceCE unless given
    leak             slope outside its intensity range, where its clipping lets no gradient through; 0 keeps its answer exact

    Differences to nnU-Net's own prediction: images and answers are resampled linearly instead of by cubic splines (none of it
    where your spacing is the model's), no mirrored copies are averaged, sums are in float32.

    Raises ConfigError when the library is missing or the weights do not fit, FileFormatError and UnsupportedDataError for a
    folder that is damaged, would run code, or was trained in a way that has no such network (regions, cascades).
    """
    plan = read_nnunet_plan(folder, configuration)
    if orientation is None:
        if not plan.reoriented:
            raise ConfigError(
                f"{folder}: does not say how its images lay; give orientation='RAS' (x to the right, y to the front: most "
                "NIfTI data) or 'LPS' (as ours). A flipped image is read badly without any error"
            )
        orientation = "RAS"
    if len(spacing_mm) != len(plan.window):
        raise ConfigError(f"{folder}: {plan.configuration} has {len(plan.window)} axes, got spacing_mm {tuple(spacing_mm)}")
    path = Path(folder) / f"fold_{fold}" / checkpoint
    network = build_network(plan)
    load_weights(network, read_weights(path), what=str(path))
    order = plan.order if len(plan.window) == 3 else None
    classes = plan.classes if keep is None else (plan.classes[0], *keep)
    net: nn.Module = OnGrid(
        SlidingWindow(network, plan.window, outside="zero"),
        spacing_mm=spacing_mm,
        its_spacing_mm=plan.spacing_mm,
        orientation=orientation,
        order=order,
    )
    if keep is not None:
        for one in keep:
            if one not in plan.classes[1:]:
                raise unknown_name(f"class of {Path(folder).name}", one, plan.classes[1:])
        net = MergedClasses(net, [[plan.classes.index(one)] for one in keep])
    prepare = NnUNetIntensities(plan, leak=leak, mu_water_per_mm=mu_water_per_mm)
    known_as = name or f"nnunet {plan.configuration}"
    return FrozenTask(freeze(net), prepare, penalty or DiceCE(), known_as, classes=classes, spacing_mm=spacing_mm)


class NnUNetIntensities(nn.Module):
    """mu in 1/mm -> what the network was trained on: HU clipped and standardised (CT), or standardised by the image itself."""

    def __init__(self, plan: NnUNetPlan, *, leak: float, mu_water_per_mm: float) -> None:
        super().__init__()
        if not 0 <= leak < 1:
            raise ConfigError(f"expected 0 <= leak < 1, got {leak!r}")
        self.kind, self.intensities, self.leak, self.mu_water_per_mm = (
            plan.normalisation,
            plan.intensities,
            leak,
            mu_water_per_mm,
        )

    def forward(self, mu: Tensor) -> Tensor:
        """Same shape."""
        hu = to_hu_unchecked(mu, mu_water_per_mm=self.mu_water_per_mm)
        if self.kind == "NoNormalization":
            return hu
        if self.kind == "ZScoreNormalization":
            axes = tuple(range(1, hu.ndim))
            return (hu - hu.mean(axes, keepdim=True)) / hu.std(axes, keepdim=True, correction=0).clamp_min(1e-8)
        known = self.intensities
        inside = hu.clamp(known["percentile_00_5"], known["percentile_99_5"])
        return (inside + self.leak * (hu - inside) - known["mean"]) / max(known["std"], 1e-8)


def read_nnunet_plan(folder: str | os.PathLike[str], configuration: str | None = None) -> NnUNetPlan:
    """What plans.json and dataset.json of a model folder say about one configuration; errors begin with the file."""
    root = existing_path(folder, what="nnU-Net model folder")
    plans, data = _read_json(root / "plans.json"), _read_json(root / "dataset.json")
    name = configuration or root.resolve().name.split("__")[-1]
    path = root / "plans.json"
    try:
        found = _inherited(plans["configurations"], name, path)
        if found.get("previous_stage"):
            raise UnsupportedDataError(f"{path}: {name} reads the answer of another stage; use that of '3d_fullres'")
        network, arguments = _architecture(found)
        window = tuple(int(n) for n in found["patch_size"])
        order = tuple(int(k) for k in plans.get("transpose_forward", (0, 1, 2)))
        schemes, intensities = found["normalization_schemes"], plans.get("foreground_intensity_properties_per_channel", {})
        plan = NnUNetPlan(
            configuration=name,
            network=network,
            arguments=arguments,
            window=window,
            spacing_mm=tuple(float(s) for s in found["spacing"])[-len(window) :],
            order=order,
            normalisation=str(schemes[0]),
            intensities={k: float(v) for k, v in intensities.get("0", {}).items()},
            classes=_classes(data, root / "dataset.json"),
            reoriented=plans.get("image_reader_writer") == "NibabelIOWithReorient",
        )
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise FileFormatError(f"{path}: is not a plan of nnU-Net v2 for {name} ({type(error).__name__}: {error})") from error
    channels = data.get("channel_names", data.get("modality", {}))
    if len(channels) != 1 or len(schemes) != 1:
        raise UnsupportedDataError(f"{root / 'dataset.json'}: expects {len(channels)} images of a patient; CT is one")
    if len(window) not in (2, 3) or min(window) < 1 or math.prod(window) > _MOST_IN_WINDOW:
        raise FileFormatError(f"{path}: asks for windows of {window}")
    if len(window) == 2 and order[0] != 0:
        raise UnsupportedDataError(f"{path}: its slices are not axial (transpose_forward {order})")
    if plan.normalisation not in _NORMALISATIONS:
        raise UnsupportedDataError(f"{path}: normalises by {plan.normalisation}; known: {', '.join(_NORMALISATIONS)}")
    if plan.normalisation == "CTNormalization" and not {"mean", "std", "percentile_00_5", "percentile_99_5"} <= set(
        plan.intensities
    ):
        raise FileFormatError(f"{path}: lacks the intensities that its CTNormalization needs")
    return plan


def build_network(plan: NnUNetPlan) -> nn.Module:
    """The untrained network of a plan, one answer per sample (no deep supervision).

    Only the architectures and layers listed at the end of this file are made: a plan names none of its own.
    """
    try:
        from dynamic_network_architectures.architectures import unet
    except ImportError as error:
        raise ConfigError(
            "nnU-Net's networks need dynamic-network-architectures: pip install --no-deps dynamic-network-architectures "
            "(without --no-deps it brings torchvision, which breaks other libraries beside a CPU build of torch)"
        ) from error
    make = lambda: getattr(unet, plan.network)(
        input_channels=1, num_classes=len(plan.classes), deep_supervision=False, **plan.arguments
    )
    try:
        with torch.device("meta"):
            size = sum(p.numel() for p in make().parameters())  # nothing is allocated yet
        if size > _MOST_WEIGHTS:
            raise FileFormatError(f"the plan asks for {size:.2e} weights, above the limit of {_MOST_WEIGHTS:.0e}")
        with torch.random.fork_rng():
            return make()
    except (TypeError, ValueError, AssertionError, RuntimeError, IndexError) as error:
        raise FileFormatError(f"the plan of {plan.configuration} makes no {plan.network} ({error})") from error


def _inherited(configurations: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    """A configuration with what it takes over from others."""
    chain: list[dict[str, Any]] = []
    while name:
        if name not in configurations or len(chain) > len(configurations):
            raise unknown_name(f"configuration in {path}", name, configurations)
        chain.append(configurations[name])
        name = configurations[name].get("inherits_from", "")
    out: dict[str, Any] = {}
    for one in reversed(chain):
        out |= one
    return out


def _architecture(found: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Class name and arguments, from plans of today or of nnU-Net 2.0 to 2.2 (as those of TotalSegmentator are)."""
    if "architecture" in found:
        network = str(found["architecture"]["network_class_name"]).rpartition(".")[2]
        arguments = dict(found["architecture"]["arch_kwargs"])
        for key in found["architecture"].get("_kw_requires_import", ()):
            arguments[key] = None if arguments[key] is None else _layer(str(arguments[key]))
    else:
        network, strides = str(found["UNet_class_name"]), found["pool_op_kernel_sizes"]
        dims, stages = len(found["patch_size"]), len(found["pool_op_kernel_sizes"])
        widths = [min(int(found["UNet_base_num_features"]) * 2**k, int(found["unet_max_num_features"])) for k in range(stages)]
        encoder = "n_blocks_per_stage" if network == "ResidualEncoderUNet" else "n_conv_per_stage"
        arguments = {
            "n_stages": stages, "features_per_stage": widths, "conv_op": _LAYERS[f"Conv{dims}d"],
            "kernel_sizes": found["conv_kernel_sizes"], "strides": strides, encoder: found["n_conv_per_stage_encoder"],
            "n_conv_per_stage_decoder": found["n_conv_per_stage_decoder"], "conv_bias": True,
            "norm_op": _LAYERS[f"InstanceNorm{dims}d"], "norm_op_kwargs": {"eps": 1e-5, "affine": True}, "dropout_op": None,
            "dropout_op_kwargs": None, "nonlin": _LAYERS["LeakyReLU"], "nonlin_kwargs": {"inplace": True},
        }  # fmt: skip
    if network not in _NETWORKS:
        raise UnsupportedDataError(f"a network of kind {network!r} is not made here; known: {', '.join(_NETWORKS)}")
    if int(arguments["n_stages"]) > _MOST_STAGES:
        raise ValueError(f"{arguments['n_stages']} stages")
    layers = [n for key, value in arguments.items() if key.startswith("n_") for n in np.ravel(value).tolist()]
    if max(layers) > _MOST_LAYERS:
        raise ValueError(f"{max(layers)} layers in a stage")
    return network, arguments


def _layer(name: str) -> type[nn.Module]:
    short = name.rpartition(".")[2]
    if not name.startswith("torch.nn.") or short not in _LAYERS:
        raise UnsupportedDataError(f"a plan names the layer {name!r}, which is not made here; known: {', '.join(_LAYERS)}")
    return _LAYERS[short]


def _classes(data: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    labels = data["labels"]
    if any(isinstance(number, list) for number in labels.values()) or data.get("regions_class_order"):
        raise UnsupportedDataError(
            f"{path}: was trained on regions that overlap; only classes that exclude each other are read"
        )
    numbers = {str(name): int(number) for name, number in labels.items() if name != "ignore"}
    if sorted(numbers.values()) != list(range(len(numbers))) or len(numbers) < 2:
        raise FileFormatError(f"{path}: expected labels 0, 1, 2, ..., got {numbers}")
    return tuple(sorted(numbers, key=lambda name: numbers[name]))


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"{path}: no such file; an nnU-Net model folder holds plans.json, dataset.json and fold_0")
    return read_json(path, limit_bytes=_MOST_JSON_BYTES)


_NETWORKS = ("PlainConvUNet", "ResidualEncoderUNet")
_NORMALISATIONS = ("CTNormalization", "ZScoreNormalization", "NoNormalization")
_LAYERS: dict[str, type[nn.Module]] = {
    kind.__name__: kind
    for kind in (
        nn.Conv2d, nn.Conv3d, nn.InstanceNorm2d, nn.InstanceNorm3d, nn.BatchNorm2d, nn.BatchNorm3d, nn.Dropout2d,
        nn.Dropout3d, nn.LeakyReLU, nn.ReLU, nn.GELU,
    )
}  # fmt: skip

"""
A network of nnU-Net as the reader
==================================

Needs ``pip install --no-deps dynamic-network-architectures`` (its dependencies would bring torchvision); without it
the example says so and ends.
"""

import json
import tempfile
from importlib.util import find_spec
from pathlib import Path

import torch

import taskct
from taskct.task import load_nnunet
from taskct.testing import check_task

if find_spec("dynamic_network_architectures") is None:
    raise SystemExit("not installed here: pip install --no-deps dynamic-network-architectures")

# %%
# A model folder as nnU-Net v2 writes it: plans.json, dataset.json and a checkpoint. Yours takes its place; this one has
# random weights, so that nothing needs a download.
unit = {"network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet"}
unit["_kw_requires_import"] = ["conv_op", "norm_op", "dropout_op", "nonlin"]
unit["arch_kwargs"] = {
    "n_stages": 3, "features_per_stage": [4, 8, 8], "conv_op": "torch.nn.modules.conv.Conv2d", "kernel_sizes": [[3, 3]] * 3,
    "strides": [[1, 1], [2, 2], [2, 2]], "n_conv_per_stage": [1, 1, 1], "n_conv_per_stage_decoder": [1, 1], "conv_bias": True,
    "norm_op": "torch.nn.modules.instancenorm.InstanceNorm2d", "norm_op_kwargs": {"eps": 1e-5, "affine": True},
    "dropout_op": None, "dropout_op_kwargs": None, "nonlin": "torch.nn.LeakyReLU", "nonlin_kwargs": {"inplace": True},
}  # fmt: skip
plans = {
    "image_reader_writer": "SimpleITKIO",
    "transpose_forward": [0, 1, 2],
    "foreground_intensity_properties_per_channel": {
        "0": {"mean": 99.0, "std": 37.0, "percentile_00_5": -15.0, "percentile_99_5": 197.0}
    },
    "configurations": {
        "2d": {
            "patch_size": [32, 32], "spacing": [2.0, 2.0], "normalization_schemes": ["CTNormalization"], "architecture": unit
        }
    },
}  # fmt: skip
folder = Path(tempfile.mkdtemp()) / "nnUNetTrainer__nnUNetPlans__2d"
(folder / "fold_0").mkdir(parents=True)
(folder / "plans.json").write_text(json.dumps(plans))
labels = {"background": 0, "liver": 1, "cancer": 2}
(folder / "dataset.json").write_text(json.dumps({"channel_names": {"0": "CT"}, "labels": labels}))

from taskct.task.nnunet import build_network, read_nnunet_plan

torch.manual_seed(3)
weights = build_network(read_nnunet_plan(folder)).state_dict()
torch.save({"network_weights": weights}, folder / "fold_0" / "checkpoint_final.pth")

# %%
# The folder is read as data: nothing that a plan names is imported. Say on which pixels your images lie and how they
# are turned; the answer comes back on your grid.
task = load_nnunet(folder, spacing_mm=(2.5, 2.5), orientation="LPS", keep=["liver", "cancer"])
print(check_task(task, shape=(40, 44)))

# %%
# The probability that it gives for its class "liver". With your weights the liver appears.
case = taskct.phantom_case("abdomen", shape=(1, 128, 128), spacing_mm=(5.0, 2.5, 2.5))
answer = task.predict(case.mu).softmax(1)[:, 1:2]
taskct.show({"the class 'liver' of a random network": answer}, window=(0.33, 0.2))

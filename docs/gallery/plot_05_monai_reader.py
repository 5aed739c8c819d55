"""
A network of MONAI as the reader
================================

Needs ``pip install taskct[monai]``; without MONAI the example prints this and stops.
"""

import torch

import taskct
from taskct.task import DiceCE, FrozenTask, HuWindow, Padded, freeze, layer_names
from taskct.testing import check_task

try:
    from monai.networks.nets import SegResNet
except ImportError:
    raise SystemExit("MONAI is not installed here: pip install taskct[monai]") from None

# %%
# ``Padded`` brings the image to sizes that the network's scales divide. Weights of a bundle are read by
# ``load_network(net, "models/model.pt")``, which runs no code of the file.
torch.manual_seed(0)
net = SegResNet(spatial_dims=2, in_channels=1, out_channels=3, init_filters=8, blocks_down=(1, 1, 1), blocks_up=(1, 1))
task = FrozenTask(freeze(Padded(net, 16)), HuWindow(60, 320), DiceCE(), "segresnet")
print(check_task(task))

# %%
# The feature loss compares what the network sees inside. You name the layers; those in the middle of the encoder and at
# its end are a good first choice.
print([name for name in layer_names(task.net) if "down_layers" in name][:6])
loss = taskct.FeaturePenalty(task, depths=["net.down_layers.1", "net.down_layers.2"])

# %%
# The gradient of the reader's penalty reaches the image. This is what a training with ``LabelPenalty(task)`` follows.
case = taskct.liver_classes(taskct.Cohort("abdomen", 10, shape=(96, 96), slices_per_patient=1).patient(0).case)
mu = case.mu.requires_grad_()
task(mu, case.labels.long()).backward()
taskct.show(
    {
        "gradient of the penalty": mu.grad / mu.grad.abs().max(),
        "the same, closer": mu.grad[..., 32:64, 32:64] / mu.grad.abs().max(),
    },
    window=(0, 0.4),
)

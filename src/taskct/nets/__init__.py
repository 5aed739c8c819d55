"""Network architectures: plain modules from images to images. No physics, no task: reconstructors and readers share them."""

from taskct.nets.blocks import norm_layer
from taskct.nets.discriminator import PatchDiscriminator
from taskct.nets.folded import Folded
from taskct.nets.redcnn import REDCNN
from taskct.nets.residual import ResidualNet
from taskct.nets.unet import UNet

__all__ = ["NETWORKS", "REDCNN", "Folded", "PatchDiscriminator", "ResidualNet", "UNet", "norm_layer"]

NETWORKS = {"unet": UNet, "redcnn": REDCNN, "residual": ResidualNet}

"""Network architectures: plain modules from images to images. No physics, no task: reconstructors and readers share them."""

from taskct.nets.blocks import norm_layer
from taskct.nets.dense_blocks import DenseBlock
from taskct.nets.discriminator import PatchDiscriminator
from taskct.nets.folded import Folded
from taskct.nets.heads import CentresHead, Decoder, FindingsHead, RestoreHead, SegmentHead
from taskct.nets.learned_queries import QueryVolume
from taskct.nets.pyramids import PYRAMIDS, VGG13, ResNet50, SmallPyramid
from taskct.nets.redcnn import REDCNN
from taskct.nets.residual import ResidualNet
from taskct.nets.shared_net import SharedNet
from taskct.nets.state_space import SelectiveStateSpace, TokenMixer
from taskct.nets.unet import UNet
from taskct.nets.volume_folding import fold_volume, unfold_volume

__all__ = [
    "NETWORKS",
    "PYRAMIDS",
    "REDCNN",
    "VGG13",
    "CentresHead",
    "Decoder",
    "DenseBlock",
    "FindingsHead",
    "Folded",
    "PatchDiscriminator",
    "QueryVolume",
    "ResNet50",
    "ResidualNet",
    "RestoreHead",
    "SegmentHead",
    "SelectiveStateSpace",
    "SharedNet",
    "SmallPyramid",
    "TokenMixer",
    "UNet",
    "fold_volume",
    "norm_layer",
    "unfold_volume",
]

NETWORKS = {"unet": UNet, "redcnn": REDCNN, "residual": ResidualNet}

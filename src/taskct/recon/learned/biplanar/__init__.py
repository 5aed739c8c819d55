"""Networks from two or more radiographs to a volume."""

from taskct.recon.learned.biplanar.biplanar_net import BiPlanarNet
from taskct.recon.learned.biplanar.biplanar_networks import BIPLANAR, preset_config
from taskct.recon.learned.biplanar.view_lifting import Lifting

__all__ = ["BIPLANAR", "BiPlanarNet", "Lifting", "preset_config"]

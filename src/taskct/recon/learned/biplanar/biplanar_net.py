"""Networks from two or more radiographs to a volume, made of named blocks that can be added and taken away."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from taskct.core.errors import ConfigError, GeometryError, unknown_name
from taskct.core.units import MU_WATER_70KEV_PER_MM
from taskct.physics.film import as_film
from taskct.physics.projector import Projector
from taskct.physics.projectors import Projectors
from taskct.recon.agree import Agreement
from taskct.recon.learned.biplanar.view_lifting import GEOMETRIES, Lifting
from taskct.recon.learned.biplanar.views_to_volume import Blocks, ViewsToVolume

AGREEMENTS = ("none", "last", "unrolled")
FILMS = ("line integral", "8-bit")
_USUAL_P = 1.5  # line integral through the middle of a head, about


class BiPlanarNet(nn.Module):
    """`model(p, A)`: p (B, 1, V, R, C) -> mu (B, 1, Z, Y, X) in 1/mm; A is a `Projector`, or `Projectors` with one per image.

    lift        how what the views show gets into the volume, one or several of
                    "repeat"     maps of a 2D encoder copied along the axis nearest to the view (X2CT-GAN's skips): no geometry
                    "smear"      the radiographs spread along the rays of A, seen by a 3D encoder (PSCT-Net's BP-I)
                    "rays"       maps of every level spread along the rays of that level, `A.coarser(k)` (BP-C)
                    "attention"  64 learned 3D queries that attend to the coarsest maps (AGP-3D); `positions` False is the
                                 published form, in which nothing says where a map's place lies
    core        at the coarsest level: "none", "state-space" (BiM-3D: `TokenMixer`) or "attention"
    agree       agreement with p through A inside the network: "none"; "last": `agree_steps` SIRT steps at the end; "unrolled":
                `stages` times (`agree_steps` SIRT steps, a network that sees image, change and views), and again SIRT steps
    decoder     "plain", or "fused" with a branch and an answer for each view beside the fused one (MV3D-C)
    encoder     "plain", or "dense" (DenseNets in 2D and 3D with fixed widths, as released)
    widths      channels of the levels, fine to coarse; `fold` voxels in one, along each axis, at the finest of them
    norm        "instance", "batch" or "none"; "group" is refused, see below
    geometry    "true": that of A; "released": the one in the released code of PSCT-Net, for lifts (agreement always has A's)
    prior       shape (Z, Y, X) of an image that the answer is added to, the mean of the training images (`set_prior`); None:
                the network answers the whole image
    view_answers
                whether the answers of the view branches are meant to be trained; as released they are not, and their last
                layers stay as they were drawn
    centred     whether lifts see p - A prior, what differs from the prior, in place of p
    films       "line integral", or "8-bit": p is scaled to eight bits between its extremes first, as published work does, so
                neither `centred` nor agreement is to be had
    positive    whether negative attenuation is cut off before agreement

    Normalisation by groups of channels keeps each channel's mean over the volume, which is nearly the same in all patients
    and sets the scale of its group; what differs between patients is a small part of that, and trainings crawl away from the
    mean image. Instance normalisation takes the mean out. Input that is `centred` mends most of it, but instance normalisation
    stays ahead (docs/biplanar.md has the figures), so "group" is a ConfigError here.

    `model.outputs(p, A)` gives the answers of all branches. GeometryError for sizes that the levels do not divide, another
    number of views, or another grid than the prior's. All arguments are plain values: `make_model({"kind": "biplanar", ...})`
    rebuilds the network. Sources: PSCT-Net (arXiv 2606.19867) and X2CT-GAN (CVPR 2019) for blocks, built from their
    descriptions; the agreement and its place in the network are ours.

    >>> from taskct.geometry import Grid, bi_planar
    >>> beam = bi_planar(cols=8, rows=8, pixel_mm=36.0, source_iso_mm=1000, source_detector_mm=1500)
    >>> A = Projector(Grid((8, 8, 8), 24.0), beam)
    >>> model = BiPlanarNet(lift=("smear",), agree="last", widths=(4, 8))
    >>> model(torch.rand(2, 1, 2, 8, 8), A).shape
    torch.Size([2, 1, 8, 8, 8])
    """

    def __init__(
        self,
        *,
        lift: tuple[str, ...] = ("smear",),
        core: str = "none",
        agree: str = "none",
        decoder: str = "plain",
        encoder: str = "plain",
        widths: tuple[int, ...] = (16, 32, 64),
        fold: int = 2,
        norm: str = "instance",
        views: int = 2,
        stages: int = 2,
        agree_steps: int = 2,
        geometry: str = "true",
        positions: bool = True,
        heads: int = 8,
        dropout: float = 0.5,
        last_size: int = 1,
        view_answers: bool = False,
        prior: tuple[int, int, int] | None = None,
        centred: bool = False,
        films: str = "line integral",
        positive: bool = False,
    ) -> None:
        super().__init__()
        if agree not in AGREEMENTS:
            raise unknown_name("agreement", agree, AGREEMENTS)
        if geometry not in GEOMETRIES:
            raise unknown_name("geometry", geometry, GEOMETRIES)
        if norm == "group":
            raise ConfigError(
                "BiPlanarNet does not take norm 'group', with which trainings crawl away from the mean image; take 'instance'"
            )
        if centred and prior is None:
            raise ConfigError("BiPlanarNet centred on its prior needs one: prior=(Z, Y, X)")
        if stages < 1 or agree_steps < 1:
            raise ConfigError(f"BiPlanarNet expects stages and agree_steps of 1 or more, got {stages} and {agree_steps}")
        if films not in FILMS:
            raise unknown_name("kind of films", films, FILMS)
        if films != "line integral" and (centred or agree != "none"):
            raise ConfigError(
                f"films of {films} say nothing of how much a head attenuates: BiPlanarNet expects them with agree 'none' and "
                f"not centred, got agree {agree!r} and centred {centred}"
            )
        lifts = (lift,) if isinstance(lift, str) else tuple(lift)
        self.blocks = Blocks(
            lifts, core, encoder, decoder, tuple(widths), fold, norm, views, positions, heads, dropout, last_size,
            view_answers,
        )  # fmt: skip
        self.blocks.check()
        self.agree, self.geometry, self.positive, self.views = agree, geometry, positive, views
        self.centred, self.films = centred, films
        unrolled = agree == "unrolled"
        self.nets = nn.ModuleList(ViewsToVolume(self.blocks, inputs=2 * unrolled) for _ in range(stages if unrolled else 1))
        self.agreement = Agreement(agree_steps)
        self.prior: Tensor | None
        self.register_buffer("prior", None if prior is None else torch.zeros(1, 1, *prior))

    def set_prior(self, mu: Tensor) -> None:
        """Take an image (1, 1, Z, Y, X) in 1/mm as the prior: the mean of the images that are trained on."""
        if self.prior is None or mu.shape != self.prior.shape:
            wanted = None if self.prior is None else tuple(self.prior.shape)
            raise GeometryError(f"BiPlanarNet expects a prior of shape {wanted}, got {tuple(mu.shape)}")
        self.prior.copy_(mu / MU_WATER_70KEV_PER_MM)

    @property
    def prior_mu(self) -> Tensor | None:
        """The prior in 1/mm, (1, 1, Z, Y, X); None without one."""
        return None if self.prior is None else self.prior * MU_WATER_70KEV_PER_MM

    def forward(self, p: Tensor, A: Projector | Projectors) -> Tensor:
        """p -> mu in 1/mm."""
        return self.outputs(p, A)[0]

    def outputs(self, p: Tensor, A: Projector | Projectors) -> tuple[Tensor, ...]:
        """(fused, view 1, view 2 ...) in 1/mm, each (B, 1, Z, Y, X); the fused answer alone without the fused decoder.

        Agreement is part of the fused answer only.
        """
        self._check(p, A)
        lifting = Lifting(A, self.geometry)
        water = MU_WATER_70KEV_PER_MM
        x = p.new_zeros((len(p), 1, *A.mu_shape))  # in units of water, as the networks are
        if self.prior is not None:
            x = x + self.prior.to(p)
        shown = p - A(x * water) if self.centred else self._film(p)
        smeared = lifting.images(shown) / water if "smear" in self.blocks.lift else None
        seen = shown if self.centred else shown - _USUAL_P
        if self.agree != "unrolled":
            each = [x + change.float() for change in self.nets[0](seen, smeared, None, lifting)]
        else:
            for net in self.nets:
                nearer = self._agreed(x, p, A)
                changes = net(seen, smeared, torch.cat([nearer, nearer - x], 1), lifting)
                each = [nearer + change.float() for change in changes]
                x = each[0]
        if self.positive:
            each = [one.relu() for one in each]
        if self.agree != "none":
            each[0] = self._agreed(each[0], p, A)
        return tuple(one * water for one in each)

    def _film(self, p: Tensor) -> Tensor:
        """p as the network sees it, about as large as line integrals are."""
        return p if self.films == "line integral" else 2 * _USUAL_P * as_film(p, mode="8-bit")

    def _agreed(self, x: Tensor, p: Tensor, A: Projector | Projectors) -> Tensor:
        """Nearer to p, in units of water: the steps are linear, so both are scaled."""
        return self.agreement(x, p / MU_WATER_70KEV_PER_MM, A)

    def _check(self, p: Tensor, A: Projector | Projectors) -> None:
        if len(A.p_shape) != 3 or p.ndim != 5 or p.shape[1:] != (1, *A.p_shape):
            wanted = ", ".join(map(str, ("B", 1, *A.p_shape)))
            raise GeometryError(f"BiPlanarNet expects radiographs ({wanted}) of its geometry, got {tuple(p.shape)}")
        if A.p_shape[0] != self.views:
            raise GeometryError(f"BiPlanarNet was made for {self.views} views, got {A.p_shape[0]}")
        sizes = (*A.mu_shape, *A.p_shape[1:])
        if any(n % self.blocks.coarsest for n in sizes):
            raise GeometryError(
                f"BiPlanarNet with {len(self.blocks.widths)} levels and fold {self.blocks.fold} expects sizes of grid and "
                f"detector that divide by {self.blocks.coarsest}, got {A.mu_shape} and {A.p_shape[1:]}"
            )
        if self.prior is not None and tuple(self.prior.shape[2:]) != A.mu_shape:
            raise GeometryError(
                f"BiPlanarNet holds a prior of {tuple(self.prior.shape[2:])} voxels, got a grid of {A.mu_shape}; "
                "reconstruct on the grid of its training"
            )

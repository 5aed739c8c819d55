"""One network from radiographs (and an image to improve) to a volume, put together from named blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from taskct.core.errors import ConfigError, unknown_name
from taskct.nets import QueryVolume, TokenMixer
from taskct.nets.blocks import concatenate, conv_block
from taskct.nets.state_space import MIXERS
from taskct.recon.learned.biplanar.view_encoders import DENSE_LAYERS, DenseViewEncoder, PlainViewEncoder
from taskct.recon.learned.biplanar.view_lifting import Lifting
from taskct.recon.learned.biplanar.volume_decoders import FusedDecoder, PlainDecoder
from taskct.recon.learned.biplanar.volume_encoders import DenseVolumeEncoder, PlainVolumeEncoder

LIFTS = ("repeat", "smear", "rays", "attention")
CORES = ("none", *MIXERS)
ENCODERS = ("plain", "dense")
DECODERS = ("plain", "fused")


class Blocks(NamedTuple):
    """Which blocks a network is made of; see `BiPlanarNet` for their meaning."""

    lift: tuple[str, ...]
    core: str
    encoder: str
    decoder: str
    widths: tuple[int, ...]
    fold: int
    norm: str
    views: int
    positions: bool
    heads: int
    dropout: float
    last_size: int
    view_answers: bool

    def check(self) -> None:
        """ConfigError for blocks that do not exist or do not fit together."""
        for kind, name, known in (
            *(("lift", one, LIFTS) for one in self.lift),
            ("core", self.core, CORES),
            ("encoder", self.encoder, ENCODERS),
            ("decoder", self.decoder, DECODERS),
        ):
            if name not in known:
                raise unknown_name(kind, name, known)
        if not self.lift or len(set(self.lift)) < len(self.lift):
            raise ConfigError(f"BiPlanarNet expects one or several different lifts of {', '.join(LIFTS)}, got {self.lift}")
        if self.lift == ("attention",):
            raise ConfigError(
                "attention lifts the coarsest level only; give a second lift for the finer ones: ('repeat', 'attention')"
            )
        if self.decoder == "fused" and not self.reads_views:
            raise ConfigError("the fused decoder has a branch for each view; add the lift 'repeat', 'rays' or 'attention'")
        if self.encoder == "dense" and (
            "smear" not in self.lift or len(self.widths) != len(DENSE_LAYERS) + 1 or self.fold != 1
        ):
            raise ConfigError("the dense encoder expects the lift 'smear' among others, six widths and fold 1, as released")
        if len(self.widths) < 2 or min(self.widths) < 1 or self.fold not in (1, 2, 4) or self.views < 1:
            raise ConfigError(
                f"BiPlanarNet expects two widths or more, fold 1, 2 or 4 and at least one view, got {self.widths}, "
                f"{self.fold}, {self.views}"
            )
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"BiPlanarNet expects 0 <= dropout < 1, got {self.dropout}")

    @property
    def reads_views(self) -> bool:
        """Whether a 2D encoder looks at each view."""
        return bool({"repeat", "rays", "attention"} & set(self.lift))

    @property
    def coarsest(self) -> int:
        """Voxels in one at the coarsest level, along each axis."""
        return self.fold * 2 ** (len(self.widths) - 1)


class ViewsToVolume(nn.Module):
    """p (B, 1, V, R, C) of order 1, volumes (B, `inputs`, Z, Y, X) of order 1 -> a change of the image, and one per view."""

    def __init__(self, blocks: Blocks, *, inputs: int = 0) -> None:
        super().__init__()
        self.blocks, self.inputs = blocks, inputs
        b, V, w = blocks, blocks.views, blocks.widths
        dense = b.encoder == "dense"
        maps = (0,) * len(w)
        self.view_encoders = nn.ModuleList()
        if b.reads_views:
            make = (lambda: DenseViewEncoder(norm=b.norm)) if dense else lambda: PlainViewEncoder(w, fold=b.fold, norm=b.norm)
            self.view_encoders.extend(make() for _ in range(V))
            maps = self.view_encoders[0].widths  # type: ignore[assignment]
        self.volume_encoder: PlainVolumeEncoder | DenseVolumeEncoder | None = None
        seen = inputs + (V if "smear" in b.lift else 0)
        if seen or "rays" in b.lift:
            beside = [(m if dense else V * m) if "rays" in b.lift else 0 for m in maps]
            self.volume_encoder = (
                DenseVolumeEncoder(seen, w, beside=beside, norm=b.norm)
                if dense
                else PlainVolumeEncoder(seen, w, beside=beside, fold=b.fold, norm=b.norm)
            )
        encoded = [width if self.volume_encoder is not None else 0 for width in w]
        self.queries = nn.ModuleList()
        if "attention" in b.lift:
            self.queries.extend(
                QueryVolume(maps[-1], w[-1], heads=b.heads, dropout=b.dropout, positions=b.positions) for _ in range(V)
            )
        self.enter = nn.ModuleList()  # a view's coarsest copies, made as wide as the volume
        if not self.queries and (b.decoder == "fused" or "repeat" in b.lift):
            self.enter.extend(conv_block(3, maps[-1], w[-1], norm=b.norm) for _ in range(V))
        meets = (w[-1] if b.decoder == "fused" else V * w[-1]) if self.queries or self.enter else 0
        self.bottom = conv_block(3, meets + encoded[-1], w[-1], norm=b.norm)
        self.core: nn.Module = nn.Identity()
        if b.core != "none":
            self.core = TokenMixer(w[-1], kind=b.core, heads=b.heads, dropout=b.dropout)
        self.decoder: PlainDecoder | FusedDecoder
        if b.decoder == "fused":
            self.decoder = FusedDecoder(V, w, maps, encoded, fold=b.fold, norm=b.norm, last_size=b.last_size)
            self.decoder.outs[1:].requires_grad_(b.view_answers)
        else:
            skips = [e + (V * m if "repeat" in b.lift else 0) for e, m in zip(encoded, maps, strict=True)]
            self.decoder = PlainDecoder(w, skips, fold=b.fold, norm=b.norm)

    def forward(self, p: Tensor, smeared: Tensor | None, image: Tensor | None, lifting: Lifting) -> tuple[Tensor, ...]:
        """(fused, view 1, view 2 ...) with the fused decoder, else the fused answer alone; each (B, 1, Z, Y, X)."""
        b = self.blocks
        shape = lifting.A.mu_shape
        maps: list[Tensor] = []
        if b.reads_views:
            each = [encoder(p[:, :, v]) for v, encoder in enumerate(self.view_encoders)]
            maps = [torch.stack(level, 2) for level in zip(*each, strict=True)]  # (B, C, V, r, c) of each level
        encoded: list[Tensor] = []
        if self.volume_encoder is not None:
            beside = (
                [self._along_rays(level, lifting, number) for number, level in enumerate(maps)] if "rays" in b.lift else []
            )
            given = [x for x in (smeared, image) if x is not None]
            encoded = self.volume_encoder(concatenate(*given) if given else None, beside)
        small = [n // b.coarsest for n in shape]
        views = self._coarsest(maps, lifting, small)
        if isinstance(self.decoder, FusedDecoder):
            y = self.core(self.bottom(concatenate(torch.stack(views).mean(0), *encoded[-1:])))
            return self.decoder(y, views, maps[:-1], encoded[:-1], lifting.repeated)
        y = self.core(self.bottom(concatenate(*views, *encoded[-1:])))
        return (self.decoder(y, [self._skip(k, maps, encoded, lifting) for k in range(len(b.widths) - 1)]),)

    def _along_rays(self, maps: Tensor, lifting: Lifting, number: int) -> Tensor:
        """Maps of a level as volumes: one after the other, or their mean for the dense encoder; in float32 as rays are."""
        if self.blocks.encoder == "dense" and number in (0, len(DENSE_LAYERS)):
            return maps  # the dense encoder takes none there
        lifted = lifting.maps(maps.float(), self.blocks.fold * 2**number)  # (B, V, C, z, y, x)
        return lifted.mean(1) if self.blocks.encoder == "dense" else lifted.flatten(1, 2)

    def _coarsest(self, maps: Sequence[Tensor], lifting: Lifting, shape: Sequence[int]) -> list[Tensor]:
        """For each view a volume (B, width, *shape) of the coarsest level; none where no lift gives one."""
        if self.queries:
            asked = [query(maps[-1][:, :, v]) for v, query in enumerate(self.queries)]
            return [
                q if q.shape[2:] == tuple(shape) else functional.interpolate(q, size=shape, mode="trilinear") for q in asked
            ]
        if self.enter:
            copies = lifting.repeated(maps[-1], shape)
            return [enter(copies[:, v].contiguous()) for v, enter in enumerate(self.enter)]
        return []

    def _skip(self, number: int, maps: Sequence[Tensor], encoded: Sequence[Tensor], lifting: Lifting) -> Tensor:
        """What stands beside a level of the plain decoder."""
        parts = list(encoded[number : number + 1])
        if "repeat" in self.blocks.lift:
            shape = [n // (self.blocks.fold * 2**number) for n in lifting.A.mu_shape]
            parts.append(lifting.repeated(maps[number], shape).flatten(1, 2))
        return concatenate(*parts)

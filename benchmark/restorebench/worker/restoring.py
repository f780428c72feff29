"""Running a restorer on a batch: padding, tiles, timing, retries if memory is short, checks of its contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from restorebench.contract.cards import RestorerInfo, Tiling
from restorebench.contract.values import Batch, Restorer
from restorebench.guest.method import Call, Here, Method
from restorebench.guest.reasons import GuestFailure, TooLarge, named, out_of_memory
from restorebench.toolbox import tiling

FALLBACK_TILES = (512, 256)
"""Tile sides tried in px, largest first, when a single image does not fit in memory."""
_LEAST_OVERLAP = 32  # px; with less, seams between a network's tiles are visible


class Sizes(Protocol):
    """What the ladder must know of a card."""

    @property
    def multiple_of(self) -> int: ...

    @property
    def tiling(self) -> Tiling: ...


@dataclass(frozen=True)
class Restored:
    """A restored batch (B, 3, H, W), and the seconds that it took by the worker's clock and by the guest's.

    peak_mib: as from `memory.peak_mib`; None if the system does not report it. fallback: what the ladder or the
    restorer changed to make do with the memory, "" if nothing.
    """

    images: Tensor
    seconds: float
    inside: float
    peak_mib: float | None
    fallback: str = ""


def restore(
    restorer: Restorer, card: RestorerInfo, batch: Batch, tile: int | None = None, overlap: int = 0
) -> Restored:
    """Restore a batch of whole images of any size by a restorer that is loaded in this process.

    The result has the batch's own size and device.

    Raises:
        ContractViolation: the restorer broke its contract.
        TooLarge: a single image, or the smallest tile that the card allows, does not fit in memory.
    """
    return restore_by(Here(restorer, batch.degraded.device), card, batch, tile, overlap)


def restore_by(method: Method, card: Sizes, batch: Batch, tile: int | None = None, overlap: int = 0) -> Restored:
    """Restore a batch of whole images of any size by a method, wherever it is loaded.

    Raises:
        ContractViolation, GuestFailure: the restorer broke its contract, or failed.
        TooLarge: a single image, or the smallest tile that the card allows, does not fit in memory.
    """
    height, width = batch.degraded.shape[-2:]
    done, fallback = _ladder(method, card, _padded(batch, card.multiple_of), tile, overlap)
    fallbacks = ", ".join(filter(None, [fallback, *done.fallbacks]))
    images = done.images[..., :height, :width].contiguous()
    return Restored(images, done.seconds, done.inside, done.peak_mib, fallbacks)


def _padded(batch: Batch, multiple: int) -> Batch:
    """Pad right and bottom to a multiple by reflection, or by edge pixels if an image is too small to reflect."""
    height, width = batch.degraded.shape[-2:]
    down, right = -height % multiple, -width % multiple
    if not (down or right):
        return batch
    mode = "reflect" if down < height and right < width else "replicate"

    def pad(images: Tensor) -> Tensor:
        return torch.nn.functional.pad(images, (0, right, 0, down), mode=mode)

    clean = None if batch.clean is None else pad(batch.clean)
    return replace(batch, degraded=pad(batch.degraded), clean=clean, full_size=(height + down, width + right))


def _ladder(method: Method, card: Sizes, batch: Batch, tile: int | None, overlap: int) -> tuple[Call, str]:
    """Try the whole batch, then halves down to single images, then tiles if the card allows them."""
    count = len(batch.keys)
    size, side, shared = count, tile, overlap
    while True:
        steps = [f"batch {count} -> {size}"] * (size < count) + [f"tile {side}"] * (side != tile)
        try:
            return _in_parts(method, card, batch, size, side, shared), ", ".join(steps)
        except (MemoryError, RuntimeError, GuestFailure) as error:
            if not out_of_memory(error):
                raise
            if size > 1:
                size = -(-size // 2)
            elif smaller := _smaller_tile(card, batch, side, overlap):
                side, shared = smaller
            else:
                height, width = batch.full_size
                tiled = _tiled(card, batch, side)
                what = f"a tile of {side} px" if tiled else f"an image of {height} x {width} px"
                could_tile = card.tiling is Tiling.HARMFUL and not tiled
                hint = "; a `tile` in the suite would cut it, and change the result" if could_tile else ""
                raise TooLarge(f"{named(error)} on {what}{hint}") from error
        if batch.degraded.device.type == "cuda":
            torch.cuda.empty_cache()  # only here: before, the error's traceback held the plugin's allocations


def _in_parts(method: Method, card: Sizes, batch: Batch, size: int, tile: int | None, overlap: int) -> Call:
    """Restore `size` images at a time."""
    starts = range(0, len(batch.keys), size)
    return _joined(
        [_whole_or_tiled(method, card, _slice(batch, start, start + size), tile, overlap) for start in starts]
    )


def _joined(calls: Sequence[Call], images: Tensor | None = None) -> Call:
    """Join calls: seconds are summed, the peak is the highest. images: the result, if not those of all in turn."""
    known = [call.peak_mib for call in calls if call.peak_mib is not None]
    return Call(
        images=torch.cat([call.images for call in calls]) if images is None else images,
        seconds=sum(call.seconds for call in calls),
        inside=sum(call.inside for call in calls),
        peak_mib=max(known, default=None),
        fallbacks=tuple(dict.fromkeys(text for call in calls for text in call.fallbacks)),
    )


def _smaller_tile(card: Sizes, batch: Batch, tile: int | None, overlap: int) -> tuple[int, int] | None:
    """Return the next smaller tile and its overlap, in px; None if the card or the image's sides allow none.

    The side is a multiple of the card's `multiple_of`. The overlap is the one asked for and at least 32 px, but at
    most half a tile, and it leaves room to advance by one multiple.
    """
    if card.tiling is not Tiling.ALLOWED:
        return None
    multiple = card.multiple_of
    limit = min(tile or max(batch.full_size), max(batch.full_size))
    for wanted in FALLBACK_TILES:
        side = wanted // multiple * multiple
        if side < limit and side - multiple >= _LEAST_OVERLAP:
            return side, min(max(overlap, _LEAST_OVERLAP), side // 2, side - multiple)
    return None


def _tiled(card: Sizes, batch: Batch, tile: int | None) -> bool:
    return tile is not None and max(batch.full_size) > tile and card.tiling is not Tiling.INTERNAL


def _slice(batch: Batch, start: int, stop: int) -> Batch:
    if start == 0 and stop >= len(batch.keys):
        return batch
    clean = None if batch.clean is None else batch.clean[start:stop]
    return replace(
        batch,
        degraded=batch.degraded[start:stop],
        told=batch.told[start:stop],
        keys=batch.keys[start:stop],
        clean=clean,
        samples=batch.samples[start:stop],
    )


def _whole_or_tiled(method: Method, card: Sizes, batch: Batch, tile: int | None, overlap: int) -> Call:
    """Restore images once. The seconds are those of the restorer alone: no cutting, blending or checking."""
    if tile is None or not _tiled(card, batch, tile):
        return method.restore(batch)
    calls: list[Call] = []

    def one(top: int, left: int, tile_height: int, tile_width: int) -> Tensor:
        window = (..., slice(top, top + tile_height), slice(left, left + tile_width))
        clean = None if batch.clean is None else batch.clean[window]
        tile_of = batch.degraded[window].contiguous()
        part = replace(batch, degraded=tile_of, window=(top, left), clean=clean, whole=batch.degraded)
        call = method.restore(part)
        calls.append(replace(call, images=torch.empty(0)))
        return call.images

    images = tiling.blend(*batch.full_size, tile, overlap, card.multiple_of, one)
    return _joined(calls, images)

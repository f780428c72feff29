"""Running a restorer on a batch: padding, tiles, timing, retries if memory is short, checks of its contract."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from restorebench.contract.cards import RestorerInfo, Tiling
from restorebench.contract.errors import ContractViolation, Fallback
from restorebench.contract.values import Batch, Restorer
from restorebench.toolbox import tiling
from restorebench.worker import memory

FALLBACK_TILES = (512, 256)
"""Tile sides tried in px, largest first, when a single image does not fit in memory."""
_LEAST_OVERLAP = 32  # px; with less, seams between a network's tiles are visible


@dataclass(frozen=True)
class Restored:
    """A restored batch (B, 3, H, W), and the seconds that it took.

    peak_mib: as from `memory.peak_mib`; None if the system does not report it. fallback: what the ladder or the
    restorer changed to make do with the memory, "" if nothing.
    """

    images: Tensor
    seconds: float
    peak_mib: float | None
    fallback: str = ""


def restore(
    restorer: Restorer, card: RestorerInfo, batch: Batch, tile: int | None = None, overlap: int = 0
) -> Restored:
    """Restore a batch of whole images of any size; the result has the batch's own size.

    Raises:
        ContractViolation: the restorer broke its contract.
        TooLarge: a single image, or the smallest tile that the card allows, does not fit in memory.
    """
    height, width = batch.degraded.shape[-2:]
    padded = _padded(batch, card.multiple_of)
    with _fallbacks() as reported:
        images, seconds, fallback, peak = _ladder(restorer, card, padded, tile, overlap)
    fallbacks = ", ".join(filter(None, [fallback, *dict.fromkeys(reported)]))
    return Restored(images[..., :height, :width].clone(), seconds, peak, fallbacks)


@contextmanager
def _fallbacks() -> Iterator[list[str]]:
    """Collect a restorer's warnings of the category `Fallback`; other warnings are passed on."""
    reported: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", Fallback)
        yield reported
    for each in caught:
        if issubclass(each.category, Fallback):
            reported.append(str(each.message))
        else:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


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


class TooLarge(MemoryError):
    """The error at the end of the ladder: even the smallest allowed part does not fit in memory."""


def _ladder(
    restorer: Restorer, card: RestorerInfo, batch: Batch, tile: int | None, overlap: int
) -> tuple[Tensor, float, str, float | None]:
    """Try the whole batch, then halves down to single images, then tiles if the card allows them."""
    count = len(batch.keys)
    size, side, shared = count, tile, overlap
    while True:
        steps = [f"batch {count} -> {size}"] * (size < count) + [f"tile {side}"] * (side != tile)
        try:
            images, seconds, peak = _in_parts(restorer, card, batch, size, side, shared)
            return images, seconds, ", ".join(steps), peak
        except (MemoryError, RuntimeError) as error:
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
                raise TooLarge(f"{type(error).__name__} on {what}{hint}") from error
        if batch.degraded.device.type == "cuda":
            torch.cuda.empty_cache()  # only here: before, the error's traceback held the plugin's allocations


def _in_parts(
    restorer: Restorer, card: RestorerInfo, batch: Batch, size: int, tile: int | None, overlap: int
) -> tuple[Tensor, float, float | None]:
    """Restore `size` images at a time; seconds are summed, and the peak is the highest one of the parts."""
    parts = [
        _timed(restorer, card, _slice(batch, start, start + size), tile, overlap)
        for start in range(0, len(batch.keys), size)
    ]
    images, seconds, peaks = zip(*parts, strict=True)
    known = [peak for peak in peaks if peak is not None]
    return torch.cat(images), sum(seconds), max(known, default=None)


def _smaller_tile(card: RestorerInfo, batch: Batch, tile: int | None, overlap: int) -> tuple[int, int] | None:
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


def _tiled(card: RestorerInfo, batch: Batch, tile: int | None) -> bool:
    return tile is not None and max(batch.full_size) > tile and card.tiling is not Tiling.INTERNAL


def out_of_memory(error: BaseException) -> bool:
    """Tell whether an error is a lack of memory; on the CPU, torch reports that as a plain RuntimeError."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if not isinstance(error, RuntimeError):
        return False
    text = " ".join(part for part in error.args if isinstance(part, str))  # str() of a plugin's error may fail
    return "out of memory" in text or "can't allocate memory" in text


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


def _timed(
    restorer: Restorer, card: RestorerInfo, batch: Batch, tile: int | None, overlap: int
) -> tuple[Tensor, float, float | None]:
    """Restore once. The seconds are those of the restorer alone: no cutting, blending or checking."""
    device = batch.degraded.device
    timer = _Timer(restorer, device)
    measured = memory.reset_peak(device)
    height, width = batch.full_size
    with torch.no_grad():  # never inference_mode: guided samplers need gradients inside
        if tile is None or not _tiled(card, batch, tile):
            images = _checked(timer, batch)
        else:

            def one(top: int, left: int, tile_height: int, tile_width: int) -> Tensor:
                window = (..., slice(top, top + tile_height), slice(left, left + tile_width))
                clean = None if batch.clean is None else batch.clean[window]
                tile_of = batch.degraded[window].contiguous()
                part = replace(batch, degraded=tile_of, window=(top, left), clean=clean, whole=batch.degraded)
                return _checked(timer, part)

            images = tiling.blend(height, width, tile, overlap, card.multiple_of, one)
    return images, timer.seconds, memory.peak_mib(device) if measured else None


class _Timer:
    """Calls a restorer, and adds up the seconds that it takes.

    The device is synchronised before the clock is read, at the start and at the end of each call.
    """

    def __init__(self, restorer: Restorer, device: torch.device) -> None:
        self._restorer = restorer
        self._device = device
        self.seconds = 0.0

    def restore(self, batch: Batch) -> Any:
        """Return what the restorer returns, which may be anything."""
        self._synchronise()
        began = time.perf_counter()
        restored = self._restorer.restore(batch)
        self._synchronise()
        self.seconds += time.perf_counter() - began
        return restored

    def _synchronise(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


def _checked(timer: _Timer, batch: Batch) -> Tensor:
    """Call the restorer and check the answer against the contract."""
    before = batch.degraded.clone()
    restored = timer.restore(batch)
    if not isinstance(restored, Tensor):
        raise ContractViolation(f"restore returned {type(restored).__name__}, expected a torch.Tensor")
    if restored.shape != before.shape:
        raise ContractViolation(f"restore returned shape {tuple(restored.shape)}, not {tuple(before.shape)}")
    if restored.dtype != before.dtype:
        raise ContractViolation(f"restore returned {restored.dtype}, expected {before.dtype}")
    if restored.device != before.device:
        raise ContractViolation(f"restore returned a tensor on {restored.device}, expected {before.device}")
    if not bool(torch.isfinite(restored).all()):
        raise ContractViolation("restore returned NaN or infinite values")
    if not torch.equal(before, batch.degraded):
        raise ContractViolation("restore wrote into batch.degraded; work on a copy")
    return restored.detach()

"""Run a restorer on a batch: pad, tile, time, survive a lack of memory, and hold it to its contract."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from restorebench.contracts import Batch, Restorer, RestorerInfo, Tiling
from restorebench.errors import ContractViolation
from restorebench.toolbox import tiling

FALLBACK_TILES = (512, 256)
"""Tile sides tried, largest first, when a single image does not fit in memory."""


@dataclass(frozen=True)
class Restored:
    """A restored batch (B, 3, H, W), the seconds it took, and what the out-of-memory ladder had to do."""

    images: Tensor
    seconds: float
    peak_mib: float
    fallback: str = ""


def restore(
    restorer: Restorer, card: RestorerInfo, batch: Batch, tile: int | None = None, overlap: int = 0
) -> Restored:
    """Restore a batch of whole images of any size; the result has the batch's own size.

    Raises:
        ContractViolation: the restorer returned something else than it promised.
        MemoryError, torch.OutOfMemoryError: even a small tile does not fit.
    """
    height, width = batch.degraded.shape[-2:]
    padded = _padded(batch, card.multiple_of)
    images, seconds, fallback, peak = _ladder(restorer, card, padded, tile, overlap)
    return Restored(images[..., :height, :width].clone(), seconds, peak, fallback)


def _padded(batch: Batch, multiple: int) -> Batch:
    """Pad right and bottom to a multiple by reflection; by the edge where an image is too small to reflect."""
    height, width = batch.degraded.shape[-2:]
    down, right = -height % multiple, -width % multiple
    if not (down or right):
        return batch
    mode = "reflect" if down < height and right < width else "replicate"

    def pad(images: Tensor) -> Tensor:
        return torch.nn.functional.pad(images, (0, right, 0, down), mode=mode)

    clean = None if batch.clean is None else pad(batch.clean)
    return replace(batch, degraded=pad(batch.degraded), clean=clean, full_size=(height + down, width + right))


def _ladder(
    restorer: Restorer, card: RestorerInfo, batch: Batch, tile: int | None, overlap: int
) -> tuple[Tensor, float, str, float]:
    """Try the batch whole, then halved down to single images, then tiled where the card allows it."""
    count = len(batch.keys)
    size, side, fallback = count, tile, ""
    while True:
        try:
            outputs, seconds, peak = [], 0.0, 0.0
            for start in range(0, count, size):
                part = _slice(batch, start, start + size)
                images, part_seconds, part_peak = _timed(restorer, card, part, side, overlap)
                outputs.append(images)
                seconds += part_seconds
                peak = max(peak, part_peak)
            return torch.cat(outputs), seconds, fallback, peak
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            if batch.degraded.device.type == "cuda":
                torch.cuda.empty_cache()
            if size > 1:
                size = -(-size // 2)
                fallback = f"batch {count} -> {size}"
                continue
            smaller = [t for t in FALLBACK_TILES if t < min(side or 10**9, max(batch.full_size))]
            if card.tiling is not Tiling.ALLOWED or not smaller:
                raise
            side, overlap = smaller[0], max(overlap, 32)
            fallback = f"tile {side}"


def out_of_memory(error: BaseException) -> bool:
    """Tell a lack of memory from other errors; torch reports the CPU's as a plain RuntimeError."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)


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
    )


def _timed(
    restorer: Restorer, card: RestorerInfo, batch: Batch, tile: int | None, overlap: int
) -> tuple[Tensor, float, float]:
    """Restore once, with the device synchronised around the clock."""
    device = batch.degraded.device
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    height, width = batch.full_size
    with torch.no_grad():  # never inference_mode: guided samplers need gradients inside
        if tile is None or max(height, width) <= tile or card.tiling is Tiling.INTERNAL:
            images = _checked(restorer, batch)
        else:

            def one(top: int, left: int, tile_height: int, tile_width: int) -> Tensor:
                window = (..., slice(top, top + tile_height), slice(left, left + tile_width))
                clean = None if batch.clean is None else batch.clean[window]
                part = replace(
                    batch, degraded=batch.degraded[window].contiguous(), window=(top, left), clean=clean
                )
                return _checked(restorer, part)

            images = tiling.blend(height, width, tile, overlap, card.multiple_of, one)
    if cuda:
        torch.cuda.synchronize(device)
    seconds = time.perf_counter() - began
    return images, seconds, _peak_mib(device)


def _checked(restorer: Restorer, batch: Batch) -> Tensor:
    """Call the restorer and hold the answer to the contract."""
    before = batch.degraded.clone()
    restored = restorer.restore(batch)
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


def _peak_mib(device: torch.device) -> float:
    """Peak memory in MiB: the device's since the last reset, or the process's since it started."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

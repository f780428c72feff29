"""Random numbers as a function of given values: no global state, no dependence on order, batch or device."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch

_MASK = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)  # Philox4x32 constants, Salmon et al., SC 2011, table 2
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10


def key(*parts: Any) -> int:
    """Hash JSON-ready values into a 64-bit unsigned key."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def generator(*parts: Any) -> np.random.Generator:
    """Return a numpy generator (Philox) that depends only on the given JSON-ready values."""
    import numpy as np

    return np.random.Generator(np.random.Philox(key(*parts)))


def philox(counter: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """Compute Philox4x32-10 on int64 tensors that hold 32-bit words.

    counter: (..., 4); keys: (..., 2), broadcast against it. Returns (..., 4), words in [0, 2^32).
    Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
    """
    import torch

    c0, c1, c2, c3 = counter.unbind(-1)
    k0, k1 = keys.unbind(-1)
    for _ in range(_ROUNDS):
        # The product may overflow int64, but shift and mask only use its bits, which are those of uint64.
        product0, product1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        high0, low0 = (product0 >> 32) & _MASK, product0 & _MASK
        high1, low1 = (product1 >> 32) & _MASK, product1 & _MASK
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + _WEYL[0]) & _MASK, (k1 + _WEYL[1]) & _MASK
    return torch.stack([c0, c1, c2, c3], dim=-1)  # by now each has the broadcast shape


def normal(
    keys: Sequence[int],
    stream: int,
    step: int,
    full_shape: tuple[int, int, int],
    window: tuple[int, int, int, int] | None = None,
    device: torch.device | str = "cpu",
) -> torch.Tensor:
    """Draw standard normal noise that is a pure function of (key, stream, step, channel, y, x).

    keys: one 64-bit key per image (`Batch.keys`). stream: a different number for each use inside a method.
    step: the sampler's step. full_shape: (C, H, W) of the whole image. window: (top, left, height, width) of
    the tile, by default the whole image. Returns (B, C, height, width) float32 on `device`.

    The noise is the same in any batch, order and tile, and on any device up to the last float bit: Box-Muller
    runs in float64 on a counter-based generator, and only the result is rounded.
    """
    import torch

    channels, full_height, full_width = full_shape
    top, left, height, width = window or (0, 0, full_height, full_width)
    if not (top >= 0 and left >= 0 and top + height <= full_height and left + width <= full_width):
        raise ValueError(f"window {(top, left, height, width)} lies outside {full_height} x {full_width}")
    blocks = -(-channels // 4)  # one call of the generator serves four channels
    rows = torch.arange(top, top + height, device=device)
    columns = torch.arange(left, left + width, device=device)
    position = (rows[:, None] * full_width + columns).expand(blocks, height, width)
    block = torch.arange(blocks, device=device)[:, None, None].expand_as(position)
    shared = torch.stack([position, block, torch.full_like(block, step), torch.full_like(block, stream)], -1)
    words = torch.tensor([[k & _MASK, (k >> 32) & _MASK] for k in keys], dtype=torch.int64, device=device)
    random = philox(shared[None], words[:, None, None, None, :])  # (B, blocks, h, w, 4)
    uniform = (random.double() + 0.5) / 2**32  # in (0, 1), never 0
    radius = (-2 * uniform[..., 0::2].log()).sqrt()
    angle = 2 * math.pi * uniform[..., 1::2]
    drawn = torch.cat([radius * angle.cos(), radius * angle.sin()], dim=-1)  # (B, blocks, h, w, 4)
    return drawn.permute(0, 1, 4, 2, 3).flatten(1, 2)[:, :channels].float()

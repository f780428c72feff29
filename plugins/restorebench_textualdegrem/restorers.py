"""The restorers as the host calls them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from restorebench import Batch, Runtime
from restorebench_textualdegrem import checkpoint
from restorebench_textualdegrem.options import GuidedRestoration

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

Guide = Callable[[Tensor], Tensor]
"""(B, 3, H, W) degraded -> (B, 3, any, any) guidance, both float32 in [0, 1]."""


class Network(Protocol):
    """What the three guided networks have in common."""

    def __call__(self, degraded: Tensor, guidance: Tensor) -> Tensor: ...

    def to(self, device: str) -> Network: ...

    def requires_grad_(self, requires_grad: bool) -> Network: ...

    def lower(self, dtype: torch.dtype) -> None: ...


class _Guided:
    """A guided network and where its guidance comes from."""

    def __init__(
        self, build: Callable[[str | Path], Network], options: GuidedRestoration, runtime: Runtime
    ) -> None:
        network = build(options.weights).requires_grad_(False)
        if options.precision != "fp32":
            network.lower(DTYPES[options.precision])
        self.network = network.to(runtime.device)
        self._guide = _guide(options, runtime)
        self._last: tuple[Tensor, Tensor] | None = None

    def restore(self, batch: Batch) -> Tensor:
        """Restore a batch; what is told is not looked at."""
        with torch.no_grad():
            return self.network(batch.degraded, self._guidance(batch)).contiguous()

    def _guidance(self, batch: Batch) -> Tensor:
        """Return the guidance: the tile itself, or one generated once for all tiles of an image."""
        if self._guide is None:
            return batch.degraded
        seen = batch.degraded if batch.whole is None else batch.whole
        if self._last is None or self._last[0] is not seen:
            self._last = seen, self._guide(seen)
        return self._last[1]


def _guide(options: GuidedRestoration, runtime: Runtime) -> Guide | None:
    """Return what makes guidance; None where the degraded image is its own."""
    if options.generation is None:
        return None
    from restorebench_textualdegrem.guidance_generation import load  # needs diffusers

    return load(options.generation, runtime.device, DTYPES[options.generation.precision])


class TextualRestormer(_Guided):
    """Guided Restormer."""

    def __init__(self, options: GuidedRestoration, runtime: Runtime) -> None:
        super().__init__(checkpoint.restormer, options, runtime)


class TextualPromptIR(_Guided):
    """Guided PromptIR."""

    def __init__(self, options: GuidedRestoration, runtime: Runtime) -> None:
        super().__init__(checkpoint.promptir, options, runtime)


class TextualNAFNet(_Guided):
    """Guided NAFNet."""

    def __init__(self, options: GuidedRestoration, runtime: Runtime) -> None:
        super().__init__(checkpoint.nafnet, options, runtime)

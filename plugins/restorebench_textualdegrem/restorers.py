"""The restorers as the host calls them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from restorebench import Batch, RestorebenchError, Runtime
from restorebench.toolbox import images
from restorebench.toolbox.networks import DTYPES
from restorebench_textualdegrem import checkpoint
from restorebench_textualdegrem.guidance_folder import GuidanceFolder
from restorebench_textualdegrem.options import GuidedRestoration

Guide = Callable[[Tensor, Sequence[str]], Sequence[Tensor]]
"""(degraded images (B, 3, H, W), their names) -> tensors (any, 3, any, any) with the guidance of all B images.

All are float32 in [0, 1]; images of one size may share a tensor."""


class Network(Protocol):
    """The interface of the three guided networks."""

    def __call__(self, degraded: Tensor, guidance: Tensor) -> Tensor: ...

    def to(self, device: str) -> Network: ...

    def requires_grad_(self, requires_grad: bool) -> Network: ...

    def lower(self, dtype: torch.dtype) -> None: ...


class _Guided:
    """A guided network and the source of its guidance."""

    def __init__(
        self, build: Callable[[str | Path], Network], options: GuidedRestoration, runtime: Runtime
    ) -> None:
        network = build(options.weights).requires_grad_(False)
        if options.precision != "fp32":
            network.lower(DTYPES[options.precision])
        self.network = network.to(runtime.device)
        self._guide = _guide(options, runtime)
        self._last: tuple[Tensor, Sequence[Tensor]] | None = None

    def restore(self, batch: Batch) -> Tensor:
        """Restore a batch, clipped as in the published scripts; what it tells about the degradation is ignored."""
        with torch.no_grad():
            if self._guide is None:
                return self.network(batch.degraded, batch.degraded).clamp(0, 1).contiguous()
            guidance = self._guidance(batch, self._guide)
            parts = batch.degraded.split([len(each) for each in guidance])
            return torch.cat([self.network(*pair) for pair in zip(parts, guidance, strict=True)]).clamp(0, 1)

    def _guidance(self, batch: Batch, guide: Guide) -> Sequence[Tensor]:
        """Return the guidance of whole images; it is made once for all their tiles."""
        seen = batch.degraded if batch.whole is None else batch.whole
        if self._last is None or self._last[0] is not seen:
            self._last = seen, guide(seen, batch.samples)
        return self._last[1]


def _guide(options: GuidedRestoration, runtime: Runtime) -> Guide | None:
    """Return the function that gives guidance, or None if the degraded image is its own guidance."""
    if options.guidance_folder is not None:
        return _from_folder(GuidanceFolder(options.guidance_folder))
    if options.generation is None:
        return None
    from restorebench_textualdegrem.guidance_generation import load  # needs diffusers

    generator = load(options.generation, runtime, DTYPES[options.generation.precision])
    return lambda degraded, samples: [generator(degraded)]


def _from_folder(folder: GuidanceFolder) -> Guide:
    """Return a function that reads guidance by name, one tensor per image, because sizes may differ."""

    def read(degraded: Tensor, samples: Sequence[str]) -> Sequence[Tensor]:
        if len(samples) != len(degraded):
            raise RestorebenchError("`guidance: folder` finds images by name, but this batch has no names")
        return [images.to_tensor([folder.image(sample)]).to(degraded.device) for sample in samples]

    return read


class TextualRestormer(_Guided):
    """The restorer `textual-restormer`."""

    def __init__(self, options: GuidedRestoration, runtime: Runtime) -> None:
        super().__init__(checkpoint.restormer, options, runtime)


class TextualPromptIR(_Guided):
    """The restorer `textual-promptir`."""

    def __init__(self, options: GuidedRestoration, runtime: Runtime) -> None:
        super().__init__(checkpoint.promptir, options, runtime)


class TextualNAFNet(_Guided):
    """The restorer `textual-nafnet`."""

    def __init__(self, options: GuidedRestoration, runtime: Runtime) -> None:
        super().__init__(checkpoint.nafnet, options, runtime)

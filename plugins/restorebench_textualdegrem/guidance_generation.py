"""Generation of guidance: Stable Diffusion draws an image from the cleaned pseudo-words of a degraded one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from restorebench import RestorebenchError
from restorebench_textualdegrem import backbones, checkpoint, cross_attention, tiny_diffusion
from restorebench_textualdegrem.options import Generation
from restorebench_textualdegrem.parts import Backbones, Parts
from restorebench_textualdegrem.sampling import sample
from restorebench_textualdegrem.words import CleanMapper, Mapper

if TYPE_CHECKING:
    from restorebench import Runtime


class Generator:
    """A map from degraded images (B, 3, H, W) to guidance (B, 3, S, S), float32 in [0, 1], rounded to 8 bits."""

    def __init__(self, parts: Parts, settings: Generation, device: str, dtype: torch.dtype) -> None:
        self.parts = parts.frozen().placed(device, dtype)
        self.settings, self.device, self.dtype = settings, device, dtype

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Generate guidance; every image starts from the same noise, in any batch."""
        parts, config = self.parts, self.parts.unet.config
        latent = self.noise(config.in_channels, config.sample_size).expand(len(images), -1, -1, -1)
        found = sample(
            parts.noise_in,
            latent,
            self.texts(images),
            parts.schedule,
            self.settings.steps,
            self.settings.scale,
        )
        decoded = parts.vae.decode(found / parts.vae.config.scaling_factor).sample.float()
        eight_bits = (255 * (decoded / 2 + 0.5).clamp(0, 1)).round()
        return eight_bits / 255

    def noise(self, channels: int, side: int) -> Tensor:
        """Draw the noise that every image starts from, (1, C, side, side): on the CPU, so no device changes it."""
        generator = torch.Generator().manual_seed(self.settings.seed)
        return torch.randn(1, channels, side, side, generator=generator).to(self.device, self.dtype)

    def texts(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Encode the empty prompt, and the prompt with the cleaned words of each image."""
        parts = self.parts
        words = parts.clean_mapper(parts.mapper(parts.tokens(images)))
        return parts.empty(len(images)), parts.prompted(words)


def load(settings: Generation, runtime: Runtime, dtype: torch.dtype) -> Generator:
    """Load all parts, and give the U-Net the Mapper's projections.

    Raises:
        MissingResource: diffusers or transformers are not installed, or a file is missing.
        RestorebenchError: a file is broken, or holds something else.
    """
    if settings.mapper is None or settings.clean_mapper is None:
        backbones.require_extra()
        return Generator(tiny_diffusion.parts(), settings, runtime.device, dtype)
    # the mappers come first, because the other parts are large and may have to be downloaded
    mapper, projections = checkpoint.mapper(settings.mapper)
    clean_mapper = checkpoint.clean_mapper(settings.clean_mapper)
    found = backbones.load(settings, runtime)
    cross_attention.overwrite(found.unet, projections, f"weights {settings.mapper}")
    require_mapper(found, mapper, settings.mapper)
    require_clean_mapper(mapper, clean_mapper, settings.clean_mapper)
    return Generator(found.with_mappers(mapper, clean_mapper), settings, runtime.device, dtype)


def require_mapper(parts: Backbones, mapper: Mapper, path: Path) -> None:
    """Check that a Mapper fits CLIP's tokens and the text encoder.

    Raises:
        RestorebenchError: it does not fit.
    """
    seen, width = parts.vision.config.hidden_size, parts.text.config.hidden_size
    takes, gives = (mapper.get_parameter(f"mapping_0.{layer}.weight") for layer in (0, 9))
    if takes.shape[1] != seen or gives.shape[0] != width:
        raise RestorebenchError(
            f"weights {path}: for tokens of {takes.shape[1]} channels and a text encoder of {gives.shape[0]}, "
            f"but these have {seen} and {width}; take CLIP ViT-H/14 and Stable Diffusion 2.1-base"
        )


def require_clean_mapper(mapper: Mapper, clean_mapper: CleanMapper, path: Path) -> None:
    """Check that a CleanMapper fits the words of the Mapper.

    Raises:
        RestorebenchError: it does not fit.
    """
    width = len(mapper.get_parameter("mapping_0.9.weight"))
    words = clean_mapper.get_parameter("mapping_0.0.weight")
    if words.shape[1] != width or clean_mapper.words != mapper.words:
        raise RestorebenchError(
            f"weights {path}: {clean_mapper.words} words of {words.shape[1]} channels, but the "
            f"Mapper gives {mapper.words} of {width}; take the pair that was trained together"
        )

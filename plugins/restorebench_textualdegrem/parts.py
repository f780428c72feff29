"""The parts that make guidance: Stable Diffusion, CLIP's image tower and, between them, the two mappers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import nn

from restorebench_textualdegrem.clip_input import for_encoder
from restorebench_textualdegrem.text_encoding import encoded

if TYPE_CHECKING:
    from torch import Tensor

    from restorebench_textualdegrem.sampling import Schedule
    from restorebench_textualdegrem.words import CleanMapper, Mapper


@dataclass(frozen=True)
class Backbones:
    """The parts that are used as published: models of diffusers and transformers, which have no types here.

    ids: token ids of the empty prompt and of the prompt, (1, 77) each. placeholder: index of the prompt's
    placeholder among its tokens.
    """

    vision: Any
    text: Any
    unet: Any
    vae: Any
    schedule: Schedule
    ids: tuple[Tensor, Tensor]
    placeholder: int

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """All networks."""
        return self.vision, self.text, self.unet, self.vae

    def placed(self, device: str | torch.device, dtype: torch.dtype = torch.float32) -> Self:
        """Move all networks to a device."""
        for each in self.networks:
            nn.Module.to(each, device, dtype)  # diffusers' own `to` gives long warnings for no reason
        return self

    def frozen(self) -> Self:
        """Switch off gradients and dropout."""
        for each in self.networks:
            each.requires_grad_(False).eval()
        return self

    def with_mappers(self, mapper: Mapper, clean_mapper: CleanMapper) -> Parts:
        """Add the mappers, which turn CLIP's tokens into words."""
        own = (self.vision, self.text, self.unet, self.vae, self.schedule, self.ids, self.placeholder)
        return Parts(*own, mapper, clean_mapper)

    def tokens(self, images: Tensor) -> Tensor:
        """Return CLIP's tokens (B, 1 + patches, C) of images (B, 3, H, W) in [0, 1].

        They are taken before the last normalisation, which is for the pooled token only.
        """
        given = for_encoder(images, self.vision.config.image_size).to(self.vision.device, self.vision.dtype)
        out: Tensor = self.vision(pixel_values=given).last_hidden_state
        return out

    def empty(self, count: int) -> Tensor:
        """Encode the empty prompt and repeat it `count` times: (count, 77, C)."""
        return encoded(self.text, self.ids[0].to(self.text.device).expand(count, -1))

    def prompted(self, words: Tensor) -> Tensor:
        """Encode the prompt with words (B, n, C) in place of its placeholder: (B, 77, C)."""
        count, device = len(words), self.text.device
        index = torch.full((count,), self.placeholder, device=device)
        return encoded(self.text, self.ids[1].to(device).expand(count, -1), words, index)

    def noise_in(self, latent: Tensor, time: int | Tensor, text: Tensor) -> Tensor:
        """Predict the noise in latents (B, 4, h, w), all at one time step or each at its own."""
        out: Tensor = self.unet(latent, time, encoder_hidden_states=text).sample
        return out


@dataclass(frozen=True)
class Parts(Backbones):
    """All parts that generate guidance."""

    mapper: Mapper
    clean_mapper: CleanMapper

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """All networks, including the mappers."""
        return *super().networks, self.mapper, self.clean_mapper

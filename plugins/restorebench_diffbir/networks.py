"""The networks of stage 2, built with diffusers and transformers, at any size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

LATENT = 4
SCALING = 0.18215
"""The factor from the VAE's latents to scaled latents."""
REDUCTION = 8
"""Pixels per latent position, along each side."""
_VOCABULARY = 49408
TOKENS = 77


@dataclass(frozen=True)
class Sizes:
    """Widths of all networks; those of Stable Diffusion 2.1 by default. Every level halves the resolution."""

    widths: tuple[int, ...] = (320, 640, 1280, 1280)
    heads: tuple[int, ...] = (5, 10, 20, 20)
    text_width: int = 1024
    text_heads: int = 16
    text_layers: int = 23
    vae_widths: tuple[int, ...] = (128, 256, 512, 512)
    groups: int = 32
    layers: int = 2


TINY = Sizes((8, 8, 16, 16), (1, 1, 2, 2), 16, 2, 1, (8, 8, 16, 16), 4, 1)
"""Sizes for trials without weights."""


class _NoHint(nn.Module):
    """A replacement for a ControlNet's image encoder: here the condition is a latent, joined to the state."""

    def forward(self, given: Tensor) -> Tensor:
        """Return zero, which adds nothing."""
        return given.new_zeros(())


def unet(given: Sizes) -> Any:
    """Build the U-Net, which predicts the noise (or velocity) of a latent for a text."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=64,
        in_channels=LATENT,
        out_channels=LATENT,
        up_block_types=("UpBlock2D", *("CrossAttnUpBlock2D",) * (len(given.widths) - 1)),
        **_shared(given),
    )


def control(given: Sizes) -> Any:
    """Build the control branch, which maps a state and the condition's latent to residuals for the U-Net."""
    from diffusers import ControlNetModel

    built = ControlNetModel(in_channels=2 * LATENT, **_shared(given))
    built.controlnet_cond_embedding = _NoHint()
    return built


def _shared(given: Sizes) -> dict[str, Any]:
    return {
        "down_block_types": (*("CrossAttnDownBlock2D",) * (len(given.widths) - 1), "DownBlock2D"),
        "block_out_channels": given.widths,
        "layers_per_block": given.layers,
        "cross_attention_dim": given.text_width,
        "attention_head_dim": given.heads,  # diffusers uses this as the number of heads
        "use_linear_projection": True,
        "norm_num_groups": given.groups,
    }


def vae(given: Sizes) -> Any:
    """Build the autoencoder of images in [-1, 1]."""
    from diffusers import AutoencoderKL

    depth = len(given.vae_widths)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * depth,
        up_block_types=("UpDecoderBlock2D",) * depth,
        block_out_channels=given.vae_widths,
        layers_per_block=given.layers,
        latent_channels=LATENT,
        norm_num_groups=given.groups,
        scaling_factor=SCALING,
    )


def text(given: Sizes) -> Any:
    """Build the text tower, without its last layer."""
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=_VOCABULARY,
        hidden_size=given.text_width,
        intermediate_size=4 * given.text_width,
        num_hidden_layers=given.text_layers,
        num_attention_heads=given.text_heads,
        max_position_embeddings=TOKENS,
        hidden_act="gelu",
        bos_token_id=_VOCABULARY - 2,
        eos_token_id=_VOCABULARY - 1,
    )
    return CLIPTextModel(config)


@dataclass(frozen=True)
class Parts:
    """All networks of stage 2. `unet` and `control` may be in a lower precision than the rest."""

    unet: Any
    control: Any
    vae: Any
    text: Any

    def place(self, device: str, dtype: torch.dtype) -> None:
        """Move all networks to a device and freeze them; dtype is for `unet` and `control`, used at every step."""
        for network in (self.unet, self.control):
            # the `to` of diffusers itself gives long warnings for no reason
            nn.Module.to(network, device, dtype).requires_grad_(False)
        for network in (self.vae, self.text):
            network.to(device).requires_grad_(False)

    def without_text(self) -> Parts:
        """Return the parts without the text tower, which is as large as `control`, to free it after encoding."""
        return replace(self, text=None)


def controlled(
    parts: Parts, state: Tensor, step: float, condition: Tensor, context: Tensor, strength: float = 1.0
) -> Tensor:
    """Evaluate both networks: state and condition, (B, 4, h, w) float32 -> the same shape, float32.

    context: (B, tokens, width). h and w are multiples of 8.
    """
    dtype = parts.unet.dtype
    lowered, seen, words = (each.to(dtype) for each in (state, condition, context))
    time = torch.tensor([step], device=state.device).expand(len(state))
    residuals, middle = parts.control(
        torch.cat([lowered, seen], dim=1),
        time,
        encoder_hidden_states=words,
        controlnet_cond=seen,
        conditioning_scale=strength,
        return_dict=False,
    )
    (answer,) = parts.unet(
        lowered,
        time,
        encoder_hidden_states=words,
        down_block_additional_residuals=residuals,
        mid_block_additional_residual=middle,
        return_dict=False,
    )
    out: Tensor = answer.float()
    return out

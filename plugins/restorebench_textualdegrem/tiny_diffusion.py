"""A tiny random Stable Diffusion with all its parts, so that guidance can be generated without any files."""

from __future__ import annotations

import torch

from restorebench_textualdegrem import checkpoint
from restorebench_textualdegrem.parts import Backbones, Parts
from restorebench_textualdegrem.sampling import Schedule
from restorebench_textualdegrem.splice import PROMPT, place_of
from restorebench_textualdegrem.words import CleanMapper, Mapper

_WIDTH = 8
_WORDS = 2
_TOKENS = 77
_VOCABULARY = 16
_START, _END = 14, 15


def parts() -> Parts:
    """Build all parts, the same every time: 32 px in, 32 px out."""
    return backbones().with_mappers(mapper(), clean_mapper())


def mapper() -> Mapper:
    """Build the Mapper that fits the tiny backbones."""
    return checkpoint.untrained(lambda: Mapper(_WORDS, _WIDTH, _WIDTH, _WIDTH))


def clean_mapper() -> CleanMapper:
    """Build the CleanMapper that fits the tiny backbones."""
    return checkpoint.untrained(lambda: CleanMapper(_WORDS, _WIDTH, _WIDTH))


def backbones() -> Backbones:
    """Build Stable Diffusion and CLIP, the same every time."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionConfig, CLIPVisionModel

    sizes = {
        "hidden_size": _WIDTH,
        "intermediate_size": 2 * _WIDTH,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    text = CLIPTextConfig(**sizes, vocab_size=_VOCABULARY, bos_token_id=_START, eos_token_id=_END, pad_token_id=0)
    vision = CLIPVisionConfig(**sizes, image_size=32, patch_size=8)
    return Backbones(
        checkpoint.untrained(lambda: CLIPVisionModel(vision)),
        checkpoint.untrained(lambda: CLIPTextModel(text)),
        checkpoint.untrained(
            lambda: UNet2DConditionModel(
                sample_size=16,
                block_out_channels=(_WIDTH, 2 * _WIDTH),
                layers_per_block=1,
                down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
                up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
                cross_attention_dim=_WIDTH,
                attention_head_dim=4,
                norm_num_groups=4,
            )
        ),
        checkpoint.untrained(
            lambda: AutoencoderKL(
                down_block_types=("DownEncoderBlock2D",) * 2,
                up_block_types=("UpDecoderBlock2D",) * 2,
                block_out_channels=(_WIDTH, _WIDTH),
                norm_num_groups=4,
            )
        ),
        Schedule(),
        (_ids(0), _ids(len(PROMPT.split()))),
        place_of(PROMPT),
    )


def _ids(words: int) -> torch.Tensor:
    """Return token ids (1, 77) of a made-up prompt of `words` words, one token each, without a tokenizer."""
    ids = [_START, *range(1, words + 1), _END]
    return torch.tensor([ids + [0] * (_TOKENS - len(ids))])

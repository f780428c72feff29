"""Rules that map published tensor names to those of diffusers and transformers; only names and layouts change.

The U-Net and the control branch share the rules for Stable Diffusion's own layout (`input_blocks`, ...).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from torch import Tensor

Part = Literal["unet", "control", "vae", "text"]
Rule = tuple[str, Callable[[re.Match[str]], str]]

_RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
_INNER = r"(?P<inner>in_layers\.0|in_layers\.2|emb_layers\.1|out_layers\.0|out_layers\.3|skip_connection)"
_ATTENTION = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}
_LAST_TEXT_LAYER = 23  # not used: the output of the layer before it is the result


def _simple(replacement: str) -> Callable[[re.Match[str]], str]:
    return lambda found: found.expand(replacement)


def _encoder(found: re.Match[str]) -> str:
    level, index = divmod(int(found["block"]) - 1, 3)
    if found["layer"] == "1":
        return f"down_blocks.{level}.attentions.{index}"
    return f"down_blocks.{level}.resnets.{index}.{_RESNET[found['inner']]}"


def _decoder(found: re.Match[str]) -> str:
    level, index = divmod(int(found["block"]), 3)
    if found["layer"] == "1":
        return f"up_blocks.{level}.attentions.{index}"
    return f"up_blocks.{level}.resnets.{index}.{_RESNET[found['inner']]}"


def _upsampler(found: re.Match[str]) -> str:
    return f"up_blocks.{int(found['block']) // 3}.upsamplers.0.conv"


def _downsampler(found: re.Match[str]) -> str:
    return f"down_blocks.{int(found['block']) // 3 - 1}.downsamplers.0.conv"


_DIFFUSION: tuple[Rule, ...] = (
    (r"time_embed\.0", _simple("time_embedding.linear_1")),
    (r"time_embed\.2", _simple("time_embedding.linear_2")),
    (r"input_blocks\.0\.0", _simple("conv_in")),
    (r"input_blocks\.(?P<block>\d+)\.0\.op", _downsampler),
    (rf"input_blocks\.(?P<block>\d+)\.(?P<layer>0)\.{_INNER}", _encoder),
    (r"input_blocks\.(?P<block>\d+)\.(?P<layer>1)", _encoder),
    (
        rf"middle_block\.(?P<index>[02])\.{_INNER}",
        lambda found: f"mid_block.resnets.{int(found['index']) // 2}.{_RESNET[found['inner']]}",
    ),
    (r"middle_block\.1", _simple("mid_block.attentions.0")),
    (r"output_blocks\.(?P<block>\d+)\.[12]\.conv", _upsampler),
    (rf"output_blocks\.(?P<block>\d+)\.(?P<layer>0)\.{_INNER}", _decoder),
    (r"output_blocks\.(?P<block>\d+)\.(?P<layer>1)", _decoder),
    (r"out\.0", _simple("conv_norm_out")),
    (r"out\.2", _simple("conv_out")),
    (r"zero_convs\.(\d+)\.0", _simple(r"controlnet_down_blocks.\1")),
    (r"middle_block_out\.0", _simple("controlnet_mid_block")),
)
_VAE: tuple[Rule, ...] = (
    (r"encoder\.down\.(\d)\.block\.(\d)", _simple(r"encoder.down_blocks.\1.resnets.\2")),
    (r"encoder\.down\.(\d)\.downsample\.conv", _simple(r"encoder.down_blocks.\1.downsamplers.0.conv")),
    (
        r"decoder\.up\.(\d)\.block\.(\d)",
        lambda found: f"decoder.up_blocks.{3 - int(found[1])}.resnets.{found[2]}",
    ),
    (
        r"decoder\.up\.(\d)\.upsample\.conv",
        lambda found: f"decoder.up_blocks.{3 - int(found[1])}.upsamplers.0.conv",
    ),
    (
        r"(encoder|decoder)\.mid\.block_([12])",
        lambda found: f"{found[1]}.mid_block.resnets.{int(found[2]) - 1}",
    ),
    (
        r"(encoder|decoder)\.mid\.attn_1\.(norm|q|k|v|proj_out)",
        lambda found: f"{found[1]}.mid_block.attentions.0.{_ATTENTION[found[2]]}",
    ),
    (r"(encoder|decoder)\.norm_out", _simple(r"\1.conv_norm_out")),
    (r"(encoder|decoder)\.(conv_in|conv_out)", _simple(r"\1.\2")),
    (r"(quant_conv|post_quant_conv)", _simple(r"\1")),
)
_TEXT: tuple[Rule, ...] = (
    (r"token_embedding(?=\.weight)", _simple("embeddings.token_embedding")),
    (r"positional_embedding", _simple("embeddings.position_embedding.weight")),
    (r"transformer\.resblocks\.(\d+)\.ln_([12])", _simple(r"encoder.layers.\1.layer_norm\2")),
    (
        r"transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)",
        _simple(r"encoder.layers.\1.self_attn.{qkv}_proj.\2"),
    ),
    (r"transformer\.resblocks\.(\d+)\.attn\.out_proj", _simple(r"encoder.layers.\1.self_attn.out_proj")),
    (r"transformer\.resblocks\.(\d+)\.mlp\.c_fc", _simple(r"encoder.layers.\1.mlp.fc1")),
    (r"transformer\.resblocks\.(\d+)\.mlp\.c_proj", _simple(r"encoder.layers.\1.mlp.fc2")),
    (r"ln_final", _simple("final_layer_norm")),
)
_RULES: Mapping[Part, tuple[Rule, ...]] = {"unet": _DIFFUSION, "control": _DIFFUSION, "vae": _VAE, "text": _TEXT}
_UNUSED = ("text_projection", "logit_scale", "attn_mask")


def target(part: Part, name: str, last_text_layer: int = _LAST_TEXT_LAYER) -> str | None:
    """Return the library's name of a published tensor, or None if the tensor is not used.

    `{qkv}` in the result stands for three names: the published tensor holds these three, one after the other.
    last_text_layer: the index of the text layer that is left out.

    Raises:
        KeyError: no rule matches the name.
    """
    if part == "text" and (name in _UNUSED or name.startswith(f"transformer.resblocks.{last_text_layer}.")):
        return None
    for pattern, rename in _RULES[part]:
        if (found := re.match(rf"{pattern}(?=\.|$)", name)) is not None:
            rest = name[found.end() :]
            return rename(found) + (rest.replace("nin_shortcut", "conv_shortcut") if part == "vae" else rest)
    raise KeyError(name)


def mapped(
    part: Part, state: Mapping[str, Tensor], last_text_layer: int = _LAST_TEXT_LAYER
) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of a part with the library's names.

    Raises:
        KeyError: no rule matches a name.
    """
    for name, value in state.items():
        renamed = target(part, name, last_text_layer)
        if renamed is None:
            continue
        if "{qkv}" in renamed:
            for letter, third in zip("qkv", value.chunk(3), strict=True):
                yield renamed.replace("{qkv}", letter), third
        elif part == "vae" and ".attentions." in renamed and value.ndim == 4:
            yield renamed, value[:, :, 0, 0]  # 1x1 convolutions in published files, matrices in diffusers
        else:
            yield renamed, value

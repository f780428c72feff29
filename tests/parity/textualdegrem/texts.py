"""The path from an image to words, into a prompt, and through attention and a few steps of diffusion."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from restorebench_textualdegrem import clip_input, cross_attention, sampling
from restorebench_textualdegrem.splice import spliced
from restorebench_textualdegrem.words import CleanMapper, Mapper
from torch import Tensor, nn

from tests.parity.comparing import Fixtures, Row, distance, tensor
from tests.parity.textualdegrem.by_rule import drawn, fill

_ALLOWED = 2e-5


def mappers(fixtures: Fixtures, name: str) -> Iterator[Row]:
    """Compare words and cleaned words; the second network gets the stored words."""
    stored = fixtures.arrays(f"mapper_{name}")
    batch, words = stored["mapper_out"].shape[:2]
    tokens = drawn(f"textual/mapper/{name}/embs", (batch, 257, 1280), 2.0)
    yield Row(f"mapper {name} input", distance(tokens[:, 0, :8], stored["embs_first_token_first8"]), 0.0)
    mapper, clean = Mapper(words), CleanMapper(words)
    fill(mapper)
    fill(clean, lambda key: f"clean.{key}")
    yield Row(f"mapper {name} mapper_out", distance(mapper(tokens), stored["mapper_out"]), _ALLOWED)
    restored = clean(tensor(stored["mapper_out"]))
    yield Row(f"mapper {name} clean_out", distance(restored, stored["clean_out"]), _ALLOWED)


def injection(fixtures: Fixtures) -> Iterator[Row]:
    """Compare token embeddings after words were inserted."""
    stored = fixtures.arrays("text_injection")
    embeddings = tensor(stored["table"])[tensor(stored["ids"])]
    ours = spliced(embeddings, tensor(stored["inj"]), tensor(stored["index"]))
    yield Row("text_injection new_embeds", distance(ours, stored["new_embeds"]), 0.0)


def text_model(fixtures: Fixtures) -> Iterator[Row]:
    """Compare a tiny text model's outputs for prompts with and without words; needs transformers."""
    from restorebench_textualdegrem.text_encoding import encoded
    from transformers import CLIPTextConfig, CLIPTextModel

    stored = fixtures.arrays("text_injection")
    config = CLIPTextConfig(
        vocab_size=60,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        hidden_act="gelu",
        bos_token_id=58,
        eos_token_id=59,
    )
    model = CLIPTextModel(config)
    # releases of transformers differ in whether names begin with `text_model.`
    fill(model, lambda key: f"text_model.{key.removeprefix('text_model.')}")
    ids, words, index = (tensor(stored[key]) for key in ("ids", "inj32", "index"))
    yield Row("text_model plain", distance(encoded(model, ids), stored["tiny_clip_plain"]), _ALLOWED)
    ours = encoded(model, ids, words, index)
    yield Row("text_model with words", distance(ours, stored["tiny_clip_out"]), _ALLOWED)


class _Attention(nn.Module):
    """Cross-attention as in a U-Net, before its projections are replaced by those of a Mapper."""

    def __init__(self, channels: int, context: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(context, channels, bias=False)
        self.to_v = nn.Linear(context, channels, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, hidden: Tensor, context: Tensor) -> Tensor:
        query, key, value = (
            each.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for each in (self.to_q(hidden), self.to_k(context), self.to_v(context))
        )
        attended = nn.functional.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.to_out[0](attended.transpose(1, 2).flatten(2))
        return out


def attention(fixtures: Fixtures) -> Iterator[Row]:
    """Compare attention with overwritten keys and values to the published replacement of its forward."""
    stored = fixtures.arrays("cross_attention")
    layer = _Attention(16, 12, heads=2)
    fill(layer, lambda key: f"xattn.{key}")
    source = nn.ModuleDict({"k_global": nn.Linear(12, 16, bias=False), "v_global": nn.Linear(12, 16, bias=False)})
    fill(source, lambda key: f"xattn_{key}")
    unet = nn.ModuleDict({"attn2": layer})
    state = source.state_dict()
    projections = {f"attn2_to_{letter}.weight": state[f"{letter}_global.weight"] for letter in "kv"}
    cross_attention.overwrite(unet, projections)
    ours = layer(tensor(stored["hidden"]), tensor(stored["context"]))
    yield Row("cross_attention out", distance(ours, stored["out"]), _ALLOWED)


def diffusion(fixtures: Fixtures) -> Iterator[Row]:
    """Compare the schedule, the steps that are visited, and the first three steps with guidance."""
    stored: Any = fixtures.arrays("ddim_guidance")
    schedule = sampling.Schedule()
    times = schedule.times()
    same = times == stored["timesteps"].tolist()
    yield Row("ddim_guidance timesteps", 0.0 if same else math.inf, 0.0)
    yield Row("ddim_guidance alphas_cumprod", distance(schedule.cumulated(), stored["alphas_cumprod"]), 1e-6)
    shares = schedule.cumulated()
    latent = tensor(stored["latent0"])
    for number, time in enumerate(times[:3]):
        empty, text = (drawn(f"textual/ddim/eps_{each}{number}", latent.shape) for each in ("uncond", "text"))
        noise = sampling.guided(empty, text)
        latent = sampling.ddim_step(latent, noise, shares[time], shares[times[number + 1]])
        name = f"latent{number + 1}"
        yield Row(f"ddim_guidance {name}", distance(latent, stored[name]), _ALLOWED)


def preprocessing(fixtures: Fixtures) -> Iterator[Row]:
    """Compare an image as prepared for the image encoder."""
    stored = fixtures.arrays("preprocess_clip")
    image = tensor(stored["image"]).permute(2, 0, 1)[None].float() / 255
    square = (255 * clip_input.centred(image)[0]).round().permute(1, 2, 0)
    yield Row("preprocess_clip center_crop", distance(square, stored["center_crop"]), 0.0)
    ours = clip_input.for_encoder(image, 224)[0]
    yield Row("preprocess_clip mean", distance(ours.mean(dim=(1, 2)), stored["mean"]), 1e-6)
    yield Row("preprocess_clip", distance(ours[:, ::4, ::4], stored["pixel_values_clip_stride4"]), 1e-6)

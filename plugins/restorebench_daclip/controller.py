"""The image controller of DA-CLIP: a second visual tower that steers a frozen CLIP and encodes the degradation.

After Luo et al., "Controlling Vision-Language Models for Multi-Task Image Restoration" (ICLR 2024). The towers are
open_clip's; the state dictionary has the published layout.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import open_clip
import torch
from open_clip.model import CLIP
from torch import Tensor, nn

from restorebench.toolbox.clip_images import Crop, for_clip
from restorebench_daclip.tower import Tower

INITIAL_SCALE = math.log(1 / 0.07)


class Features(NamedTuple):
    """Features of the clean content (`image`) and of the degradation of images; (B, D) each, not normalised."""

    image: Tensor
    degradation: Tensor


class _Linked(nn.Module):
    """A copy of a tower's transformer, with a linear layer (a link) after every block; links start at zero."""

    def __init__(self, transformer: nn.Module, width: int) -> None:
        super().__init__()
        self.transformer = transformer
        blocks: Sequence[nn.Module] = transformer.resblocks  # type: ignore[assignment]  # a ModuleList
        self.zero_modules = nn.ModuleList(nn.Linear(width, width) for _ in blocks)
        for link in self.zero_modules:
            nn.init.zeros_(link.weight)  # type: ignore[arg-type]  # a Linear
            nn.init.zeros_(link.bias)  # type: ignore[arg-type]  # a Linear

    def forward(self, tokens: Tensor) -> Tensor:
        """Run the copy. The links do not change its own output."""
        out: Tensor = self.transformer(tokens)
        return out


class Controller(nn.Module):
    """A CLIP with its controller; `clip` may be a tower without language.

    crop: which part of an image the towers get. `visual` is `clip.visual` under a second name, as in published
    files. Training changes `visual_control`, `logit_scale` and learned words; `freeze` fixes the rest.
    """

    crop: Crop = "center"

    def __init__(self, clip: CLIP | Tower) -> None:
        super().__init__()
        self.clip = clip
        self.visual = clip.visual
        self.visual_control = copy.deepcopy(clip.visual)
        width = clip.visual.class_embedding.shape[0]
        self.visual_control.transformer = _Linked(self.visual_control.transformer, width)
        self.logit_scale = nn.Parameter(torch.tensor(INITIAL_SCALE))

    @classmethod
    def named(cls, architecture: str) -> Controller:
        """Build an untrained controller on an architecture of open_clip such as ViT-B-32.

        Raises:
            ValueError: open_clip knows no such architecture, or it is not a plain CLIP.
        """
        config = open_clip.get_model_config(architecture)
        if config is None or set(config) != {"embed_dim", "vision_cfg", "text_cfg"}:
            raise ValueError(f"{architecture!r} is not a plain CLIP of open_clip; try ViT-B-32 or ViT-L-14")
        return cls.of(config)

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Controller:
        """Build an untrained controller from embed_dim, vision_cfg and text_cfg, as in open_clip's model files."""
        return cls(CLIP(config["embed_dim"], dict(config["vision_cfg"]), dict(config["text_cfg"])))

    @property
    def image_size(self) -> int:
        """The side in px of the images that the towers take."""
        size = self.clip.visual.image_size
        return int(size[0] if isinstance(size, tuple) else size)

    @property
    def embedding(self) -> int:
        """The number of values of a feature."""
        return int(self.clip.visual.proj.shape[1])

    @property
    def words(self) -> tuple[str, ...] | None:
        """The only words that the controller knows; None if it reads any text."""
        return self.clip.words if isinstance(self.clip, Tower) else None

    @property
    def tellable(self) -> bool:
        """True if `encode_told` works: there is language, or typical features were measured."""
        return not isinstance(self.clip, Tower) or self.clip.typical is not None

    def freeze(self) -> None:
        """Freeze everything but the controller, the scale and learned words."""
        self.clip.requires_grad_(False)
        self.clip.eval()
        if isinstance(self.clip, Tower):
            self.clip.rows.requires_grad_(True)

    def copy_tower(self, as_published: bool = False) -> None:
        """Copy the visual tower of the CLIP to the controller, and set the links to zero.

        as_published: do what the published trainer does. It pairs parameters by position, but the links shift the
        positions. So the link to the last block of the main tower gets the gain of the final layer norm in every
        row of its weight, and the offset of that norm as its bias. The controller's own final layer norm keeps
        its initial values. Features then differ from CLIP's from the start.
        """
        source = dict(self.clip.visual.named_parameters())
        with torch.no_grad():
            for name, parameter in self.visual_control.named_parameters():
                if "zero_modules" in name:
                    parameter.zero_()
                else:
                    parameter.copy_(source[name.replace("transformer.transformer.", "transformer.")])
            if as_published:
                norm, link = self.clip.visual.ln_post, self.visual_control.transformer.zero_modules[0]
                link.weight.copy_(norm.weight.expand_as(link.weight))
                link.bias.copy_(norm.bias)
                self.visual_control.ln_post.reset_parameters()

    # ------------------------------------------------------------ images

    def seen(self, images: Tensor, crop: Crop | None = None) -> Tensor:
        """Prepare images (B, 3, H, W) in [0, 1] for the towers: (B, 3, S, S); `crop` overrides its own crop."""
        return for_clip(images, self.image_size, crop or self.crop)

    def encode_image(self, images: Tensor) -> Features:
        """Encode normalised (B, 3, S, S) images; the controller steers the content feature."""
        controls: list[Tensor] = []
        with _collecting_controls(self.visual_control.transformer, controls):
            degradation = self.visual_control(images)
        # published weights were trained with the control of the deepest block added to the first block
        with _adding_controls(self.clip.visual.transformer, controls[::-1]):
            content = self.clip.visual(images)
        return Features(content, degradation)

    def encode_plain_image(self, images: Tensor) -> Tensor:
        """Encode images with the CLIP alone, without control: (B, 3, S, S) -> (B, D)."""
        features: Tensor = self.clip.encode_image(images)
        return features

    # ------------------------------------------------------------ words

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Encode texts: (N, D), not normalised.

        Raises:
            RestorebenchError: there is no language, and a text has a word that was not learned.
        """
        if isinstance(self.clip, Tower):
            return self.clip.encode_words(texts)
        return self.encode_tokens(self.tokens(texts))

    def encode_told(self, texts: Sequence[str]) -> Tensor:
        """Encode told degradations as features that condition the restorer: (N, D), not normalised.

        With language this is the feature of the text. Without language it is the typical feature of images with
        that degradation.

        Raises:
            RestorebenchError: there is no language, and a text has a word that was not learned.
        """
        return self.clip.typical_of(texts) if isinstance(self.clip, Tower) else self.encode_text(texts)

    def encode_tokens(self, tokens: Tensor) -> Tensor:
        """Encode (N, 77) token numbers: (N, D), not normalised."""
        assert isinstance(self.clip, CLIP)  # a Tower has no text encoder
        features: Tensor = self.clip.encode_text(tokens)
        return features

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """Turn texts into (N, 77) token numbers; long texts are truncated."""
        assert isinstance(self.clip, CLIP)  # a Tower has no text encoder
        tokens: Tensor = open_clip.tokenize(list(texts), self.clip.context_length)
        return tokens.to(self.logit_scale.device)


def _blocks(transformer: nn.Module) -> list[nn.Module]:
    return list(transformer.resblocks)  # type: ignore[arg-type]  # a ModuleList


@contextmanager
def _collecting_controls(linked: nn.Module, controls: list[Tensor]) -> Iterator[None]:
    """Append the output of every link to `controls` while the tower runs, first block first."""
    assert isinstance(linked, _Linked)  # only a controller's transformer has links

    def collect(link: nn.Module, output: Tensor) -> None:
        controls.append(link(output))

    handles = [
        block.register_forward_hook(lambda _module, _given, output, link=link: collect(link, output))
        for block, link in zip(_blocks(linked.transformer), linked.zero_modules, strict=True)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _adding_controls(transformer: nn.Module, controls: Sequence[Tensor]) -> Iterator[None]:
    """Add one control to the output of every block while the tower runs."""
    handles = [
        block.register_forward_hook(lambda _module, _given, output, control=control: output + control)
        for block, control in zip(_blocks(transformer), controls, strict=True)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()

"""Generate guidance: what an image's restored pseudo-words make Stable Diffusion draw.

The only module that loads models of diffusers and transformers, which an extra installs; they have no types here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from restorebench import MissingResource, RestorebenchError
from restorebench_textualdegrem import checkpoint, cross_attention, published, tiny_diffusion
from restorebench_textualdegrem.clip_input import for_encoder
from restorebench_textualdegrem.options import UNTRAINED, Generation
from restorebench_textualdegrem.sampling import Schedule, sample
from restorebench_textualdegrem.splice import PROMPT, place_of
from restorebench_textualdegrem.text_encoding import encoded
from restorebench_textualdegrem.words import CleanMapper, Mapper

INSTALL = "pip install 'restorebench[diffbir]'"
_FOLDERS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")


@dataclass(frozen=True)
class Parts:
    """All that takes part. ids: of the empty prompt and of the prompt, (1, 77) each; place: of its placeholder."""

    vision: Any
    text: Any
    unet: Any
    vae: Any
    mapper: Mapper
    clean_mapper: CleanMapper
    schedule: Schedule
    ids: tuple[Tensor, Tensor]
    place: int


class Generator:
    """Turn degraded images (B, 3, H, W) into guidance (B, 3, S, S), float32 in [0, 1], in steps of 8 bits."""

    def __init__(self, parts: Parts, settings: Generation, device: str, dtype: torch.dtype) -> None:
        self.parts, self.settings, self.device, self.dtype = parts, settings, device, dtype
        for each in (parts.vision, parts.text, parts.unet, parts.vae, parts.mapper, parts.clean_mapper):
            each.to(device, dtype).requires_grad_(False).eval()

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Generate; every image starts from the same noise, whatever the batch."""
        parts, config = self.parts, self.parts.unet.config
        latent = self.noise(config.in_channels, config.sample_size).expand(len(images), -1, -1, -1)
        found = sample(
            self._denoised,
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
        """Draw the noise that all start from, on the CPU whatever the device: (1, C, side, side)."""
        generator = torch.Generator().manual_seed(self.settings.seed)
        return torch.randn(1, channels, side, side, generator=generator).to(self.device, self.dtype)

    def texts(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Encode the empty prompt, and the prompt with what each image would say if it were clean."""
        parts = self.parts
        given = for_encoder(images, parts.vision.config.image_size).to(self.device, self.dtype)
        # before the last normalisation, which only the pooled token goes through
        tokens = parts.vision(pixel_values=given).last_hidden_state
        words = parts.clean_mapper(parts.mapper(tokens))
        count = len(images)
        empty, prompt = (each.to(self.device).expand(count, -1) for each in parts.ids)
        places = torch.full((count,), parts.place, device=self.device)
        return encoded(parts.text, empty), encoded(parts.text, prompt, words, places)

    def _denoised(self, latent: Tensor, time: int, text: Tensor) -> Tensor:
        out: Tensor = self.parts.unet(latent, time, encoder_hidden_states=text).sample
        return out


def load(settings: Generation, device: str, dtype: torch.dtype) -> Generator:
    """Load all parts, and give the U-Net the Mapper's projections.

    Raises:
        MissingResource: diffusers or transformers are not installed, or a file is not there.
        RestorebenchError: a file is broken, or of something else.
    """
    try:
        for name in ("diffusers", "transformers"):
            import_module(name)
    except ImportError as error:
        raise MissingResource(f"guidance `stable-diffusion` needs {error.name}: {INSTALL}") from error
    parts = tiny_diffusion.parts() if settings.stable_diffusion == UNTRAINED else _loaded(settings)
    return Generator(parts, settings, device, dtype)


def _loaded(settings: Generation) -> Parts:
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer, CLIPVisionModel

    given = (settings.stable_diffusion, settings.clip, settings.mapper, settings.clean_mapper)
    folder, clip, mapper_file, clean_file = (each for each in given if isinstance(each, Path))
    for name in _FOLDERS:
        if not (folder / name).is_dir():
            raise MissingResource(
                f"{folder}: no folder `{name}`; put Stable Diffusion 2.1-base there, as diffusers does: "
                f"{published.STABLE_DIFFUSION}"
            )
    if not (clip / "config.json").is_file():
        raise MissingResource(
            f"{clip}: no config.json; put CLIP ViT-H/14 there, as transformers does: {published.CLIP}"
        )
    mapper, projections = checkpoint.mapper(mapper_file)
    tokenizer = _pretrained(CLIPTokenizer, folder / "tokenizer")
    unet = _pretrained(UNet2DConditionModel, folder / "unet")
    cross_attention.overwrite(unet, projections, f"weights {mapper_file}")
    parts = Parts(
        _pretrained(CLIPVisionModel, clip),
        _pretrained(CLIPTextModel, folder / "text_encoder"),
        unet,
        _pretrained(AutoencoderKL, folder / "vae"),
        mapper,
        checkpoint.clean_mapper(clean_file),
        Schedule.of(_config(folder / "scheduler" / "scheduler_config.json")),
        (_ids(tokenizer, ""), _ids(tokenizer, PROMPT)),
        place_of(PROMPT),
    )
    _hold_together(parts, mapper_file, clean_file)
    return parts


def _hold_together(parts: Parts, mapper: Path, clean_mapper: Path) -> None:
    """Check that what one part gives is what the next one takes.

    Raises:
        RestorebenchError: two parts do not fit.
    """
    seen, width = parts.vision.config.hidden_size, parts.text.config.hidden_size
    takes, gives = (parts.mapper.get_parameter(f"mapping_0.{layer}.weight") for layer in (0, 9))
    words = parts.clean_mapper.get_parameter("mapping_0.0.weight")
    if takes.shape[1] != seen or gives.shape[0] != width:
        raise RestorebenchError(
            f"weights {mapper}: for tokens of {takes.shape[1]} channels and a text encoder of {gives.shape[0]}, "
            f"but they have {seen} and {width}; take CLIP ViT-H/14 and Stable Diffusion 2.1-base"
        )
    if words.shape[1] != width or parts.clean_mapper.words != parts.mapper.words:
        raise RestorebenchError(
            f"weights {clean_mapper}: {parts.clean_mapper.words} words of {words.shape[1]} channels, but the "
            f"Mapper gives {parts.mapper.words} of {width}; take the pair that was trained together"
        )


def _pretrained(kind: Any, folder: Path) -> Any:
    """Load a part from its folder.

    Raises:
        RestorebenchError: the folder is incomplete or another part's.
    """
    try:
        return kind.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise RestorebenchError(f"{folder}: no {kind.__name__} can be loaded ({said}); get it anew") from error


def _config(path: Path) -> dict[str, Any]:
    """Read a scheduler's configuration.

    Raises:
        RestorebenchError: it is missing or no JSON.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise RestorebenchError(f"{path}: unreadable ({error}); get it anew") from error
    return found


def _ids(tokenizer: Any, prompt: str) -> Tensor:
    found: Tensor = tokenizer(
        prompt,
        padding="max_length",
        truncation=True,
        max_length=tokenizer.model_max_length,
        return_tensors="pt",
    ).input_ids
    return found

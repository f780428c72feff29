"""The sources of the parts that the published script for guidance uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from restorebench import WeightFile

if TYPE_CHECKING:
    from restorebench_textualdegrem.options import GuidedRestoration

_HUB = "https://huggingface.co/"
_SD, _CLIP = "stabilityai/stable-diffusion-2-1-base", "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"
_SD_LICENCE, _CLIP_LICENCE = "CreativeML Open RAIL++-M", "MIT"
STABLE_DIFFUSION = f"{_HUB}{_SD} (licence {_SD_LICENCE})"
CLIP = f"{_HUB}{_CLIP} (licence {_CLIP_LICENCE})"

_DINO, _DINO_LICENCE = "facebook/dinov2-base", "Apache-2.0"
DINO = f"{_HUB}{_DINO} (licence {_DINO_LICENCE})"

_SETTINGS = 1000  # bytes, roughly


def _files(repository: str, licence: str, sizes: dict[str, int]) -> tuple[WeightFile, ...]:
    """Return the files of a repository, each below a folder with the name of the repository.

    Digests are not published here: they are recorded at first use.
    """
    folder = repository.rpartition("/")[2]
    return tuple(
        WeightFile(f"{folder}/{name}", f"{_HUB}{repository}/resolve/main/{name}", licence, size)
        for name, size in sizes.items()
    )


STABLE_DIFFUSION_FILES = _files(
    _SD,
    _SD_LICENCE,
    {
        "unet/config.json": _SETTINGS,
        "unet/diffusion_pytorch_model.safetensors": 4 * 865_910_724,
        "vae/config.json": _SETTINGS,
        "vae/diffusion_pytorch_model.safetensors": 4 * 83_653_863,
        "text_encoder/config.json": _SETTINGS,
        "text_encoder/model.safetensors": 4 * 340_387_840,
        "tokenizer/vocab.json": 1_059_962,
        "tokenizer/merges.txt": 524_619,
        "tokenizer/special_tokens_map.json": _SETTINGS,
        "tokenizer/tokenizer_config.json": _SETTINGS,
        "scheduler/scheduler_config.json": _SETTINGS,
    },
)
"""The files in diffusers' layout. Sizes count four bytes for each number in a file, and no names."""

CLIP_FILES = _files(_CLIP, _CLIP_LICENCE, {"config.json": _SETTINGS, "model.safetensors": 4 * 986_109_441})
"""The files in transformers' layout: one holds both towers, of which only the one for images is used."""

DINO_FILES = _files(_DINO, _DINO_LICENCE, {"config.json": _SETTINGS, "model.safetensors": 4 * 86_580_480})
"""ViT-B/14 without registers, which selects the windows of guidance in training."""


def guidance_files(options: GuidedRestoration) -> Sequence[WeightFile]:
    """Return the published files that the generation of guidance needs."""
    generation = options.generation
    if generation is None:
        return ()
    wanted = ((generation.stable_diffusion, STABLE_DIFFUSION_FILES), (generation.clip, CLIP_FILES))
    return [file for choice, files in wanted if choice == "published" for file in files]

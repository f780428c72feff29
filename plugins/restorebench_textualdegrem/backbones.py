"""Loading of Stable Diffusion and CLIP: from folders, as published, or tiny and random.

This is the only module that loads models of diffusers and transformers, which an extra installs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restorebench import MissingResource, RestorebenchError
from restorebench.toolbox import weights
from restorebench.toolbox.counts import counted
from restorebench_textualdegrem import published, tiny_diffusion
from restorebench_textualdegrem.options import UNTRAINED, BackboneFiles
from restorebench_textualdegrem.parts import Backbones
from restorebench_textualdegrem.sampling import Schedule
from restorebench_textualdegrem.splice import PROMPT, place_of

if TYPE_CHECKING:
    from torch import Tensor

    from restorebench import Runtime

INSTALL = "pip install 'restorebench[diffbir]'"
_BUILT_IN = (None, "eager", "sdpa")
"""Implementations of layers that need no code from elsewhere."""
_FOLDERS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")


def load(files: BackboneFiles, runtime: Runtime) -> Backbones:
    """Load all parts on the CPU, in float32.

    Raises:
        MissingResource: diffusers or transformers are not installed, or a file is missing.
        RestorebenchError: a file is broken, or holds something else.
    """
    require_extra()
    if files.stable_diffusion == UNTRAINED:
        return tiny_diffusion.backbones()
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer, CLIPVisionModel

    folder, clip = _folders(files, runtime)
    for name in _FOLDERS:
        if not (folder / name).is_dir():
            raise MissingResource(
                f"{folder}: no folder `{name}`; put Stable Diffusion 2.1-base there, in diffusers' layout: "
                f"{published.STABLE_DIFFUSION}, or set `stable_diffusion: published`"
            )
    if not (clip / "config.json").is_file():
        raise MissingResource(
            f"{clip}: no config.json; put CLIP ViT-H/14 there, in transformers' layout: {published.CLIP}, or set "
            "`clip: published`"
        )
    tokenizer = _pretrained(CLIPTokenizer, folder / "tokenizer")
    return Backbones(
        network(CLIPVisionModel, clip),
        network(CLIPTextModel, folder / "text_encoder"),
        network(UNet2DConditionModel, folder / "unet"),
        network(AutoencoderKL, folder / "vae"),
        Schedule.of(_config(folder / "scheduler" / "scheduler_config.json")),
        (_ids(tokenizer, ""), _ids(tokenizer, PROMPT)),
        place_of(PROMPT),
    )


def require_extra(what: str = "Stable Diffusion", names: Sequence[str] = ("diffusers", "transformers")) -> None:
    """Require the packages that the extra installs.

    Raises:
        MissingResource: one of the packages is not installed.
    """
    try:
        for name in names:
            import_module(name)
    except ImportError as error:
        raise MissingResource(f"{what} needs {error.name or error}: {INSTALL}") from error


def _folders(files: BackboneFiles, runtime: Runtime) -> tuple[Path, Path]:
    """Return the folders of Stable Diffusion and CLIP; download the published ones if they are asked for."""
    given = (files.stable_diffusion, files.clip)
    lists = (published.STABLE_DIFFUSION_FILES, published.CLIP_FILES)
    first, second = (
        choice if isinstance(choice, Path) else weights.fetch_folder(listed, runtime)
        for choice, listed in zip(given, lists, strict=True)
    )
    return first, second


def network(kind: Any, folder: Path) -> Any:
    """Load a network of diffusers or transformers from its folder.

    Missing tensors are an error here; the libraries themselves would fill them with random numbers.

    Raises:
        RestorebenchError: the folder is incomplete, or holds another part.
    """
    if (folder / "config.json").is_file() and _names_code(_config(folder / "config.json")):
        raise RestorebenchError(
            f"{folder}/config.json: names code for its layers; remove every `*_implementation`"
        )
    # Without a .safetensors file both libraries would fall back on pickles, and on remote conversions of them.
    found, info = _pretrained(kind, folder, output_loading_info=True, use_safetensors=True)
    if missing := sorted(info["missing_keys"]):
        lacking = counted(len(missing), "tensor is", "tensors are")
        raise RestorebenchError(
            f"{folder}: no complete {kind.__name__}: {lacking} missing ({missing[0]}, ...); download it again"
        )
    return found


def _pretrained(kind: Any, folder: Path, **how: Any) -> Any:
    """Load a part from its folder.

    Raises:
        RestorebenchError: the folder is incomplete, or holds another part.
    """
    try:
        return kind.from_pretrained(folder, local_files_only=True, **how)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RestorebenchError(
            f"{folder}: no {kind.__name__} can be loaded ({reason}); download it again"
        ) from error


def _names_code(config: Any) -> bool:  # Any: JSON
    """Return whether a configuration names an implementation that transformers would get from the hub as code."""
    if isinstance(config, dict):
        named = [value for key, value in config.items() if key.endswith("_implementation")]
        return any(name not in _BUILT_IN for name in named) or any(map(_names_code, config.values()))
    return isinstance(config, list) and any(map(_names_code, config))


def _config(path: Path) -> dict[str, Any]:
    """Read the configuration of a part.

    Raises:
        RestorebenchError: the file is missing, or is not JSON.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise RestorebenchError(f"{path}: unreadable ({error}); download it again") from error
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

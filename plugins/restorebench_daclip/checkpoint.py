"""Networks built from weights. Sizes are read from the tensors, so a file needs no separate configuration."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from restorebench import RestorebenchError, Runtime, WeightFile
from restorebench.toolbox import weights
from restorebench.toolbox.networks import drawn_from
from restorebench_daclip.controller import Controller
from restorebench_daclip.nafnet import NAFNet, NAFNetConfig
from restorebench_daclip.options import UNTRAINED
from restorebench_daclip.published import PUBLISHED
from restorebench_daclip.tower import BLOCK, HEAD, Tower, TowerConfig
from restorebench_daclip.unet import UNet, UNetConfig

State = Mapping[str, Tensor]
Network = TypeVar("Network", bound=nn.Module)

TINY_CONTROLLER: dict[str, Any] = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
}
TINY_UNET = UNetConfig(features=32, multipliers=(1, 1, 1, 1), context=32)
TINY_IR_SDE = UNetConfig(features=16, multipliers=(1, 1, 1, 2), context=None, degradation_context=False)
TINY_NAFNET = NAFNetConfig(width=8, encoder=(1, 1, 1, 1))


def controller_from(choice: str | Path, runtime: Runtime) -> Controller:
    """Build the controller from published weights or a file, or an untrained one.

    Raises:
        RestorebenchError: the file is missing or broken, or holds another network.
    """
    if choice == UNTRAINED:
        return _untrained(lambda: Controller.of(TINY_CONTROLLER))
    return controller_of(_path(choice, "controller", runtime))


def controller_of(path: Path) -> Controller:
    """Build the controller from a file.

    Raises:
        RestorebenchError: the file is missing or broken, or holds another network.
    """
    state = _with_alias(weights.read(path), path)
    noted = weights.notes(path)
    if "words" in noted:
        tower = Tower(tower_config(state, path, "clip.visual."), noted["words"])
        if "clip.typical" in state:
            tower.typical = torch.empty_like(tower.rows, requires_grad=False)
        controller = Controller(tower)
    else:
        controller = Controller.of(controller_config(state, path))
    controller.crop = noted.get("crop", controller.crop)
    return _filled(controller, state, path, "is this the file of a controller?")


def tower_of(path: Path, words: Sequence[str]) -> Tower:
    """Build the tower from a file, but with these words.

    Raises:
        RestorebenchError: the file is missing or broken, or holds another network.
    """
    state = weights.read(path)
    tower = Tower(tower_config(state, path, ""), words)
    weights.load(tower.visual, state, path, "is this the file of a visual tower?")
    return tower


def unet_from(choice: str | Path, runtime: Runtime, contexts: bool = True) -> UNet:
    """Build the U-Net from published weights or a file, or an untrained one.

    Raises:
        RestorebenchError: the file is missing or broken, or holds another network.
    """
    if choice == UNTRAINED:
        return _untrained(lambda: UNet(TINY_UNET if contexts else TINY_IR_SDE))
    path = _path(choice, "restorer", runtime)
    state = weights.read(path)
    config = unet_config(state, path)
    if contexts != (config.context is not None):
        other, this = ("ir-sde", "daclip-irsde") if contexts else ("daclip-irsde", "ir-sde")
        takes = "no contexts" if contexts else "contexts"
        raise RestorebenchError(f"weights {path}: this U-Net takes {takes}; use `{other}` instead of `{this}`")
    return _filled(UNet(config), state, path, "is this the file of a U-Net?")


def nafnet_from(choice: str | Path) -> NAFNet:
    """Build the NAFNet from a file, or an untrained one.

    Raises:
        RestorebenchError: the file is missing or broken, or holds another network.
    """
    if isinstance(choice, str):
        return _untrained(lambda: NAFNet(TINY_NAFNET))
    state = weights.read(choice)
    return _filled(NAFNet(nafnet_config(state, choice)), state, choice, "is this the file of a NAFNet?")


# ---------------------------------------------------------------- sizes


def controller_config(state: State, path: Path) -> dict[str, Any]:
    """Read the sizes of a controller from its tensors; heads are 64 wide, as in every published CLIP."""
    ((width, _, _, patch),) = _shapes(state, path, 4, "clip.visual.conv1.weight")
    tower = _tower_config(state, path, "clip.visual.", width, patch)
    (vocabulary, text_width), (length, _) = _shapes(
        state, path, 2, "clip.token_embedding.weight", "clip.positional_embedding"
    )
    text_layers = _count(state, r"clip\.transformer\.resblocks\.(\d+)\.")
    _require(text_layers > 0, path, "a tower without blocks")
    heads = max(text_width // HEAD, 1)
    _require(text_width % heads == 0, path, f"a text width of {text_width} cannot be split into {heads} heads")
    return {
        "embed_dim": tower.embedding,
        "vision_cfg": {
            "image_size": tower.image_size,
            "layers": tower.layers,
            "width": tower.width,
            "patch_size": tower.patch_size,
        },
        "text_cfg": {
            "context_length": length,
            "vocab_size": vocabulary,
            "width": text_width,
            "heads": heads,
            "layers": text_layers,
        },
    }


def tower_config(state: State, path: Path, prefix: str) -> TowerConfig:
    """Read the sizes of a tower without language from its tensors, whose names begin with a prefix."""
    ((width, _, _, blocks),) = _shapes(state, path, 4, f"{prefix}conv1.mix.weight")
    return _tower_config(state, path, prefix, width, blocks * BLOCK)


def _tower_config(state: State, path: Path, prefix: str, width: int, patch: int) -> TowerConfig:
    (_, embedding), (tokens, _) = _shapes(state, path, 2, f"{prefix}proj", f"{prefix}positional_embedding")
    layers = _count(state, rf"{re.escape(prefix)}transformer\.resblocks\.(\d+)\.")
    side = math.isqrt(tokens - 1)
    _require(layers > 0, path, "a tower without blocks")
    _require(width % HEAD == 0, path, f"a tower width of {width} cannot be split into heads of {HEAD}")
    _require(
        side > 0 and side * side == tokens - 1, path, f"{tokens} positions are not a class token and a square"
    )
    return TowerConfig(patch * side, patch, width, layers, embedding)


def unet_config(state: State, path: Path) -> UNetConfig:
    """Read the sizes of a U-Net from its tensors."""
    ((features, doubled, _, _),) = _shapes(state, path, 4, "init_conv.weight")
    depth = _count(state, r"downs\.(\d+)\.")
    keys = [f"downs.{level}.3.weight" for level in range(depth)]
    outs = [shape[0] for shape in _shapes(state, path, 4, *keys)]
    _require(depth > 0, path, "no levels")
    _require_widths(features, doubled, path)
    _require(all(out % features == 0 for out in outs), path, f"level widths {outs} are no multiples of {features}")
    context = "mid_attn.fn.fn.transformer_blocks.0.attn2.to_v.weight"
    return UNetConfig(
        features=features,
        multipliers=tuple(out // features for out in outs),
        context=_shapes(state, path, 2, context)[0][1] if context in state else None,
        degradation_context="prompt" in state,
        scale=0.5 if "downsample.weight" in state else 1.0,
        channels=doubled // 2,
        attention_from=depth - _count(state, r"downs\.(\d+)\.2\."),
    )


def nafnet_config(state: State, path: Path) -> NAFNetConfig:
    """Read the sizes of a NAFNet from its tensors."""
    ((width, doubled, _, _),) = _shapes(state, path, 4, "intro.weight")
    _require_widths(width, doubled, path)

    def blocks(kind: str) -> tuple[int, ...]:
        levels = _count(state, rf"{kind}\.(\d+)\.")
        return tuple(_count(state, rf"{kind}\.{level}\.(\d+)\.") for level in range(levels))

    encoder, decoder = blocks("encoders"), blocks("decoders")
    _require(
        len(encoder) == len(decoder),
        path,
        f"the encoder has {len(encoder)} levels, but the decoder {len(decoder)}",
    )
    return NAFNetConfig(
        width=width,
        encoder=encoder,
        middle=_count(state, r"middle_blks\.(\d+)\."),
        decoder=decoder,
        channels=doubled // 2,
    )


def _shapes(state: State, path: Path, axes: int, *names: str) -> list[tuple[int, ...]]:
    """Return the shapes of tensors; each must have this number of axes, none of length 0."""
    for name in names:
        if name not in state:
            known = ", ".join(sorted(state)[:3])
            raise RestorebenchError(
                f"weights {path}: no {name} among its tensors ({known}, ...); this file holds another network"
            )
        shape = list(state[name].shape)
        _require(len(shape) == axes and 0 not in shape, path, f"{name} has the shape {shape}, not {axes} axes")
    return [tuple(state[name].shape) for name in names]


def _require_widths(width: int, doubled: int, path: Path) -> None:
    """Refuse an impossible first layer: the time embedding needs an even width, and the input is two images."""
    _require(width % 2 == 0 and width >= 4, path, f"the first layer has {width} channels, not 4, 6, ...")
    _require(doubled % 2 == 0, path, f"{doubled} input channels, which are not two images")


def _require(holds: bool, path: Path, otherwise: str) -> None:
    if not holds:
        raise RestorebenchError(f"weights {path}: {otherwise}; this file holds another network")


def _count(state: State, pattern: str) -> int:
    """Count the different numbers that the group of a pattern matches in the names of tensors."""
    return len({match[1] for name in state if (match := re.match(pattern, name))})


# ---------------------------------------------------------------- filling


def _path(choice: str | Path, part: str, runtime: Runtime) -> Path:
    """Return a given path, or fetch one part of published weights: `controller` or `restorer`."""
    if isinstance(choice, Path):
        return choice
    file: WeightFile = getattr(PUBLISHED[choice], part)
    return weights.fetch(file, runtime)


def _with_alias(state: State, path: Path) -> State:
    """Add `visual.`, the second name of the tower `clip.visual.`, where a file has only the first.

    Raises:
        RestorebenchError: the file has both names, and their tensors differ.
    """
    first = "clip.visual."
    alias = {name.removeprefix("clip."): value for name, value in state.items() if name.startswith(first)}
    for name, value in alias.items():
        other = state.get(name, value)
        if other is not value and (other.dtype != value.dtype or not torch.equal(other, value)):
            raise RestorebenchError(
                f"weights {path}: {name} and clip.{name} differ, but a controller has one tensor for both"
            )
    return {**alias, **state}


def _filled(network: Network, state: State, path: Path, hint: str) -> Network:
    weights.load(network, state, path, hint)
    return network.eval()


def _untrained(build: Callable[[], Network]) -> Network:
    with drawn_from():
        return build().eval()

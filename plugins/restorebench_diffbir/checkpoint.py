"""Building networks from files: tensor names are mapped, and then all names and shapes must match."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from restorebench import MissingResource, RestorebenchError
from restorebench.toolbox import weights
from restorebench.toolbox.networks import drawn_from
from restorebench_diffbir import key_map, networks, stage1
from restorebench_diffbir.key_map import Part
from restorebench_diffbir.networks import Sizes
from restorebench_diffbir.versions import CleanerKind

State = Mapping[str, Tensor]
Network = TypeVar("Network", bound=nn.Module)

BUILDERS: Mapping[Part, Callable[[Sizes], Any]] = {
    "unet": networks.unet,
    "control": networks.control,
    "vae": networks.vae,
    "text": networks.text,
}
"""Functions that build the networks of stage 2."""

_PREFIXES: Mapping[Part, str] = {
    "unet": "model.diffusion_model.",
    "vae": "first_stage_model.",
    "text": "cond_stage_model.model.",
}
"""Prefixes of the tensor names in a Stable Diffusion file of the original layout."""

FOLDERS: Mapping[Part, str] = {
    "unet": "unet/diffusion_pytorch_model.safetensors",
    "vae": "vae/diffusion_pytorch_model.safetensors",
    "text": "text_encoder/model.safetensors",
}
"""The files of the parts in a Stable Diffusion folder in diffusers' layout."""

_FORMER = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""Names of the VAE's attention layers in files of former diffusers releases, and today's names."""

_MARKS = {
    "model.diffusion_model.out.2.weight": "a whole Stable Diffusion",
    "control_model.zero_convs.0.0.weight": "DiffBIR's old file of both stages",
    "zero_convs.0.0.weight": "a control branch",
    "input_blocks.0.0.weight": "a U-Net without control",
    "RRDB_trunk.0.RDB1.conv1.weight": "BSRNet",
    "m_head.0.weight": "SCUNet",
    "conv_first.1.weight": "SwinIR at an eighth of the resolution",
    "conv_first.weight": "another SwinIR or ESRGAN",
    "down_blocks.0.resnets.0.conv1.weight": "a network in diffusers' layout",
}
"""The network that a file holds, by the name of one of its tensors; the first entry that fits decides."""

_CLEANER_MARKS: Mapping[CleanerKind, str] = {
    "swinir": "conv_first.1.weight",
    "bsrnet": "RRDB_trunk.0.RDB1.conv1.weight",
    "scunet": "m_head.0.weight",
}
_NONZERO_STD = 0.05  # of random values that replace zeros: with its zeros a control branch has no effect


def built(part: Part, sizes: Sizes) -> Any:
    """Build a part of stage 2; its weights mean nothing until they are filled."""
    if part == "text":  # its buffer of positions is in no file, so it has to be computed here
        return networks.text(sizes).eval()
    with torch.device("meta"):
        network = BUILDERS[part](sizes)
    return network.to_empty(device="cpu").eval()


def filled(part: Part, sizes: Sizes, state: State, path: Path = Path("-")) -> Any:
    """Build a part of stage 2 and fill it with tensors that have the libraries' names.

    Raises:
        RestorebenchError: names, shapes or types differ.
    """
    network = built(part, sizes)
    # Files and releases of transformers differ in whether names begin with `text_model.`.
    if part == "text":
        plain = {name.removeprefix("text_model."): value for name, value in state.items()}
        prefix = "text_model." if all(name.startswith("text_model.") for name in network.state_dict()) else ""
        state = {prefix + name: value for name, value in plain.items() if not name.endswith("position_ids")}
    weights.load(network, state, path, "expected: Stable Diffusion 2.1 or a network that was trained on it")
    return network


def control(path: Path, sizes: Sizes | None = None) -> Any:
    """Build the control branch from a file.

    Raises:
        MissingResource: there is no such file.
        RestorebenchError: it is broken, or holds another network.
    """
    state = read(path)
    if "zero_convs.0.0.weight" not in state:
        raise RestorebenchError(f"weights {path}: {_described(state)}; expected: a control branch, such as v2.pth")
    first = state.get("input_blocks.0.0.weight")
    if first is None or first.ndim != 4 or first.shape[1] != 2 * networks.LATENT:
        raise RestorebenchError(
            f"weights {path}: this control branch takes no latent of an image; expected: that of DiffBIR, whose "
            f"first convolution takes {2 * networks.LATENT} channels"
        )
    return filled("control", sizes or Sizes(), _renamed("control", state, path), path)


def stable_diffusion(path: Path, sizes: Sizes | None = None) -> dict[Part, Any]:
    """Build the U-Net, the VAE and the text tower from a folder (diffusers' layout) or a file (original layout).

    Raises:
        MissingResource: the folder or file, or the file of a part, is missing.
        RestorebenchError: a file is broken, or holds another network.
    """
    if path.is_dir():
        return parts_of({part: path / name for part, name in FOLDERS.items()}, sizes)
    state = read(path)
    found: dict[Part, Any] = {}
    for part, prefix in _PREFIXES.items():
        own = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        if not own:
            raise RestorebenchError(
                f"weights {path}: {_described(state)} and has no {prefix}*; expected: a whole Stable Diffusion 2.1"
            )
        found[part] = filled(part, sizes or Sizes(), _renamed(part, own, path), path)
    return found


def parts_of(paths: Mapping[Part, Path], sizes: Sizes | None = None) -> dict[Part, Any]:
    """Build the parts of a Stable Diffusion, each from its own file in the layout of diffusers or transformers.

    Raises:
        MissingResource: a file is missing.
        RestorebenchError: a file is broken, or holds another network.
    """
    return {part: filled(part, sizes or Sizes(), _modern(read(path)), path) for part, path in paths.items()}


def cleaner(kind: CleanerKind, path: Path) -> nn.Module:
    """Build a stage-1 network from a file.

    Raises:
        MissingResource: there is no such file.
        RestorebenchError: it is broken, or holds another network.
    """
    state = read(path)
    if _CLEANER_MARKS[kind] not in state:
        raise RestorebenchError(
            f"weights {path}: {_described(state)}; this version and task take {_MARKS[_CLEANER_MARKS[kind]]}"
        )
    network = stage1.BUILDERS[kind]()
    weights.load(network, state, path)
    return network.eval()


def untrained(build: Callable[[], Network]) -> Network:
    """Build a network with random weights, the same every time; weights that start at zero become random too."""
    with drawn_from(), torch.no_grad():
        network = build().eval()
        for value in network.parameters():
            if not value.any():
                value.normal_(std=_NONZERO_STD)
    return network


def read(path: Path) -> dict[str, Tensor]:
    """Read named tensors; if a file is refused for its other objects, the error says how to convert it.

    Raises:
        MissingResource: there is no such file.
        RestorebenchError: it is broken, or refused.
    """
    try:
        return weights.read(path)
    except MissingResource:
        raise
    except RestorebenchError as error:
        if "refused" not in str(error):
            raise
        converted = path.with_suffix(".safetensors").name
        raise RestorebenchError(
            f"{error}; extract its tensors once, without running code from it: "
            f"python -m restorebench_diffbir.convert {path} {converted}, and name the new file in the options"
        ) from error


def _renamed(part: Part, state: State, path: Path) -> dict[str, Tensor]:
    try:
        return dict(key_map.mapped(part, state))
    except KeyError as error:
        raise RestorebenchError(
            f"weights {path}: {error.args[0]} is no tensor of the {part} of Stable Diffusion 2.1; "
            "take a file of that version"
        ) from error


def _modern(state: State) -> dict[str, Tensor]:
    """Give the VAE's attention layers the names and shapes that diffusers uses today."""
    found = {}
    for name, value in state.items():
        module, _, kind = name.rpartition(".")
        parent, _, layer = module.rpartition(".")
        if layer in _FORMER and ".attentions." in name:
            name, value = f"{parent}.{_FORMER[layer]}.{kind}", value.flatten(1) if value.ndim == 4 else value
        found[name] = value
    return found


def _described(state: State) -> str:
    """Say which network a file seems to hold."""
    for mark, network in _MARKS.items():
        if mark in state:
            return f"this is {network}"
    return f"this is another network ({', '.join(sorted(state)[:2])}, ...)"

"""From files to networks: names are mapped, and names and shapes must then all fit."""

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
"""The networks of stage 2."""

_PREFIXES: Mapping[Part, str] = {
    "unet": "model.diffusion_model.",
    "vae": "first_stage_model.",
    "text": "cond_stage_model.model.",
}
"""What names begin with in a Stable Diffusion of the original layout."""

FOLDERS: Mapping[Part, str] = {
    "unet": "unet/diffusion_pytorch_model.safetensors",
    "vae": "vae/diffusion_pytorch_model.safetensors",
    "text": "text_encoder/model.safetensors",
}
"""Where parts lie in a Stable Diffusion as diffusers keeps it."""

_FORMER = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""Names of the VAE's attention in files of former releases of diffusers."""

_MARKS = {
    "model.diffusion_model.out.2.weight": "a whole Stable Diffusion",
    "control_model.zero_convs.0.0.weight": "DiffBIR's old file of both stages",
    "zero_convs.0.0.weight": "a control branch",
    "input_blocks.0.0.weight": "a U-Net without control",
    "RRDB_trunk.0.RDB1.conv1.weight": "BSRNet",
    "m_head.0.weight": "SCUNet",
    "conv_first.1.weight": "SwinIR at an eighth of the resolution",
    "conv_first.weight": "another SwinIR or ESRGAN",
    "down_blocks.0.resnets.0.conv1.weight": "a network as diffusers keeps it",
}
"""A tensor by which a file is known; the first that is there."""

_CLEANER_MARKS: Mapping[CleanerKind, str] = {
    "swinir": "conv_first.1.weight",
    "bsrnet": "RRDB_trunk.0.RDB1.conv1.weight",
    "scunet": "m_head.0.weight",
}
_ACTING = 0.05  # spread, in place of the zeros that a control branch starts from


def built(part: Part, sizes: Sizes) -> Any:
    """Build a part of stage 2 for tensors that are yet to come; its numbers mean nothing."""
    if part == "text":  # keeps positions in a buffer that no file has
        return networks.text(sizes).eval()
    with torch.device("meta"):
        network = BUILDERS[part](sizes)
    return network.to_empty(device="cpu").eval()


def filled(part: Part, sizes: Sizes, state: State, path: Path = Path("-")) -> Any:
    """Build a part of stage 2 and give it tensors under the libraries' names.

    Raises:
        RestorebenchError: names, shapes or types differ.
    """
    network = built(part, sizes)
    if part == "text":  # whether names begin so has changed between releases, of files and of the library
        plain = {name.removeprefix("text_model."): value for name, value in state.items()}
        prefix = "text_model." if all(name.startswith("text_model.") for name in network.state_dict()) else ""
        state = {prefix + name: value for name, value in plain.items() if not name.endswith("position_ids")}
    weights.load(network, state, path, "expected: Stable Diffusion 2.1 and what was trained on it")
    return network


def control(path: Path, sizes: Sizes | None = None) -> Any:
    """Build the control branch of a file.

    Raises:
        MissingResource: there is no such file.
        RestorebenchError: it is broken, or of something else.
    """
    state = read(path)
    if "zero_convs.0.0.weight" not in state:
        raise RestorebenchError(f"weights {path}: {_what(state)}; expected: a control branch, such as v2.pth")
    first = state.get("input_blocks.0.0.weight")
    if first is None or first.ndim != 4 or first.shape[1] != 2 * networks.LATENT:
        raise RestorebenchError(
            f"weights {path}: a control branch that sees no latent of an image; expected: DiffBIR's, whose first "
            f"convolution takes {2 * networks.LATENT} channels"
        )
    return filled("control", sizes or Sizes(), _renamed("control", state, path), path)


def stable_diffusion(path: Path, sizes: Sizes | None = None) -> dict[Part, Any]:
    """Build the U-Net, the VAE and the text tower of a folder (as diffusers keeps it) or a file (original layout).

    Raises:
        MissingResource: there is no such folder or file, or a part of it is missing.
        RestorebenchError: a file is broken, or of something else.
    """
    if path.is_dir():
        return parts_of({part: path / name for part, name in FOLDERS.items()}, sizes)
    state = read(path)
    found: dict[Part, Any] = {}
    for part, prefix in _PREFIXES.items():
        own = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        if not own:
            raise RestorebenchError(
                f"weights {path}: {_what(state)}, without {prefix}*; expected: Stable Diffusion 2.1, whole"
            )
        found[part] = filled(part, sizes or Sizes(), _renamed(part, own, path), path)
    return found


def parts_of(paths: Mapping[Part, Path], sizes: Sizes | None = None) -> dict[Part, Any]:
    """Build the parts of a Stable Diffusion from a file each, under the names of diffusers and transformers.

    Raises:
        MissingResource: there is no such file.
        RestorebenchError: one is broken, or of something else.
    """
    return {part: filled(part, sizes or Sizes(), _modern(read(path)), path) for part, path in paths.items()}


def cleaner(kind: CleanerKind, path: Path) -> nn.Module:
    """Build a stage-1 network of a file.

    Raises:
        MissingResource: there is no such file.
        RestorebenchError: it is broken, or another network's.
    """
    state = read(path)
    if _CLEANER_MARKS[kind] not in state:
        raise RestorebenchError(
            f"weights {path}: {_what(state)}; this version and task take {_MARKS[_CLEANER_MARKS[kind]]}"
        )
    network = stage1.BUILDERS[kind]()
    weights.load(network, state, path)
    return network.eval()


def untrained(build: Callable[[], Network]) -> Network:
    """Build a random network, the same every time, in which what starts at zero acts."""
    with drawn_from(), torch.no_grad():
        network = build().eval()
        for value in network.parameters():
            if not value.any():
                value.normal_(std=_ACTING)
    return network


def read(path: Path) -> dict[str, Tensor]:
    """Read named tensors, and say how to convert a file that holds more than those.

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
        where = path.with_suffix(".safetensors").name
        raise RestorebenchError(
            f"{error}; take its tensors out once, without running its code: "
            f"python -m restorebench_diffbir.convert {path} {where}, and name that file in the options"
        ) from error


def _renamed(part: Part, state: State, path: Path) -> dict[str, Tensor]:
    try:
        return dict(key_map.mapped(part, state))
    except KeyError as error:
        raise RestorebenchError(
            f"weights {path}: {error.args[0]} belongs to no {part} of Stable Diffusion 2.1; is it another version?"
        ) from error


def _modern(state: State) -> dict[str, Tensor]:
    """Bring the VAE's attention to the names and the shapes of today."""
    found = {}
    for name, value in state.items():
        before, _, kind = name.rpartition(".")
        place, _, last = before.rpartition(".")
        if last in _FORMER and ".attentions." in name:
            name, value = f"{place}.{_FORMER[last]}.{kind}", value.flatten(1) if value.ndim == 4 else value
        found[name] = value
    return found


def _what(state: State) -> str:
    """Say what a file seems to be."""
    for mark, what in _MARKS.items():
        if mark in state:
            return f"this is {what}"
    return f"this is another network's ({', '.join(sorted(state)[:2])}, ...)"

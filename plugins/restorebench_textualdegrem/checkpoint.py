"""Building networks from files. Sizes are read from the tensors; then all names and shapes must match."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from restorebench import RestorebenchError
from restorebench.toolbox import weights
from restorebench_textualdegrem.cross_attention import divided
from restorebench_textualdegrem.nafnet import GuidedNAFNet, NAFNetSizes
from restorebench_textualdegrem.promptir import GuidedPromptIR, PromptedSizes, PromptSizes
from restorebench_textualdegrem.restormer import GuidedRestormer, Sizes
from restorebench_textualdegrem.words import CleanMapper, Mapper

State = Mapping[str, Tensor]
Network = TypeVar("Network", bound=nn.Module)

_ONE = (1, 1, 1, 1)
TINY = Sizes(8, _ONE, 1, (1, 1, 2, 4), _ONE, _ONE)
TINY_PROMPTED = PromptedSizes(TINY, PromptSizes((8, 8, 8), (8, 4, 2), 2, 8))
TINY_NAFNET = NAFNetSizes(4, _ONE, 1, _ONE, (*_ONE, 1), (*_ONE, 1))
_SEED = 0
_NONZERO = 0.1  # replaces the zeros that a network starts with, at which guidance has no effect

_MARKS = {
    "textual-nafnet": "intro.weight",
    "textual-promptir": "prompt1.prompt_param",
    "textual-restormer": "patch_embed.proj.weight",  # last, because PromptIR has it too
}
"""The tensor that identifies a file, by the restorer that takes the file."""

_GUIDED = "masa_enc.conv_L1.weight"


def restormer(choice: str | Path) -> GuidedRestormer:
    """Build a guided Restormer from a file, or an untrained tiny one.

    Raises:
        RestorebenchError: the file is missing or broken, or holds something else.
    """
    if not isinstance(choice, Path):
        return untrained(lambda: GuidedRestormer(TINY))
    state = _read(choice, "textual-restormer")
    return _filled(GuidedRestormer(_sizes(state, choice)), state, choice)


def promptir(choice: str | Path) -> GuidedPromptIR:
    """Build a guided PromptIR from a file, or an untrained tiny one.

    Raises:
        RestorebenchError: the file is missing or broken, or holds something else.
    """
    if not isinstance(choice, Path):
        return untrained(lambda: GuidedPromptIR(TINY_PROMPTED))
    state = _read(choice, "textual-promptir")
    params = [_of(state, f"prompt{level}.prompt_param", 5, choice) for level in (1, 2, 3)]
    spare = len(_of(state, "chnl_reduce3.weight", 4, choice))
    first, second, third = (tuple(each.shape) for each in params)
    channels, sides = (first[2], second[2], third[2]), (first[3], second[3], third[3])
    prompts = PromptSizes(channels, sides, first[1], spare)
    return _filled(GuidedPromptIR(PromptedSizes(_sizes(state, choice), prompts)), state, choice)


def nafnet(choice: str | Path) -> GuidedNAFNet:
    """Build a guided NAFNet from a file, or an untrained tiny one.

    Raises:
        RestorebenchError: the file is missing or broken, or holds something else.
    """
    if not isinstance(choice, Path):
        return untrained(lambda: GuidedNAFNet(TINY_NAFNET))
    state = _read(choice, "textual-nafnet")
    sizes = NAFNetSizes(
        len(_of(state, "intro.weight", 4, choice)),
        tuple(_count(state, rf"encoders\.{level}") for level in range(4)),
        _count(state, "middle_blks"),
        tuple(_count(state, rf"decoders\.{level}") for level in range(4)),
        tuple(_count(state, rf"masa_enc\.blk_L{level}") for level in range(1, 6)),
        (
            *(_count(state, rf"masa_blk_enc\.{level}") for level in range(4)),
            _count(state, r"masa_blk_middle\.0"),
        ),
    )
    return _filled(GuidedNAFNet(sizes), state, choice)


def mapper(path: Path) -> tuple[Mapper, dict[str, Tensor]]:
    """Build the Mapper from a file, and return the projections of cross-attention that the file also holds.

    Raises:
        RestorebenchError: the file is missing or broken, or holds something else.
    """
    words, projections = divided(_read_words(path, "Mapper"))
    if not any(name.startswith("mapping_patch_") for name in words):
        raise RestorebenchError(
            f"weights {path}: this is a CleanMapper, because it has no mapping_patch_0; expected: a Mapper"
        )
    first, last = (_of(words, f"mapping_0.{layer}.weight", 2, path) for layer in (0, 9))
    network = Mapper(_words(words), first.shape[1], first.shape[0], last.shape[0])
    return _filled(network, words, path), projections


def clean_mapper(path: Path) -> CleanMapper:
    """Build the CleanMapper from a file.

    Raises:
        RestorebenchError: the file is missing or broken, or holds something else.
    """
    state = _read_words(path, "CleanMapper")
    if any(name.startswith("mapping_patch_") for name in state):
        raise RestorebenchError(f"weights {path}: this is a Mapper; expected: a CleanMapper")
    first = _of(state, "mapping_0.0.weight", 2, path)
    return _filled(CleanMapper(_words(state), first.shape[1], first.shape[0]), state, path)


def untrained(build: Callable[[], Network]) -> Network:
    """Build a network with random weights, the same every time, in which guidance has an effect."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(_SEED)
        network = build().eval()
        for name, value in network.named_parameters():
            if name.rpartition(".")[2] in ("alpha", "beta", "gamma"):
                value.fill_(_NONZERO)
    return network


def _read(path: Path, card: str) -> dict[str, Tensor]:
    """Read a file; if it is for another restorer, the error names that one.

    Raises:
        MissingResource: there is no such file.
        RestorebenchError: it is broken, or holds another network.
    """
    expected = f"expected: the state dictionary of a guided network for {card}"
    state = _read_as(path, expected)
    found = next((name for name, mark in _MARKS.items() if mark in state), None)
    if found is None:
        known = ", ".join(sorted(state)[:3])
        raise RestorebenchError(f"weights {path}: this is another network ({known}, ...); {expected}")
    if _GUIDED not in state:
        raise RestorebenchError(f"weights {path}: this network has no guidance (no {_GUIDED}); {expected}")
    if found != card:
        raise RestorebenchError(
            f"weights {path}: they are for {found}, not for {card}; use that restorer for them"
        )
    return state


def _read_words(path: Path, which: str) -> dict[str, Tensor]:
    """Read the file of a mapper.

    Raises:
        MissingResource: there is no such file.
        RestorebenchError: it is broken, or holds no mapper.
    """
    stage = "mapper" if which == "Mapper" else "clean-mapper"
    expected = f"expected: a {which}'s state dictionary, as `restorebench_textualdegrem.train {stage}` writes it"
    state = _read_as(path, expected)
    if "mapping_0.0.weight" not in state:
        known = ", ".join(sorted(state)[:3])
        raise RestorebenchError(f"weights {path}: this is no mapper ({known}, ...); {expected}")
    return state


def _read_as(path: Path, expected: str) -> dict[str, Tensor]:
    """Read a file; errors also say what was expected."""
    try:
        return weights.read(path)
    except RestorebenchError as error:
        raise type(error)(f"{error}; {expected}") from error


def _sizes(state: State, path: Path) -> Sizes:
    """Read the sizes of the part that Restormer and PromptIR share."""
    levels = ("encoder_level1", "encoder_level2", "encoder_level3", "latent")
    first = _of(state, "patch_embed.proj.weight", 4, path)
    if first.shape[1] != 3:
        raise RestorebenchError(
            f"weights {path}: for images of {first.shape[1]} channels, such as both views of a dual-pixel camera; "
            "images here have 3"
        )
    one, two, three, four = (_count(state, level) for level in levels)
    heads = [len(_of(state, f"{level}.0.attn.temperature", 3, path)) for level in levels]
    pyramid = [_count(state, rf"masa_enc\.blk_L{level}") for level in (1, 2, 3, 4)]
    fusion = [_count(state, f"masa_blk_enc_level{level}") for level in (1, 2, 3, 4)]
    return Sizes(
        len(first),
        (one, two, three, four),
        _count(state, "refinement"),
        (heads[0], heads[1], heads[2], heads[3]),
        (pyramid[0], pyramid[1], pyramid[2], pyramid[3]),
        (fusion[0], fusion[1], fusion[2], fusion[3]),
        centred="encoder_level1.0.norm1.body.bias" in state,
    )


def _of(state: State, name: str, axes: int, path: Path) -> Tensor:
    """Return a tensor that sizes are read from.

    Raises:
        RestorebenchError: it is missing, or has another number of axes.
    """
    found = state.get(name)
    if found is None or found.ndim != axes:
        problem = "is missing" if found is None else f"is {list(found.shape)}, not of {axes} axes"
        raise RestorebenchError(
            f"weights {path}: {name} {problem}; the file is incomplete, or holds another network"
        )
    return found


def _count(state: State, prefix: str) -> int:
    """Count the different numbers that follow a prefix (a regular expression) in names."""
    return len({match[1] for name in state if (match := re.match(rf"{prefix}\.(\d+)\.", name))})


def _words(state: State) -> int:
    """Count the words of a mapper."""
    return len({match[1] for name in state if (match := re.match(r"mapping_(\d+)\.", name))})


def _filled(network: Network, state: State, path: Path) -> Network:
    weights.load(network, state, path)
    return network.eval()

"""Pack the weights of a training run for others: `python -m restorebench.training.packing RUN OUT.safetensors`.

It writes the tensors with their notes, and prints the lines of a model card about the training.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from restorebench.contract.errors import MissingResource, RestorebenchError, RunFolderError
from restorebench.toolbox import photographs, weights
from restorebench.toolbox.files import file_digest, replaced
from restorebench.training.keeping import CHECKPOINT, HISTORY, logged, writing

_ROWS = 12


def pack(source: Path, target: Path, half: bool) -> int:
    """Write a file of weights to a .safetensors file, and return how many numbers it holds.

    A tensor that the source holds under two names is kept under the first. half: store floating-point tensors as
    float16.

    Raises:
        RestorebenchError: the source holds no weights, one is not finite or too large for float16, or the target
            has another suffix.
        RunFolderError: the target cannot be written.
    """
    if target.suffix != ".safetensors":  # `weights.read` decides by the suffix
        raise RestorebenchError(f"{target}: packed weights are .safetensors; name the file so")
    kept: dict[str, Tensor] = {}
    seen: set[tuple[int, torch.Size]] = set()
    for name, value in sorted(weights.read(source).items()):
        identity = (value.data_ptr(), value.shape)
        if identity in seen:
            continue
        seen.add(identity)
        stored = value.half() if half and value.is_floating_point() else value
        if not torch.isfinite(value).all():
            raise RestorebenchError(f"{source}: {name} holds NaN or infinity; its training went wrong")
        if not torch.isfinite(stored).all():
            raise RestorebenchError(f"{source}: {name} does not fit float16; pack it without --half")
        kept[name] = stored.contiguous()
    notes = {"notes": json.dumps(dict(weights.notes(source)))}
    with writing(target), replaced(target) as temporary:
        try:
            save_file(kept, temporary, metadata=notes)
        except SafetensorError as error:  # its error if the folder is missing or the disk is full
            raise OSError(str(error)) from error
    return sum(value.numel() for value in kept.values())


def card(run: Path) -> Iterator[str]:
    """Yield the lines of a model card about a run: its length, configuration, photographs and curves.

    Raises:
        MissingResource: the folder holds no run.
        RunFolderError: its checkpoint is damaged, or is not a training's.
    """
    for path in (run / CHECKPOINT, run / HISTORY):
        if not path.is_file():
            raise MissingResource(f"{path}: no such file; name the output folder of a training")
    iteration, options = _read(run / CHECKPOINT)
    yield f"* iterations: {iteration}; seed: {options['seed']}"
    if (clean := options["data"]["clean"]) is not None:
        found = photographs.listed(clean, options["data"]["limit"])
        yield f"* photographs: {len(found)}; sha256 over their sorted digests: {photographs.digest(found)}"
    yield f"* configuration: {json.dumps(_shown(options), sort_keys=True)}"
    entries = [json.loads(line) for line in logged(run / HISTORY, iteration)]
    yield ""
    yield from _curve([entry for entry in entries if "loss" in entry])
    yield ""
    yield from _table([entry for entry in entries if "loss" not in entry])


def _read(checkpoint: Path) -> tuple[int, dict[str, Any]]:
    """Read the iteration and the options of a run."""
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        return int(state["iteration"]), json.loads(state["options"])
    except Exception as error:  # damaged files make torch raise errors of many types
        raise RunFolderError(
            f"{checkpoint}: not a checkpoint of a training ({type(error).__name__}); name the output folder of one"
        ) from error


def _shown(options: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out empty options; keep the last two parts of paths, as the rest is only valid on this machine."""
    shown: dict[str, Any] = {}
    for name, value in options.items():
        if isinstance(value, dict):
            shown[name] = _shown(value)
        elif isinstance(value, str) and Path(value).is_absolute():
            shown[name] = str(Path(*Path(value).parts[-2:]))
        elif value is not None:
            shown[name] = value
    return shown


def _curve(entries: Sequence[Mapping[str, float]]) -> Iterator[str]:
    """Yield a table of the logged numbers, averaged over equal stretches of the run."""
    length = max(len(entries) // _ROWS, 1)
    stretches = [entries[start : start + length] for start in range(0, len(entries), length)]
    means: list[dict[str, Any]] = []
    for stretch in stretches:
        names = [name for name in stretch[-1] if name != "iteration"]
        values = {name: sum(entry.get(name, 0.0) for entry in stretch) / len(stretch) for name in names}
        means.append({"iteration": stretch[-1]["iteration"], **values})
    yield from _table(means)


def _table(entries: Sequence[Mapping[str, float]]) -> Iterator[str]:
    if not entries:
        return
    names = list(dict.fromkeys(name for entry in entries for name in entry))
    yield "| " + " | ".join(names) + " |"
    yield "|" + "---|" * len(names)
    for entry in entries:
        yield "| " + " | ".join(f"{entry[name]:.6g}" if name in entry else "" for name in names) + " |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Pack a run's weights, the averaged ones if there are any, and print lines for its card."""
    parser = argparse.ArgumentParser(prog="python -m restorebench.training.packing", description=__doc__)
    parser.add_argument("run", type=Path, help="output folder of a training")
    parser.add_argument("target", type=Path, help="file to write, .safetensors")
    parser.add_argument("--half", action="store_true", help="store float16")
    given = parser.parse_args(arguments)
    averaged = given.run / "weights_average.pth"
    try:
        lines = list(card(given.run))
        source = averaged if averaged.is_file() else given.run / "weights.pth"
        count = pack(source, given.target, given.half)
    except RestorebenchError as error:
        sys.exit(f"error: {error}")
    size = given.target.stat().st_size
    numbers = f"{count:,} number{'s' * (count != 1)}"
    print(f"* {given.target.name}: {numbers}, {size:,} bytes, sha256 {file_digest(given.target)}")
    print("\n".join(lines))


if __name__ == "__main__":
    main()

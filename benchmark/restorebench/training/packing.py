"""Pack what a training run left for others to use: `python -m restorebench.training.packing RUN OUT.safetensors`.

It writes the tensors with their notes, and prints what a model card has to say of how they came about.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from restorebench.errors import MissingResource, RestorebenchError
from restorebench.toolbox import photographs, weights
from restorebench.toolbox.files import file_digest, replaced
from restorebench.training.keeping import CHECKPOINT, HISTORY

_ROWS = 12


def pack(source: Path, target: Path, half: bool) -> int:
    """Write a file of weights as .safetensors and return how many numbers it holds.

    Tensors that a file has under two names are kept under the first. half: floating ones as float16.

    Raises:
        RestorebenchError: the source holds no weights, or one of them is too large for float16.
    """
    kept: dict[str, Tensor] = {}
    seen: set[tuple[int, torch.Size]] = set()
    for name, value in sorted(weights.read(source).items()):
        place = (value.data_ptr(), value.shape)
        if place in seen:
            continue
        seen.add(place)
        stored = value.half() if half and value.is_floating_point() else value
        if not torch.isfinite(stored).all():
            raise RestorebenchError(f"{source}: {name} does not fit float16; pack it without --half")
        kept[name] = stored.contiguous()
    with replaced(target) as temporary:
        save_file(kept, temporary, metadata={"notes": json.dumps(dict(weights.notes(source)))})
    return sum(value.numel() for value in kept.values())


def card(run: Path) -> Iterator[str]:
    """Yield the lines of a model card on a run: its length, configuration, photographs and curves.

    Raises:
        MissingResource: the folder holds no run.
        RestorebenchError: its files are broken, or of something else.
    """
    path = run / CHECKPOINT
    if not path.is_file():
        raise MissingResource(f"{path}: no such file; name the output folder of a training")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        options = json.loads(state["options"])
        entries = [json.loads(line) for line in (run / HISTORY).read_text().splitlines()]
    except Exception as error:  # what damaged files raise in torch has no common type
        said = (str(error).splitlines() or [""])[0].partition(". ")[0]
        raise RestorebenchError(
            f"{run}: is not the output of a training ({type(error).__name__}: {said})"
        ) from error
    yield f"* iterations: {state['iteration']}; seed: {options['seed']}"
    if (clean := options["data"]["clean"]) is not None:
        found = photographs.listed(clean, options["data"]["limit"])
        yield f"* photographs: {len(found)}; sha256 over their sorted digests: {photographs.digest(found)}"
    yield f"* configuration: {json.dumps(_told(options), sort_keys=True)}"
    yield ""
    yield from _curve([entry for entry in entries if "loss" in entry])
    yield ""
    yield from _table([entry for entry in entries if "loss" not in entry])


def _told(options: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what was not given; of paths, which are another machine's, keep the last two parts."""
    told: dict[str, Any] = {}
    for name, value in options.items():
        if isinstance(value, dict):
            told[name] = _told(value)
        elif isinstance(value, str) and Path(value).is_absolute():
            told[name] = str(Path(*Path(value).parts[-2:]))
        elif value is not None:
            told[name] = value
    return told


def _curve(entries: Sequence[Mapping[str, float]]) -> Iterator[str]:
    """Average what was logged over equal stretches of the run."""
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
    """Pack a run's weights, the averaged ones where there are any, and print lines for its card."""
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
    print(f"* {given.target.name}: {count:,} parameters, {size:,} bytes, sha256 {file_digest(given.target)}")
    print("\n".join(lines))


if __name__ == "__main__":
    main()

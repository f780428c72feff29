"""Measure typical degradation features: `python -m restorebench_daclip.train.typical FILE --clean DIR`.

FILE is a controller without language; the features are added to it. A restorer with the option `contexts: told`
uses them like the features of texts that a controller with language computes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from restorebench import CLEAN, TEN, RestorebenchError
from restorebench.toolbox import images
from restorebench.toolbox.files import replaced
from restorebench.toolbox.seeding import generator
from restorebench.training import sources
from restorebench.training.config import Data
from restorebench_daclip import checkpoint
from restorebench_daclip.controller import Controller
from restorebench_daclip.tower import Tower
from restorebench_daclip.train.controller import published


def measure(controller: Controller, clean: Path, count: int, seed: int) -> Tensor:
    """Return a feature per word, (words, D): the mean direction and mean length of degraded photographs' features.

    count: number of photographs per word, each at a severity of its own. The features have different directions,
    so their plain mean is up to a quarter shorter than they are, and a U-Net takes short features for weak
    degradations.

    Raises:
        RestorebenchError: there are no photographs, or a word is neither the prompt of a task nor `clean`.
    """
    names = {task.prompt: task.name for task in TEN}
    words = controller.words or ()
    if unknown := [word for word in words if word != CLEAN and word not in names]:
        raise RestorebenchError(f"no task has the prompt {unknown[0]!r}, so no image can be degraded that way")
    source = sources.source(Data(clean=clean, tasks=tuple(names[word] for word in words if word != CLEAN)))
    rows = []
    for word in words:
        task_index = 0 if word == CLEAN else source.tasks.index(names[word])
        pairs = (source.pair(task_index, generator(seed, "typical", word, number)) for number in range(count))
        shown = (pair.clean if word == CLEAN else pair.degraded for pair in pairs)
        with torch.no_grad():
            seen = [controller.encode_image(controller.seen(images.to_tensor([image]))) for image in shown]
        features = torch.cat([each.degradation for each in seen])
        mean = features.mean(dim=0)
        rows.append(mean * (features.norm(dim=1).mean() / mean.norm()))
    return torch.stack(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the features, and add them to the file."""
    parser = argparse.ArgumentParser(prog="python -m restorebench_daclip.train.typical", description=__doc__)
    parser.add_argument("file", type=Path, help="weights.pth or weights_average.pth of stage one")
    parser.add_argument("--clean", type=Path, required=True, help="folder of the training photographs")
    parser.add_argument("--count", type=int, default=100, help="photographs per word")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    if given.count < 1:
        parser.error("--count must be at least 1")
    try:
        # the output is a torch file, which cannot be read under a name of safetensors
        if given.file.suffix == ".safetensors":
            raise RestorebenchError(
                f"{given.file}: packed already; run this on the weights.pth or weights_average.pth that it was"
                " packed from, then pack that again"
            )
        controller = checkpoint.controller_of(given.file)
        if not isinstance(controller.clip, Tower):
            raise RestorebenchError(f"{given.file}: this controller has language, and needs no typical features")
        controller.clip.typical = measure(controller, given.clean, given.count, given.seed)
        with replaced(given.file) as temporary:
            torch.save(published(controller), temporary)
    except OSError as error:
        sys.exit(f"error: {given.file}: {error.strerror or error}")
    except RestorebenchError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()

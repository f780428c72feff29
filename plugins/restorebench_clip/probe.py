"""Fit a linear probe: `python -m restorebench_clip.probe FOLDER --output FILE`.

FOLDER holds a folder of images per class, named after a task or `clean`. A few examples are enough to see how well
CLIP's features separate the classes. All classes have the same weight, whatever their number of images.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from pydantic import ValidationError

from restorebench import CLEAN, MissingResource, RestorebenchError, Runtime, Task, UnknownName, discover, nearest
from restorebench.toolbox import images, linear, photographs
from restorebench.toolbox.counts import counted
from restorebench.toolbox.places import cache_folder, offline
from restorebench_clip.backbone import ClipBackbone
from restorebench_clip.options import Backbone

RIDGE = 1e-4


def classes_of(folder: Path, tasks: Sequence[Task]) -> list[str]:
    """List the classes, one per subfolder; hidden subfolders do not count.

    Raises:
        RestorebenchError: there are fewer than two.
        UnknownName: a subfolder does not have the name of a task.
    """
    if not folder.is_dir():
        raise MissingResource(f"{folder}: no such folder")
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(names) < 2:
        raise RestorebenchError(
            f"{folder} holds {counted(len(names), 'folder')}; a probe needs one per class, at least two"
        )
    known = [*(task.name for task in tasks), CLEAN]
    if unknown := [name for name in names if name not in known]:
        near = nearest(unknown[0], known)
        raise UnknownName(f"{folder}: no task is called {', '.join(unknown)}{near}; rename or move it")
    return names


def described(
    folder: Path, names: Sequence[str], backbone: ClipBackbone, limit: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the features (N, D) and class numbers (N,) of the images in a folder's subfolders."""
    found = [
        (number, path) for number, name in enumerate(names) for path in photographs.listed(folder / name, limit)
    ]
    rows = [backbone.images(images.to_tensor([images.read(path)]))[0].cpu().double().numpy() for _, path in found]
    return np.array(rows), np.array([number for number, _ in found])


def main(arguments: Sequence[str] | None = None) -> None:
    """Compute features, fit and store a probe, and print how many of its own examples it gets right."""
    parser = argparse.ArgumentParser(prog="python -m restorebench_clip.probe", description=(__doc__ or "")[:60])
    parser.add_argument("folder", type=Path, help="one folder per task, and perhaps `clean`, with images")
    parser.add_argument("--output", type=Path, required=True, help="file of coefficients to write, .npz")
    parser.add_argument("--model", default="ViT-B-32")
    parser.add_argument("--pretrained", default="laion2b_s34b_b79k", help="tag of open_clip")
    parser.add_argument("--weights", help="a file of weights in place of the tag's download")
    parser.add_argument("--crop", choices=("center", "whole"), default="center")
    parser.add_argument("--limit", type=int, help="few-shot: use only the first N images per class")
    parser.add_argument("--cache", type=Path, default=cache_folder(), help="folder for downloads (%(default)s)")
    given = parser.parse_args(arguments)
    try:
        if given.output.is_dir() or not given.output.absolute().parent.is_dir():
            raise MissingResource(f"--output {given.output}: give a file in a folder that exists")
        right, images_of = _fitted(given)
    except (RestorebenchError, ValidationError, OSError) as error:
        parser.error(str(error).splitlines()[0])
    print(f"{images_of}; {100 * right:.1f} % of them right; {given.output}")


def _fitted(given: argparse.Namespace) -> tuple[float, str]:
    """Fit and store a probe; return the share of right answers on its examples, and a text with their number."""
    tasks = discover().tasks
    names = classes_of(given.folder, tasks)
    options = Backbone(model=given.model, pretrained=given.pretrained, weights=given.weights, crop=given.crop)
    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    runtime = Runtime(device, 1, given.cache, MappingProxyType({}), offline(), tasks, lambda kind, name: None)
    backbone = ClipBackbone(options, runtime)
    rows, classes = described(given.folder, names, backbone, given.limit)
    model = linear.fit(rows, classes, names, RIDGE, 1 / np.bincount(classes)[classes])
    replace(model, about=backbone.identity()).save(given.output)
    right = float((model.probabilities(rows).argmax(1) == classes).mean())
    return right, f"{counted(len(rows), 'image')} of {counted(len(names), 'class', 'classes')}"


if __name__ == "__main__":
    main()

"""Fit a linear probe: `python -m restorebench_clip.probe FOLDER --output FILE`.

FOLDER holds a folder of images per class: a task's name, or `clean`. Few examples are enough to see what CLIP's
features know. Classes weigh the same however many images they have.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from pydantic import ValidationError

from restorebench import TEN, RestorebenchError, Runtime
from restorebench.toolbox import images, linear, photographs
from restorebench_clip.backbone import ClipBackbone
from restorebench_clip.options import Backbone

RIDGE = 1e-4


def described(folder: Path, backbone: ClipBackbone, limit: int | None) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return features (N, D), class numbers (N,) and class names of a folder of folders."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    if len(names) < 2:
        raise RestorebenchError(f"{folder} holds {len(names)} folders; a probe needs one per class, two at least")
    rows, classes = [], []
    for number, name in enumerate(names):
        for path in photographs.listed(folder / name, limit):
            image = images.to_tensor([images.read(path)])
            rows.append(backbone.images(image)[0].cpu().double().numpy())
            classes.append(number)
    return np.array(rows), np.array(classes), names


def main(arguments: Sequence[str] | None = None) -> None:
    """Describe, fit, store and print how many of its own examples the probe gets right."""
    parser = argparse.ArgumentParser(prog="python -m restorebench_clip.probe", description=(__doc__ or "")[:60])
    parser.add_argument("folder", type=Path, help="one folder per task, and perhaps `clean`, with images")
    parser.add_argument("--output", type=Path, required=True, help="file of coefficients to write, .npz")
    parser.add_argument("--model", default="ViT-B-32")
    parser.add_argument("--pretrained", default="laion2b_s34b_b79k", help="tag of open_clip")
    parser.add_argument("--weights", help="a file of weights in place of the tag's download")
    parser.add_argument("--crop", choices=("center", "whole"), default="center")
    parser.add_argument("--limit", type=int, help="few-shot: use only so many images per class")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "restorebench")
    given = parser.parse_args(arguments)
    if not given.folder.is_dir():
        parser.error(f"{given.folder}: no such folder")
    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    runtime = Runtime(device, 1, given.cache, MappingProxyType({}), False, TEN, lambda kind, name: None)
    try:
        options = Backbone(model=given.model, pretrained=given.pretrained, weights=given.weights, crop=given.crop)
        rows, classes, names = described(given.folder, ClipBackbone(options, runtime), given.limit)
    except (RestorebenchError, ValidationError) as error:
        parser.error(str(error).splitlines()[0])
    counts = np.bincount(classes)
    model = linear.fit(rows, classes, names, RIDGE, 1 / counts[classes])
    model.save(given.output)
    right = float((model.probabilities(rows).argmax(1) == classes).mean())
    print(f"{len(rows)} images of {len(names)} classes; {100 * right:.1f} % of them right; {given.output}")


if __name__ == "__main__":
    main()

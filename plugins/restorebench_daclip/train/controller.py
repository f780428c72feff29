"""Stage one: the controller learns to name degradations and to see the clean image behind them."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset

from restorebench import TEN, RestorebenchError, UnknownName
from restorebench.toolbox import images, weights
from restorebench.toolbox.clip_images import for_clip
from restorebench.toolbox.seeding import generator
from restorebench.training import data, sources
from restorebench_daclip import losses, networks
from restorebench_daclip.controller import Controller
from restorebench_daclip.options import UNTRAINED
from restorebench_daclip.train.config import ControllerTraining

SCALES = (0.0, math.log(100))
"""Where the logarithm of the scale is kept."""
_SEPARATOR = ": "
_ASPECT = math.log(4 / 3)


class ControllerStage:
    """Contrastive content loss where there are captions, plus the degradation loss; CLIP stays as it is."""

    def __init__(self, options: ControllerTraining, cache: Path) -> None:
        self.options = options
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)
            controller = self._started()
        controller.freeze()
        self.module: nn.Module = _Features(controller)
        self.controller = controller
        self.source, self.validation = sources.opened(options)
        words = {task.name: task.prompt for task in TEN}
        self.prompts = [words.get(task, task) for task in self.source.tasks]
        self.captions = None if options.captions is None else read_captions(options.captions)
        if self.captions is not None:
            lacking = [name for name in self.source.names() if name not in self.captions]
            if lacking:
                raise RestorebenchError(
                    f"captions {options.captions}: none for {lacking[0]} and {len(lacking) - 1} more;"
                    " `restorebench_daclip.captions` writes them"
                )
        with torch.no_grad():
            self.texts = F.normalize(controller.encode_text(self.prompts), dim=-1)

    def _started(self) -> Controller:
        """Load the CLIP and copy its visual tower; all links are zero."""
        options = self.options
        if options.pretrained == UNTRAINED:
            controller = Controller.of(networks.TINY_CONTROLLER)
        else:
            assert isinstance(options.pretrained, Path)  # the only other kind
            if options.model not in open_clip.list_models():
                near = get_close_matches(options.model, open_clip.list_models(), cutoff=0)
                raise UnknownName(f"model: open_clip knows no {options.model!r}; nearest: {', '.join(near)}")
            clip = open_clip.create_model(options.model, load_weights=False)
            state = weights.read(options.pretrained)
            weights.load(clip, state, options.pretrained, f"are these weights of {options.model}?")
            controller = Controller(clip)
        controller.copy_tower(options.upstream_init)
        return controller

    def batches(self, first: int, rank: int, world: int) -> Iterator[dict[str, Any]]:
        """Yield views from batch number `first` on."""
        options = self.options
        views: Dataset[dict[str, Any]] = _Views(
            data.Pairs(self.source, options), self.controller.image_size, options.minimum_crop, self.captions
        )
        return data.batches(views, options.batch_size, first, rank, world, options.workers)

    def loss(
        self, module: nn.Module, batch: Mapping[str, Any], device: torch.device
    ) -> tuple[Tensor, dict[str, float]]:
        """Sum the content term, where there are captions, and the degradation term."""
        content, degradation, scale = module(batch["view"].to(device))
        texts, tasks = self.texts.to(device), batch["task"].to(device)
        if self.options.loss == "supervised":
            found = losses.supervised_loss(degradation, texts, tasks, scale)
        else:
            found = losses.contrastive_loss(degradation, texts[tasks], scale)
        right = float(((degradation @ texts.T).argmax(-1) == tasks).float().mean())
        numbers = {"degradation": float(found.detach()), "accuracy": right, "scale": float(scale.detach().exp())}
        if self.captions is not None:
            with torch.no_grad():
                captions = F.normalize(self.controller.encode_text(batch["caption"]), dim=-1)
            term = losses.contrastive_loss(content, captions, scale)
            numbers["content"] = float(term.detach())
            found = found + term
        return found, numbers

    def after_step(self) -> None:
        """Keep the scale within its bounds."""
        with torch.no_grad():
            self.controller.logit_scale.clamp_(*SCALES)

    def validate(self, module: nn.Module, folder: Path, device: torch.device) -> dict[str, float]:
        """Count how often the nearest word is the right one."""
        assert self.validation is not None  # only called with data
        right, size = [], self.controller.image_size
        places = [self.source.tasks.index(task) for task in self.validation.tasks]
        for pair in self.validation.validation(self.options.validation_images):
            with torch.no_grad():
                _, degradation, _ = module(for_clip(data.tensor(pair.degraded)[None].to(device), size))
            right.append(int((degradation @ self.texts.to(device).T).argmax()) == places[pair.task])
        return {"accuracy": sum(right) / len(right)}

    def published(self, module: nn.Module) -> dict[str, Any]:
        """Return the wrapped tensors, as published files of controllers hold them."""
        assert isinstance(module, _Features)  # what this stage trains, or its average
        return {"name": "daclip", "state_dict": dict(module.controller.state_dict())}


class _Features(nn.Module):
    """The controller as one call, which is what training on many devices needs."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self.controller = controller

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        content, degradation = self.controller.encode_image(images)
        scale = self.controller.logit_scale.clone()  # several processes cannot share a parameter that is an output
        return F.normalize(content, dim=-1), F.normalize(degradation, dim=-1), scale


class _Views(Dataset[dict[str, Any]]):
    """Degraded images as CLIP takes them, each after a random crop of most of it."""

    def __init__(self, pairs: data.Pairs, size: int, minimum: float, captions: Mapping[str, str] | None) -> None:
        self.pairs, self.size, self.minimum, self.captions = pairs, size, minimum, captions

    def __getitem__(self, number: int) -> dict[str, Any]:
        pair, rng = self.pairs[number], generator(self.pairs.seed, "sample", number)
        height, width = pair.degraded.shape[:2]
        part = np.ascontiguousarray(pair.degraded[crop_window(height, width, self.minimum, rng)])
        sample: dict[str, Any] = {"task": pair.task, "number": number}
        sample["view"] = for_clip(images.to_tensor([part]), self.size, "whole")[0]
        if self.captions is not None:
            sample["caption"] = self.captions[pair.name]
        return sample


def crop_window(height: int, width: int, minimum: float, rng: np.random.Generator) -> tuple[slice, slice]:
    """Draw rows and columns of a crop by torchvision's rule for RandomResizedCrop, as the published training does.

    It keeps a share of the area in [minimum, 1] at an aspect of 3/4 to 4/3; where ten draws do not fit, it is the
    largest centred crop of such an aspect.
    """
    for _ in range(10):
        area = height * width * rng.uniform(minimum, 1)
        aspect = math.exp(rng.uniform(-_ASPECT, _ASPECT))
        rows, columns = round(math.sqrt(area / aspect)), round(math.sqrt(area * aspect))
        if 0 < rows <= height and 0 < columns <= width:
            top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
            return slice(top, top + rows), slice(left, left + columns)
    rows, columns = min(height, round(width * 4 / 3)), min(width, round(height * 4 / 3))
    top, left = (height - rows) // 2, (width - columns) // 2
    return slice(top, top + rows), slice(left, left + columns)


def read_captions(path: Path) -> dict[str, str]:
    """Read a table of degraded files and captions: {`task/stem`: caption}.

    It is tab-separated with the columns filepath and title, `caption: degradation`, as published; the degradation
    is what follows the last colon.

    Raises:
        RestorebenchError: there is no such file, a line of it has no degradation, or two are of one image.
    """
    if not path.is_file():
        raise RestorebenchError(f"captions {path}: no such file")
    found: dict[str, str] = {}
    with path.open(newline="", encoding="utf-8-sig") as stream:
        for line, row in enumerate(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE), 2):
            caption, separator, degradation = (row.get("title") or "").rpartition(_SEPARATOR)
            if not separator or not row.get("filepath") or None in row:
                raise RestorebenchError(f"{path}:{line}: expected a filepath and `caption: degradation`")
            name = f"{degradation}/{Path(row['filepath']).stem}"
            if name in found:
                raise RestorebenchError(f"{path}:{line}: a second caption of {name}; keep one")
            found[name] = caption
    return found

"""Stage one: the controller learns to recognise degradations and to encode the clean image behind them."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset

from restorebench import CLEAN, TEN, RestorebenchError, UnknownName
from restorebench.toolbox import images, weights
from restorebench.toolbox.clip_images import for_clip
from restorebench.toolbox.networks import drawn_from
from restorebench.toolbox.seeding import generator
from restorebench.training import data, sources
from restorebench_daclip import checkpoint, losses
from restorebench_daclip.controller import Controller
from restorebench_daclip.options import UNTRAINED
from restorebench_daclip.train.config import TOWER, ControllerTraining

if TYPE_CHECKING:
    from restorebench import Image

SCALES = (0.0, math.log(100))
"""Bounds of the logarithm of the scale."""
_SEPARATOR = ": "
_ASPECT = math.log(4 / 3)


class ControllerStage:
    """Training of the controller of a frozen CLIP: a degradation loss, and a content loss if content is known."""

    def __init__(self, options: ControllerTraining, cache: Path) -> None:
        self.options = options
        with drawn_from(options.seed):
            controller = self._initial_controller()
        controller.freeze()
        self.controller = controller
        self.source, self.validation = sources.opened(options)
        prompts = {task.name: task.prompt for task in TEN}
        self.prompts = [prompts.get(task, task) for task in self.source.tasks]
        if options.data.clean_share:
            self.prompts.append(CLEAN)
        self.captions = None if options.captions is None else read_captions(options.captions)
        if self.captions is not None:
            missing = [name for name in self.source.names() if name not in self.captions]
            if missing:
                raise RestorebenchError(
                    f"captions {options.captions}: none for {missing[0]} and {len(missing) - 1} more;"
                    " `python -m restorebench_daclip.captions` writes them"
                )
        self.module: nn.Module = _Features(controller, self.prompts)

    def _initial_controller(self) -> Controller:
        """Load the CLIP or the tower, and copy its visual tower to the controller."""
        options = self.options
        if options.model == TOWER and isinstance(options.pretrained, Path):
            words = (*(task.prompt for task in TEN), CLEAN)
            controller = Controller(checkpoint.tower_of(options.pretrained, words))
        elif options.pretrained == UNTRAINED:
            controller = Controller.of(checkpoint.TINY_CONTROLLER)
        else:
            assert isinstance(options.pretrained, Path)  # it is a file or `untrained`
            if options.model not in open_clip.list_models():
                near = get_close_matches(options.model, open_clip.list_models(), cutoff=0)
                raise UnknownName(f"model: open_clip knows no {options.model!r}; nearest: {', '.join(near)}")
            clip = open_clip.create_model(options.model, load_weights=False)
            state = weights.read(options.pretrained)
            weights.load(clip, state, options.pretrained, f"are these weights of {options.model}?")
            controller = Controller(clip)
        controller.copy_tower(options.upstream_init)
        if options.crop == "native":
            controller.crop = "native"
        return controller

    def batches(self, first: int, rank: int, world: int) -> Iterator[dict[str, Any]]:
        """Yield batches of views, from batch number `first` on."""
        options = self.options
        views = _Views(data.Pairs(self.source, options), self.controller.image_size, options, self.captions)
        return data.batches(views, options.batch_size, first, rank, world, options.workers)

    def loss(
        self, module: nn.Module, batch: Mapping[str, Any], device: torch.device
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the degradation term, plus the content term if captions or clean images give the content."""
        content, degradation, texts, scale = module(batch["view"].to(device))
        tasks = batch["task"].to(device)
        if self.options.loss == "supervised":
            total = losses.supervised_loss(degradation, texts, tasks, scale)
        else:
            total = losses.contrastive_loss(degradation, texts[tasks], scale)
        accuracy = float(((degradation @ texts.T).argmax(-1) == tasks).float().mean())
        numbers = {
            "degradation": float(total.detach()),
            "accuracy": accuracy,
            "scale": float(scale.detach().exp()),
        }
        if self.captions is not None or self.options.clean_content:
            with torch.no_grad():
                if self.captions is not None:
                    wanted = self.controller.encode_text(batch["caption"])
                else:
                    wanted = self.controller.encode_plain_image(batch["clean"].to(device))
            term = losses.contrastive_loss(content, F.normalize(wanted, dim=-1), scale)
            numbers["content"] = float(term.detach())
            total = total + self.options.content_weight * term
        return total, numbers

    def after_step(self) -> None:
        """Keep the scale within its bounds."""
        with torch.no_grad():
            self.controller.logit_scale.clamp_(*SCALES)

    def validate(self, module: nn.Module, folder: Path, device: torch.device) -> dict[str, float]:
        """Return the share of images whose nearest word is right; if `clean` is a word, also of false alarms."""
        assert self.validation is not None  # only called with data
        task_indices = [self.source.tasks.index(task) for task in self.validation.tasks]

        def nearest(image: Image) -> int:
            with torch.no_grad():
                view = self.controller.seen(data.tensor(image)[None].to(device))
                _, degradation, texts, _ = module(view)
            return int((degradation @ texts.T).argmax())

        pairs = list(self.validation.validation(self.options.validation_images))
        right = sum(nearest(pair.degraded) == task_indices[pair.task] for pair in pairs)
        scores = {"accuracy": right / len(pairs)}
        if CLEAN in self.prompts:
            alarms = sum(nearest(pair.clean) != self.prompts.index(CLEAN) for pair in pairs)
            scores["false_alarms"] = alarms / len(pairs)
        return scores

    def published(self, module: nn.Module) -> dict[str, Any]:
        """Return what the controller's file holds; see the function `published`."""
        assert isinstance(module, _Features)  # what this stage trains, or its average
        return published(module.controller)


def published(controller: Controller) -> dict[str, Any]:
    """Return what a controller's file holds: tensors as in published files, and notes of words and crop."""
    notes: dict[str, Any] = {} if controller.words is None else {"words": list(controller.words)}
    if controller.crop != "center":
        notes["crop"] = controller.crop
    held = {"name": "daclip", "state_dict": dict(controller.state_dict())}
    return {**held, "notes": notes} if notes else held


class _Features(nn.Module):
    """The controller as one module call, as distributed training needs it."""

    def __init__(self, controller: Controller, prompts: Sequence[str]) -> None:
        super().__init__()
        self.controller, self.prompts = controller, prompts
        if controller.words is None:
            with torch.no_grad():
                self.register_buffer("texts", self._encoded(), persistent=False)

    def _encoded(self) -> Tensor:
        return F.normalize(self.controller.encode_text(self.prompts), dim=-1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        content, degradation = self.controller.encode_image(images)
        # a copy, because in distributed training a parameter cannot itself be an output
        scale = self.controller.logit_scale.clone()
        texts: Any = self.texts if self.controller.words is None else self._encoded()
        return F.normalize(content, dim=-1), F.normalize(degradation, dim=-1), texts, scale


class _Views(Dataset[dict[str, Any]]):
    """Degraded images as CLIP's input: a large random crop squeezed to a square, or a square cut out, flipped."""

    def __init__(
        self, pairs: data.Pairs, size: int, options: ControllerTraining, captions: Mapping[str, str] | None
    ) -> None:
        self.pairs, self.size, self.options, self.captions = pairs, size, options, captions

    def __getitem__(self, number: int) -> dict[str, Any]:
        pair, rng = self.pairs[number], generator(self.pairs.seed, "sample", number)
        if self.options.crop == "native":
            views = data.cut_patch(pair.degraded, pair.clean, self.size, True, rng)
        else:
            height, width = pair.degraded.shape[:2]
            window = crop_window(height, width, self.options.minimum_crop, rng)
            views = pair.degraded[window], pair.clean[window]
        sample: dict[str, Any] = {"task": pair.task, "number": number}
        sample["view"] = self._prepared(views[0])
        if self.options.clean_content:
            sample["clean"] = self._prepared(views[1])
        if self.captions is not None:
            sample["caption"] = self.captions[pair.name]
        return sample

    def _prepared(self, view: Image) -> Tensor:
        return for_clip(images.to_tensor([view]), self.size, "whole")[0]


def crop_window(height: int, width: int, minimum: float, rng: np.random.Generator) -> tuple[slice, slice]:
    """Draw rows and columns of a crop by torchvision's rule for RandomResizedCrop, as the published training does.

    The crop keeps a share of the area in [minimum, 1], at an aspect ratio from 3/4 to 4/3. If none of ten draws
    fits into the image, it is the largest centred crop with such an aspect ratio.
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

    The table is tab-separated with the columns filepath and title, as published. A title is
    `caption: degradation`; the degradation is the text after the last colon.

    Raises:
        RestorebenchError: there is no such file, a line has no degradation, or two lines are for one image.
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

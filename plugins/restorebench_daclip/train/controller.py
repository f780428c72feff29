"""Stage one: the controller learns to name degradations and to see the clean image behind them."""

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
"""Where the logarithm of the scale is kept."""
_SEPARATOR = ": "
_ASPECT = math.log(4 / 3)


class ControllerStage:
    """Contrastive content loss where there are captions, plus the degradation loss; CLIP stays as it is."""

    def __init__(self, options: ControllerTraining, cache: Path) -> None:
        self.options = options
        with drawn_from(options.seed):
            controller = self._started()
        controller.freeze()
        self.controller = controller
        self.source, self.validation = sources.opened(options)
        prompts = {task.name: task.prompt for task in TEN}
        self.prompts = [prompts.get(task, task) for task in self.source.tasks]
        if options.data.clean_share:
            self.prompts.append(CLEAN)
        self.captions = None if options.captions is None else read_captions(options.captions)
        if self.captions is not None:
            lacking = [name for name in self.source.names() if name not in self.captions]
            if lacking:
                raise RestorebenchError(
                    f"captions {options.captions}: none for {lacking[0]} and {len(lacking) - 1} more;"
                    " `restorebench_daclip.captions` writes them"
                )
        self.module: nn.Module = _Features(controller, self.prompts)

    def _started(self) -> Controller:
        """Load the CLIP and copy its visual tower; all links are zero."""
        options = self.options
        if options.model == TOWER and isinstance(options.pretrained, Path):
            words = (*(task.prompt for task in TEN), CLEAN)
            controller = Controller(checkpoint.tower_of(options.pretrained, words))
        elif options.pretrained == UNTRAINED:
            controller = Controller.of(checkpoint.TINY_CONTROLLER)
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
        if options.crop == "native":
            controller.crop = "native"
        return controller

    def batches(self, first: int, rank: int, world: int) -> Iterator[dict[str, Any]]:
        """Yield views from batch number `first` on."""
        options = self.options
        views = _Views(data.Pairs(self.source, options), self.controller.image_size, options, self.captions)
        return data.batches(views, options.batch_size, first, rank, world, options.workers)

    def loss(
        self, module: nn.Module, batch: Mapping[str, Any], device: torch.device
    ) -> tuple[Tensor, dict[str, float]]:
        """Sum the degradation term and the content term, where something says what the content is."""
        content, degradation, texts, scale = module(batch["view"].to(device))
        tasks = batch["task"].to(device)
        if self.options.loss == "supervised":
            found = losses.supervised_loss(degradation, texts, tasks, scale)
        else:
            found = losses.contrastive_loss(degradation, texts[tasks], scale)
        right = float(((degradation @ texts.T).argmax(-1) == tasks).float().mean())
        numbers = {"degradation": float(found.detach()), "accuracy": right, "scale": float(scale.detach().exp())}
        if self.captions is not None or self.options.clean_content:
            with torch.no_grad():
                if self.captions is not None:
                    wanted = self.controller.encode_text(batch["caption"])
                else:
                    wanted = self.controller.encode_plain_image(batch["clean"].to(device))
            term = losses.contrastive_loss(content, F.normalize(wanted, dim=-1), scale)
            numbers["content"] = float(term.detach())
            found = found + self.options.content_weight * term
        return found, numbers

    def after_step(self) -> None:
        """Keep the scale within its bounds."""
        with torch.no_grad():
            self.controller.logit_scale.clamp_(*SCALES)

    def validate(self, module: nn.Module, folder: Path, device: torch.device) -> dict[str, float]:
        """Count how often the nearest word is the right one; where `clean` is one, false alarms too."""
        assert self.validation is not None  # only called with data
        places = [self.source.tasks.index(task) for task in self.validation.tasks]

        def nearest(image: Image) -> int:
            with torch.no_grad():
                view = self.controller.seen(data.tensor(image)[None].to(device))
                _, degradation, texts, _ = module(view)
            return int((degradation @ texts.T).argmax())

        pairs = list(self.validation.validation(self.options.validation_images))
        scores = {"accuracy": sum(nearest(pair.degraded) == places[pair.task] for pair in pairs) / len(pairs)}
        if CLEAN in self.prompts:
            alarms = sum(nearest(pair.clean) != self.prompts.index(CLEAN) for pair in pairs)
            scores["false_alarms"] = alarms / len(pairs)
        return scores

    def published(self, module: nn.Module) -> dict[str, Any]:
        """Return the wrapped tensors, as in published files, and beside them what those need not say."""
        assert isinstance(module, _Features)  # what this stage trains, or its average
        return published(module.controller)


def published(controller: Controller) -> dict[str, Any]:
    """Return what a controller's file holds: its tensors, as in published files, and what those need not say."""
    notes: dict[str, Any] = {} if controller.words is None else {"words": list(controller.words)}
    if controller.crop != "center":
        notes["crop"] = controller.crop
    held = {"name": "daclip", "state_dict": dict(controller.state_dict())}
    return {**held, "notes": notes} if notes else held


class _Features(nn.Module):
    """The controller as one call, which is what training on many devices needs."""

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
        scale = self.controller.logit_scale.clone()  # several processes cannot share a parameter that is an output
        texts: Any = self.texts if self.controller.words is None else self._encoded()
        return F.normalize(content, dim=-1), F.normalize(degradation, dim=-1), texts, scale


class _Views(Dataset[dict[str, Any]]):
    """Degraded images as CLIP takes them: squeezed after a random crop of most of it, or cut out and flipped."""

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

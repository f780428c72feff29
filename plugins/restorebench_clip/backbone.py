"""A CLIP of open_clip with its weights, and features of images under it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import open_clip
import torch
import torch.nn.functional as F
from open_clip.model import CLIP
from torch import Tensor, nn

from restorebench import RestorebenchError, Runtime, UnknownName, WeightFile
from restorebench.toolbox import weights
from restorebench.toolbox.clip_images import MEAN, STD, Crop, for_clip
from restorebench_clip.options import UNTRAINED, Backbone

_FILE = "open_clip_model.safetensors"
_SHRINK = 8


class ClipBackbone:
    """A frozen CLIP on a device."""

    def __init__(self, options: Backbone, runtime: Runtime) -> None:
        known = open_clip.list_models()
        if options.model not in known:
            raise UnknownName(f"model: open_clip knows no {options.model!r}; see open_clip.list_models()")
        self.crop: Crop = options.crop
        self.device = runtime.device
        self.mean, self.std = MEAN, STD
        self.clip = self._built(options, runtime).to(runtime.device).eval().requires_grad_(False)
        self.tokenizer = open_clip.get_tokenizer(options.model)
        size = self.clip.visual.image_size
        self.size = int(size[0] if isinstance(size, tuple) else size)

    def _built(self, options: Backbone, runtime: Runtime) -> Any:
        """Build the network and load its weights; Any: each architecture of open_clip has a class of its own."""
        if options.weights == UNTRAINED:
            return _untrained(options.model)
        config = open_clip.get_pretrained_cfg(options.model, options.pretrained) or {}
        self.mean, self.std = config.get("mean", MEAN), config.get("std", STD)
        path = options.weights or _published(options.model, options.pretrained, config, runtime)
        assert isinstance(path, Path)  # the only other kind
        clip = open_clip.create_model(
            options.model, load_weights=False, force_quick_gelu=bool(config.get("quick_gelu"))
        )
        weights.load(clip, weights.read(path), path, f"are these weights of {options.model}?")
        return clip

    def images(self, images: Tensor) -> Tensor:
        """Return features (B, D) of length one, of (B, 3, H, W) images in [0, 1]."""
        with torch.no_grad():
            seen = for_clip(images.to(self.device), self.size, self.crop, self.mean, self.std)
            return F.normalize(self.clip.encode_image(seen), dim=-1)

    def ensemble(self, sentences: Sequence[str]) -> Tensor:
        """Return the mean feature (D,) of sentences, of length one."""
        with torch.no_grad():
            each = F.normalize(self.clip.encode_text(self.tokenizer(list(sentences)).to(self.device)), dim=-1)
            return F.normalize(each.mean(0), dim=-1)


def _published(model: str, tag: str, config: Mapping[str, Any], runtime: Runtime) -> Path:
    """Fetch the weights of a tag."""
    if not config:
        tags = open_clip.list_pretrained_tags_by_model(model)
        raise UnknownName(f"pretrained: {tag!r} is no tag of {model}; tags are {', '.join(tags)}")
    repository = config.get("hf_hub", "").strip("/")
    if not repository:
        raise RestorebenchError(
            f"pretrained: {tag} of {model} is not on a hub: get {config['url']} and give its path as `weights`"
        )
    url = f"https://huggingface.co/{repository}/resolve/main/{_FILE}"
    return weights.fetch(WeightFile(f"{model}-{tag}.safetensors", url, "see the model's page", 0), runtime)


def _untrained(model: str) -> nn.Module:
    """Build a small network of the architecture's kind with random weights, the same every time."""
    config = open_clip.get_model_config(model)
    if config is None or "width" not in config["vision_cfg"] or isinstance(config["vision_cfg"]["layers"], list):
        raise RestorebenchError(f"model: {model!r} has no small version for tests; take ViT-B-32")
    vision, text = dict(config["vision_cfg"]), dict(config["text_cfg"])
    vision |= {"width": vision["width"] // _SHRINK, "layers": 2, "head_width": 32}
    text |= {"width": text["width"] // _SHRINK, "heads": text["heads"] // _SHRINK or 1, "layers": 1}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return CLIP(config["embed_dim"] // _SHRINK, vision, text)

"""A CLIP of open_clip with its weights, and its features of images and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import open_clip
import torch
import torch.nn.functional as F
from open_clip.model import CLIP
from torch import Tensor, nn

from restorebench import MissingResource, RestorebenchError, Runtime, UnknownName, nearest
from restorebench.toolbox import weights
from restorebench.toolbox.clip_images import MEAN, STD, Crop, for_clip
from restorebench.toolbox.files import file_digest
from restorebench.toolbox.networks import drawn_from
from restorebench_clip.options import UNTRAINED, Backbone
from restorebench_clip.published import weight_file

_SHRINK = 8
_HEAD = 32


class ClipBackbone:
    """A frozen CLIP on a device.

    Raises:
        UnknownName: open_clip has no such model, or the model has no such tag.
        MissingResource: its weights, or a package that it needs, are missing.
    """

    def __init__(self, options: Backbone, runtime: Runtime) -> None:
        if options.model not in open_clip.list_models():
            close = nearest(options.model, open_clip.list_models())
            raise UnknownName(f"model: open_clip knows no {options.model!r}{close}; see open_clip.list_models()")
        self.options = options
        self.crop: Crop = options.crop
        self.device = runtime.device
        self.mean, self.std = MEAN, STD
        self.file: Path | None = None
        self.clip = self._built(options, runtime).to(runtime.device).eval().requires_grad_(False)
        size = self.clip.visual.image_size
        self.size = int(size[0] if isinstance(size, tuple) else size)

    def _built(self, options: Backbone, runtime: Runtime) -> Any:
        """Build the network and load its weights; Any: each architecture of open_clip has its own class."""
        if options.weights == UNTRAINED:
            return _untrained(options.model)
        config = _described(options)
        self.mean, self.std = config.get("mean", MEAN), config.get("std", STD)
        path = options.weights or _published(options.model, options.pretrained, config, runtime)
        assert isinstance(path, Path)  # the only type left
        self.file = path
        state = weights.read(path)
        try:
            clip = open_clip.create_model(
                options.model, load_weights=False, force_quick_gelu=bool(config.get("quick_gelu"))
            )
        except (ImportError, RuntimeError, OSError) as error:  # errors of transformers and its files
            raise _unbuilt("the text tower", options.model, error) from error
        weights.load(clip, state, path, f"are these weights of {options.model}?")
        return clip

    @cached_property
    def tokenizer(self) -> Any:
        """The model's tokenizer, which only sentences need; Any: it has one of several classes."""
        try:
            return open_clip.get_tokenizer(self.options.model)
        except (ImportError, RuntimeError, OSError) as error:
            raise _unbuilt("the tokenizer", self.options.model, error) from error

    def identity(self) -> dict[str, str]:
        """Return everything that the features of an image depend on; reads the whole file of weights."""
        tag, digest = ("", UNTRAINED) if self.file is None else (self.options.pretrained, file_digest(self.file))
        return {"model": self.options.model, "pretrained": tag, "weights": digest, "crop": self.crop}

    def images(self, images: Tensor) -> Tensor:
        """Return the features (B, D), of length one, of (B, 3, H, W) images in [0, 1]."""
        with torch.no_grad():
            seen = for_clip(images.to(self.device), self.size, self.crop, self.mean, self.std)
            return F.normalize(self.clip.encode_image(seen), dim=-1)

    def ensemble(self, sentences: Sequence[str]) -> Tensor:
        """Return the mean feature (D,) of sentences, of length one."""
        with torch.no_grad():
            each = F.normalize(self.clip.encode_text(self.tokenizer(list(sentences)).to(self.device)), dim=-1)
            return F.normalize(each.mean(0), dim=-1)


def _described(options: Backbone) -> dict[str, Any]:
    """Return open_clip's description of the tag: activation, statistics, address; Any: values of many types.

    The tag describes a file of weights too. The exception are models without tags: for their file, open_clip's
    defaults are used.
    """
    model, tag = options.model, options.pretrained
    tags = open_clip.list_pretrained_tags_by_model(model)
    if config := open_clip.get_pretrained_cfg(model, tag):
        return dict(config)
    if tags:
        more = f", ... ({len(tags)} in all)" if len(tags) > 4 else ""
        described = "; name the one that fits the file" if options.weights else ""
        raise UnknownName(
            f"pretrained: {tag!r} is not a tag of {model}{nearest(tag, tags)}; tags are "
            f"{', '.join(tags[:4])}{more}{described}"
        )
    if tag != Backbone.model_fields["pretrained"].default:
        raise UnknownName(
            f"pretrained: open_clip has no tags of {model}; leave it out, and give a file as `weights`"
        )
    if options.weights is None:
        raise MissingResource(f"model: open_clip has no published weights of {model}; give a file as `weights`")
    return {}


def _unbuilt(part: str, model: str, error: Exception) -> MissingResource:
    if isinstance(error, ImportError) or "transformers" in str(error):
        return MissingResource(
            f"model: {part} of {model} needs the package transformers: pip install 'restorebench[captions]'"
        )
    return MissingResource(f"model: {part} of {model} cannot be built: {(str(error).splitlines() or ['?'])[0]}")


def _published(model: str, tag: str, config: dict[str, Any], runtime: Runtime) -> Path:
    """Return the path of a tag's weights, downloaded if needed."""
    repository = config.get("hf_hub", "").strip("/")
    if not repository:
        raise RestorebenchError(
            f"pretrained: {tag} of {model} is not on a hub: get {config['url']} and give its path as `weights`"
        )
    return weights.fetch(weight_file(model, tag, repository), runtime)


def _untrained(model: str) -> nn.Module:
    """Build a small network of the architecture's kind with random weights, the same every time."""
    config = open_clip.get_model_config(model)
    vision, text = dict(config["vision_cfg"]), dict(config["text_cfg"])
    plain = isinstance(vision.get("layers"), int) and {"width", "heads"} <= text.keys()
    if not plain or config.get("custom_text") or vision["width"] % (_SHRINK * _HEAD):
        raise RestorebenchError(f"model: {model!r} has no small version for tests; use ViT-B-32")
    vision |= {"width": vision["width"] // _SHRINK, "layers": 2, "head_width": _HEAD}
    text |= {"width": text["width"] // _SHRINK, "heads": text["heads"] // _SHRINK or 1, "layers": 1}
    with drawn_from():
        return CLIP(config["embed_dim"] // _SHRINK, vision, text)

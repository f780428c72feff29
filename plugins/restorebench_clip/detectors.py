"""The zero-shot detector and the linear probe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from restorebench import CLEAN, Detection, RestorebenchError, Runtime
from restorebench.toolbox import linear
from restorebench_clip.backbone import ClipBackbone
from restorebench_clip.options import ProbeOptions, ZeroShotOptions

_SHOWN = 32
"""Number of characters of a name or digest that a message shows."""


class ZeroShot:
    """The zero-shot detector: an image gets the task whose sentences are nearest to it."""

    def __init__(self, options: ZeroShotOptions, runtime: Runtime) -> None:
        words: dict[str, tuple[str, ...]] = {task.name: (task.prompt,) for task in runtime.tasks}
        if unknown := sorted(options.prompts.keys() - words.keys()):
            raise RestorebenchError(f"prompts: no task called {unknown[0]!r}; there are {', '.join(words)}")
        if bad := [template for template in options.templates if "{}" not in template]:
            raise RestorebenchError(f"templates: {bad[0]!r} has no {{}} for the words of a task")
        words |= options.prompts
        self.options = options
        self.backbone = ClipBackbone(options, runtime)
        self.names = tuple(words)
        self.texts = torch.stack([self._text(words[name]) for name in self.names])

    def _text(self, words: Sequence[str]) -> Tensor:
        """Return the feature (D,) of a task: the mean over its words in all templates."""
        sentences = [template.replace("{}", word) for word in words for template in self.options.templates]
        return self.backbone.ensemble(sentences)

    def detect(self, images: Tensor) -> Sequence[Detection]:
        """Return one label per image of (B, 3, H, W), or none if the best is less probable than `least`."""
        cosines = self.backbone.images(images) @ self.texts.T
        # A factor: 1 / 0.01 is exactly 100, but a division by 0.01 in single precision is not exact.
        rows = (cosines * (1 / self.options.temperature)).softmax(dim=-1).tolist()
        return [_verdict(dict(zip(self.names, row, strict=True)), self.options.least) for row in rows]


class Probe:
    """The linear probe: coefficients that were fitted before classify features; the class `clean` abstains."""

    def __init__(self, options: ProbeOptions, runtime: Runtime) -> None:
        self.options = options
        self.model = linear.read(options.probe)
        self.backbone = ClipBackbone(options, runtime)
        _require_same(self.model.about, self.backbone.identity(), options)

    def detect(self, images: Tensor) -> Sequence[Detection]:
        """Return one label per image of (B, 3, H, W), or none if it looks clean or `least` is not reached."""
        features = self.backbone.images(images).cpu().double().numpy()
        rows = self.model.probabilities(features, self.options.temperature).tolist()
        return [_verdict(dict(zip(self.model.names, row, strict=True)), self.options.least) for row in rows]


def _require_same(fitted: Mapping[str, str], here: Mapping[str, str], options: ProbeOptions) -> None:
    """Refuse coefficients that were fitted to another CLIP, as its features may have the same length."""
    if not fitted:
        raise RestorebenchError(f"{options.probe}: does not say which CLIP it was fitted to; fit it anew")
    differing = [
        f"{name} {fitted.get(name, '')[:_SHOWN] or 'unknown'}, not {value[:_SHOWN]}"
        for name, value in here.items()
        if fitted.get(name) != value
    ]
    if differing:
        raise RestorebenchError(
            f"{options.probe}: fitted to another CLIP ({'; '.join(differing)}); set the options to that one, "
            "or fit it anew"
        )


def _verdict(probabilities: dict[str, float], least: float) -> Detection:
    top = max(probabilities, key=lambda name: probabilities[name])
    tasks = {name: value for name, value in probabilities.items() if name != CLEAN}
    if top == CLEAN or probabilities[top] < least:
        return Detection(frozenset(), tasks)
    return Detection(frozenset({top}), tasks)

"""The controller as a detector: the nearest of the tasks' words to the degradation feature."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from restorebench import CLEAN, Detection, RestorebenchError, Runtime
from restorebench_daclip import networks
from restorebench_daclip.options import DACLIPDetection


class DACLIPDetector:
    """Detect by cosines between the degradation feature and one text per task."""

    def __init__(self, options: DACLIPDetection, runtime: Runtime) -> None:
        self.options = options
        self.controller = networks.controller_from(options.weights, runtime).to(runtime.device)
        prompts = {task.name: task.prompt for task in runtime.tasks}
        if unknown := sorted(options.prompts.keys() - prompts.keys()):
            raise RestorebenchError(f"prompts: no task called {unknown[0]!r}; there are {', '.join(prompts)}")
        prompts |= options.prompts
        if (words := self.controller.words) is not None:  # it can tell no task beside those, but `clean`
            prompts = {name: prompt for name, prompt in {**prompts, CLEAN: CLEAN}.items() if prompt in words}
        self.names = tuple(prompts)
        with torch.no_grad():
            self.texts = F.normalize(self.controller.encode_text(tuple(prompts.values())), dim=-1)

    def detect(self, images: Tensor) -> Sequence[Detection]:
        """Return one label per image of (B, 3, H, W), or none where the best is less probable than `least`."""
        rows = self.probabilities(images).tolist()
        return [self._verdict(dict(zip(self.names, row, strict=True))) for row in rows]

    def probabilities(self, images: Tensor) -> Tensor:
        """Return the probability of each of `names`, (B, names), rows adding up to one."""
        with torch.no_grad():
            seen = self.controller.seen(images, self.options.crop)
            degradation = F.normalize(self.controller.encode_image(seen).degradation, dim=-1)
            # A factor, as 1 / 0.01 is 100 to the last bit and a division by 0.01 in single precision is not.
            return (1 / self.options.temperature * degradation @ self.texts.T).softmax(dim=-1)

    def _verdict(self, probabilities: dict[str, float]) -> Detection:
        top = max(probabilities, key=lambda name: probabilities[name])
        told = probabilities[top] >= self.options.least and top != CLEAN
        tasks = {name: value for name, value in probabilities.items() if name != CLEAN}
        return Detection(frozenset({top}) if told else frozenset(), tasks)

"""The controller as a detector: it names the task whose text is nearest to the degradation feature."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from restorebench import CLEAN, Detection, RestorebenchError, Runtime
from restorebench.toolbox import tiling
from restorebench_daclip import checkpoint
from restorebench_daclip.options import DACLIPDetection


class DACLIPDetector:
    """A detector that compares the degradation feature with one text per task by cosine similarity."""

    def __init__(self, options: DACLIPDetection, runtime: Runtime) -> None:
        self.options = options
        self.controller = checkpoint.controller_from(options.weights, runtime).to(runtime.device)
        prompts = {task.name: task.prompt for task in runtime.tasks}
        if unknown := sorted(options.prompts.keys() - prompts.keys()):
            raise RestorebenchError(f"prompts: no task called {unknown[0]!r}; there are {', '.join(prompts)}")
        prompts |= options.prompts
        # without language it knows only its learned words; `clean` can be one of them
        if (words := self.controller.words) is not None:
            prompts = {name: prompt for name, prompt in {**prompts, CLEAN: CLEAN}.items() if prompt in words}
        self.names = tuple(prompts)
        with torch.no_grad():
            self.texts = F.normalize(self.controller.encode_text(tuple(prompts.values())), dim=-1)

    def detect(self, images: Tensor) -> Sequence[Detection]:
        """Return one label per image of (B, 3, H, W), or none if the best is not probable enough."""
        rows = self.probabilities(images).tolist()
        return [self._verdict(dict(zip(self.names, row, strict=True))) for row in rows]

    def probabilities(self, images: Tensor) -> Tensor:
        """Return the probability of each of `names`: (B, names), each row sums to one."""
        with torch.no_grad():
            cosines = torch.stack([self._cosines(view) for view in self._views(images)]).mean(dim=0)
            # multiply, because 1 / 0.01 is exactly 100, and dividing by 0.01 in single precision is not exact
            return (1 / self.options.temperature * cosines).softmax(dim=-1)

    def _views(self, images: Tensor) -> Iterator[Tensor]:
        """Yield the images, or parts of the towers' image size that cover them; neighbours may overlap."""
        if self.options.views == "one":
            yield images
            return
        size = self.controller.image_size
        rows, columns = (tiling.starts(side, size, 0) for side in images.shape[2:])
        for top, left in product(rows, columns):
            yield images[:, :, top : top + size, left : left + size]

    def _cosines(self, images: Tensor) -> Tensor:
        seen = self.controller.seen(images, self.options.crop)
        return F.normalize(self.controller.encode_image(seen).degradation, dim=-1) @ self.texts.T

    def _verdict(self, probabilities: dict[str, float]) -> Detection:
        tasks = {name: value for name, value in probabilities.items() if name != CLEAN}
        top = max(tasks, key=lambda name: tasks[name])
        least = max(self.options.least, self.options.against_clean * probabilities.get(CLEAN, 0))
        return Detection(frozenset({top}) if tasks[top] >= least else frozenset(), tasks)

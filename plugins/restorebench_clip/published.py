"""The published weights of CLIPs, as far as they are known without importing open_clip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from restorebench import WeightFile

if TYPE_CHECKING:
    from restorebench_clip.options import Backbone

FILE = "open_clip_model.safetensors"
_REPOSITORIES = {("ViT-B-32", "laion2b_s34b_b79k"): "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"}
"""Only the default model: open_clip knows the others, but a plan does not take the time to import it."""


def weight_file(model: str, tag: str, repository: str) -> WeightFile:
    """Return the file of a tag's weights. repository: "" if it is not known."""
    url = f"https://huggingface.co/{repository}/resolve/main/{FILE}" if repository else ""
    return WeightFile(f"{model}-{tag}.safetensors", url, "see the model's page", 0)


def files(options: Backbone) -> Sequence[WeightFile]:
    """Return the published file that a CLIP needs; none if options name a file."""
    if options.weights is not None:
        return ()
    tag = options.model, options.pretrained
    return (weight_file(*tag, _REPOSITORIES.get(tag, "")),)

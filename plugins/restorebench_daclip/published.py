"""The published weights of DA-CLIP, in pairs of a controller and a U-Net."""

from __future__ import annotations

from dataclasses import dataclass

from restorebench import WeightFile

_ADDRESS = "https://huggingface.co/weblzw/daclip-uir-ViT-B-32-irsde/resolve/main/"


@dataclass(frozen=True)
class Pair:
    """A controller and the U-Net that was trained with it."""

    controller: WeightFile
    restorer: WeightFile

    @property
    def files(self) -> tuple[WeightFile, WeightFile]:
        """Both files."""
        return self.controller, self.restorer


def _pair(controller: str, restorer: str) -> Pair:
    """Return both files. Their sizes and digests are not published; digests are recorded at first use."""
    return Pair(*(WeightFile(name, _ADDRESS + name, "MIT", 0) for name in (controller, restorer)))


PUBLISHED = {
    "universal-ir": _pair("daclip_ViT-B-32.pt", "universal-ir.pth"),
    "universal-ir-mix": _pair("daclip_ViT-B-32_mix.pt", "universal-ir-mix.pth"),
    "wild-ir": _pair("wild-daclip_ViT-L-14.pt", "wild-ir.pth"),
}

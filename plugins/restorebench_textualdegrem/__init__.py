"""TextualDegRemoval: restoration networks that are guided by a second, clean image of the same scene."""

from __future__ import annotations

from typing import Any

from restorebench import RestorerInfo, Tiling, Training, hookimpl

_HERE = "restorebench_textualdegrem"
_LICENCES = "CreativeML Open RAIL++-M, MIT"
_CITATION = (
    "Lin et al., Improving Image Restoration through Removing Degradations in Textual Representations, CVPR 2024"
)


def _guided(name: str, load: str, backbone: str, size: int, **facts: Any) -> RestorerInfo:
    """Build the card of a restorer from what the three do not share."""
    return RestorerInfo(
        name=f"textual-{name}",
        version="1",
        summary=f"{backbone} that fuses a second image: one generated from words, or the image itself.",
        load=f"{_HERE}.restorers:{load}",
        options=f"{_HERE}.options:GuidedRestoration",
        tiling=Tiling.HARMFUL,  # every tile is matched with the guidance anew
        named=True,  # to find guidance in a folder
        training=Training.EXTERNAL,
        citation=_CITATION,
        licence="as the weights say",
        weights=f"{size} MB of your own; to generate guidance 9100 MB ({_LICENCES}), 1570 MB of your own",
        resources=f"{_HERE}.published:guidance_files",
        test_options={"weights": "untrained", "guidance": "degraded"},
        **facts,
    )


@hookimpl
def restorebench_restorers() -> list[RestorerInfo]:
    """Offer one card per network, because each was published for its own tasks."""
    return [
        _guided("restormer", "TextualRestormer", "Restormer", 240, tasks=("motion-blurry", "noisy")),
        _guided("nafnet", "TextualNAFNet", "NAFNet", 895, tasks=("motion-blurry",)),
        _guided("promptir", "TextualPromptIR", "PromptIR", 278, tasks=("hazy", "noisy", "rainy")),
    ]

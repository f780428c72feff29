"""TextualDegRemoval: restoration networks that are guided by a second, clean image of the same scene."""

from __future__ import annotations

from typing import Any

from restorebench import RestorerInfo, Tiling, Training, hookimpl

_HERE = "restorebench_textualdegrem"
_CITATION = (
    "Lin et al., Improving Image Restoration through Removing Degradations in Textual Representations, CVPR 2024"
)


def _guided(name: str, load: str, backbone: str, **facts: Any) -> RestorerInfo:
    """Fill in what the three have in common."""
    return RestorerInfo(
        name=f"textual-{name}",
        version="1",
        summary=f"{backbone} that fuses a second image: one generated from words, or the image itself.",
        load=f"{_HERE}.restorers:{load}",
        options=f"{_HERE}.options:GuidedRestoration",
        tiling=Tiling.HARMFUL,  # every tile is matched with the guidance anew
        training=Training.EXTERNAL,
        citation=_CITATION,
        licence="as the weights say",
        test_options={"weights": "untrained", "guidance": "degraded"},
        **facts,
    )


@hookimpl
def restorebench_restorers() -> list[RestorerInfo]:
    """Offer one card per network, for each was published for tasks of its own."""
    return [
        _guided("restormer", "TextualRestormer", "Restormer", tasks=("motion-blurry", "noisy")),
        _guided("nafnet", "TextualNAFNet", "NAFNet", tasks=("motion-blurry",)),
        _guided("promptir", "TextualPromptIR", "PromptIR", tasks=("hazy", "noisy", "rainy")),
    ]

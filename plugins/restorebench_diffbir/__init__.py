"""DiffBIR: regression that removes the degradation, then latent diffusion that adds detail to its result."""

from __future__ import annotations

from typing import Any

from restorebench import RestorerInfo, Tiling, Training, hookimpl

_HERE = "restorebench_diffbir"
_INSTALL = "pip install 'restorebench[diffbir]'"
_CITATION = "Lin et al., DiffBIR: Toward Blind Image Restoration with Generative Diffusion Prior, ECCV 2024"
_MINIATURE: dict[str, Any] = {"weights": "untrained", "short_edge": 64}


def _card(name: str, summary: str, needs: tuple[str, ...], **facts: Any) -> RestorerInfo:
    """Build the card of a restorer from what the two do not share."""
    return RestorerInfo(
        name=name,
        version="1",
        summary=summary,
        requires=dict.fromkeys(needs, _INSTALL),
        tasks=("jpeg-compressed", "noisy"),
        tiling=Tiling.INTERNAL,  # its windows share one noise, and its networks need images of at least 512 px
        training=Training.EXTERNAL,
        citation=_CITATION,
        licence="Apache-2.0; Stable Diffusion: CreativeML Open RAIL++-M",
        **facts,
    )


@hookimpl
def restorebench_restorers() -> list[RestorerInfo]:
    """Offer the whole method, and its first stage alone."""
    return [
        _card(
            "diffbir",
            "A regression network, then latent diffusion based on its result: detail is invented, not recovered.",
            ("diffusers", "transformers", "spandrel"),
            load=f"{_HERE}.restorers:DiffBIR",
            options=f"{_HERE}.options:Restoration",
            resources=f"{_HERE}.published:files",
            stochastic=True,
            training_data=("LAION-2B-en", "ImageNet-1k", "FFHQ", "Unsplash"),
            test_options={**_MINIATURE, "steps": 2},
        ),
        _card(
            "diffbir-stage1",
            "The regression network of DiffBIR alone, without diffusion.",
            ("spandrel",),
            load=f"{_HERE}.restorers:DiffBIRStage1",
            options=f"{_HERE}.options:Stage1",
            resources=f"{_HERE}.published:stage1_files",
            test_options=_MINIATURE,
        ),
    ]

"""Cards of DA-CLIP + IR-SDE (the reference method), of IR-SDE and Refusion, and of the compact models."""

from __future__ import annotations

from typing import Any

from restorebench import TEN_NAMES, DetectorInfo, RestorerInfo, Tiling, Training, hookimpl

_HERE = "restorebench_daclip"
_UNTRAINED: dict[str, Any] = {"weights": "untrained"}
# the data head, because the noise head magnifies the output of an untrained network
_BRIEF = {**_UNTRAINED, "prediction": "data", "steps": 2}
_DACLIP = "Luo et al., Controlling Vision-Language Models for Multi-Task Image Restoration, ICLR 2024"
_IR_SDE = "Luo et al., Image Restoration with Mean-Reverting Stochastic Differential Equations, ICML 2023"
_REFUSION = "Luo et al., Refusion, CVPR workshops 2023"
_DATA = ("GoPro", "RESIDE-6k", "LOL", "RainDrop", "Rain100H", "SRD", "Snow100K", "CelebA-HQ", "DIV2K", "Flickr2K")
_PHOTOGRAPHS = ("BSDS500", "SICE part 1")


def _diffusion(name: str, summary: str, load: str, sampler: str, **facts: Any) -> RestorerInfo:
    """Return a card with the fields that the three diffusion restorers share."""
    facts = {"options": f"{_HERE}.options:SingleTask", **facts}
    return RestorerInfo(
        name=name,
        version="1",
        summary=f"Mean-reverting diffusion {summary}",
        load=f"{_HERE}.restorers:{load}",
        tiling=Tiling.HARMFUL,  # attention looks at the whole image
        stochastic=True,
        training=Training.EXTERNAL,
        licence="MIT",
        test_options={**_BRIEF, "sampler": sampler},
        **facts,
    )


@hookimpl
def restorebench_restorers() -> list[RestorerInfo]:
    """Return the cards of the reference method, IR-SDE, Refusion and the compact restorer."""
    reference = _diffusion(
        "daclip-irsde",
        "conditioned on the content and degradation features of a CLIP controller.",
        "DACLIPIRSDE",
        "multistep-ode",
        options=f"{_HERE}.options:DACLIPRestoration",
        resources=f"{_HERE}.resources:restorer_files",
        tasks=TEN_NAMES,
        training_data=_DATA,
        citation=_DACLIP,
    )
    single = _diffusion("ir-sde", "trained for one task.", "IRSDE", "posterior", citation=_IR_SDE)
    summary = "with an activation-free network, trained for one task."
    refusion = _diffusion("refusion", summary, "Refusion", "ode", citation=_REFUSION)
    return [reference, single, refusion, _compact()]


def _compact() -> RestorerInfo:
    return RestorerInfo(
        name="daclip-compact",
        version="1",
        summary="A small U-Net conditioned by a small controller without language; both come with the package.",
        load=f"{_HERE}.compact:load_restorer",
        options=f"{_HERE}.options:CompactRestoration",
        tasks=TEN_NAMES,
        tiling=Tiling.HARMFUL,
        stochastic=True,
        training=Training.SAME_SYNTHESIS,
        training_data=_PHOTOGRAPHS,
        citation=_DACLIP,
        licence="MIT",
    )


@hookimpl
def restorebench_detectors() -> list[DetectorInfo]:
    """Return the cards of the controller as a detector and of the compact detector."""
    return [
        DetectorInfo(
            name="daclip",
            version="1",
            summary="Compares the degradation feature of the CLIP controller with one text per task.",
            load=f"{_HERE}.detector:DACLIPDetector",
            options=f"{_HERE}.options:DACLIPDetection",
            resources=f"{_HERE}.resources:detector_files",
            tasks=TEN_NAMES,
            training=Training.EXTERNAL,
            citation=_DACLIP,
            licence="MIT",
            test_options=_UNTRAINED,
        ),
        DetectorInfo(
            name="daclip-compact",
            version="1",
            summary="The small controller in the package; abstains unless a task is far likelier than `clean`.",
            load=f"{_HERE}.compact:load_detector",
            options=f"{_HERE}.options:CompactDetection",
            tasks=TEN_NAMES,
            training=Training.SAME_SYNTHESIS,
            citation=_DACLIP,
            licence="MIT",
        ),
    ]

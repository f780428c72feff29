"""DA-CLIP + IR-SDE, the reference method: restorer and detector, and the networks without contexts beside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from restorebench import TEN_NAMES, DetectorInfo, RestorerInfo, Tiling, Training, WeightFile, hookimpl

if TYPE_CHECKING:
    from restorebench_daclip.options import DACLIPDetection, DACLIPRestoration

_UNTRAINED: dict[str, Any] = {"weights": "untrained"}
_BRIEF = {**_UNTRAINED, "prediction": "data", "steps": 2}  # the noise head magnifies what an untrained net does
_DACLIP = "Luo et al., Controlling Vision-Language Models for Multi-Task Image Restoration, ICLR 2024"
_IR_SDE = "Luo et al., Image Restoration with Mean-Reverting Stochastic Differential Equations, ICML 2023"
_REFUSION = "Luo et al., Refusion, CVPR workshops 2023"
_DATA = ("GoPro", "RESIDE-6k", "LOL", "RainDrop", "Rain100H", "SRD", "Snow100K", "CelebA-HQ", "DIV2K", "Flickr2K")


def restorer_files(options: DACLIPRestoration) -> Sequence[WeightFile]:
    """Name the published files that `daclip-irsde` needs."""
    from restorebench_daclip.published import PUBLISHED

    return PUBLISHED[options.weights].files if options.weights in PUBLISHED else ()


def detector_files(options: DACLIPDetection) -> Sequence[WeightFile]:
    """Name the published file that the detector needs."""
    from restorebench_daclip.published import PUBLISHED

    return (PUBLISHED[options.weights].controller,) if options.weights in PUBLISHED else ()


@hookimpl
def restorebench_restorers() -> list[RestorerInfo]:
    """Offer the reference method and its two relatives."""
    module = "restorebench_daclip"
    return [
        RestorerInfo(
            name="daclip-irsde",
            version="1",
            summary="Mean-reverting diffusion under what a CLIP controller sees: content and degradation.",
            load=f"{module}.restorers:DACLIPIRSDE",
            options=f"{module}.options:DACLIPRestoration",
            resources=restorer_files,
            tasks=TEN_NAMES,
            tiling=Tiling.HARMFUL,  # attention looks at the whole image
            stochastic=True,
            training=Training.EXTERNAL,
            training_data=_DATA,
            citation=_DACLIP,
            licence="MIT",
            test_options={**_BRIEF, "sampler": "multistep-ode"},
        ),
        RestorerInfo(
            name="ir-sde",
            version="1",
            summary="Mean-reverting diffusion trained for one task.",
            load=f"{module}.restorers:IRSDE",
            options=f"{module}.options:SingleTask",
            tiling=Tiling.HARMFUL,  # attention looks at the whole image
            stochastic=True,
            training=Training.EXTERNAL,
            citation=_IR_SDE,
            licence="MIT",
            test_options={**_BRIEF, "sampler": "posterior"},
        ),
        RestorerInfo(
            name="refusion",
            version="1",
            summary="Mean-reverting diffusion with an activation-free network, trained for one task.",
            load=f"{module}.restorers:Refusion",
            options=f"{module}.options:SingleTask",
            tiling=Tiling.HARMFUL,  # its channel attention averages over the whole image
            stochastic=True,
            training=Training.EXTERNAL,
            citation=_REFUSION,
            licence="MIT",
            test_options={**_BRIEF, "sampler": "ode"},
        ),
    ]


@hookimpl
def restorebench_detectors() -> list[DetectorInfo]:
    """Offer the controller as a detector."""
    return [
        DetectorInfo(
            name="daclip",
            version="1",
            summary="The degradation feature of the CLIP controller against one text per task.",
            load="restorebench_daclip.detector:DACLIPDetector",
            options="restorebench_daclip.options:DACLIPDetection",
            resources=detector_files,
            tasks=TEN_NAMES,
            training=Training.EXTERNAL,
            citation=_DACLIP,
            licence="MIT",
            test_options=_UNTRAINED,
        )
    ]

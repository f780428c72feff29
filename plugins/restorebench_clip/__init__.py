"""Detectors with CLIP: a zero-shot detector, and a linear probe on CLIP's features."""

from __future__ import annotations

from restorebench import TEN_NAMES, DetectorInfo, Training, hookimpl

_CLIP = "Radford et al., Learning Transferable Visual Models From Natural Language Supervision, ICML 2021"


@hookimpl
def restorebench_detectors() -> list[DetectorInfo]:
    """Offer the zero-shot detector and the probe."""
    return [
        DetectorInfo(
            name="clip-zero-shot",
            version="1",
            summary="Any CLIP of open_clip, asked which of the tasks' sentences fits an image best.",
            load="restorebench_clip.detectors:ZeroShot",
            options="restorebench_clip.options:ZeroShotOptions",
            resources="restorebench_clip.published:files",
            tasks=TEN_NAMES,
            training=Training.EXTERNAL,
            citation=_CLIP,
            licence="as the weights say",
            test_options={"weights": "untrained"},
        ),
        DetectorInfo(
            name="clip-probe",
            version="1",
            summary="A linear model on the image features of a CLIP, fitted on a folder of examples.",
            load="restorebench_clip.detectors:Probe",
            options="restorebench_clip.options:ProbeOptions",
            resources="restorebench_clip.published:files",
            training=Training.EXTERNAL,
            citation=_CLIP,
            licence="as the weights say",
        ),
    ]

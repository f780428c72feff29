"""Baselines without a network: `identity`, a classical method per task, a yardstick, a statistical detector."""

from __future__ import annotations

from restorebench import TEN_NAMES, DetectorInfo, RestorerInfo, Tiling, Training, hookimpl


@hookimpl
def restorebench_restorers() -> list[RestorerInfo]:
    """Offer the floor, the classical methods and the tone yardstick."""
    return [
        RestorerInfo(
            name="identity",
            version="1",
            summary="Returns its input: the floor that every method has to leave behind.",
            load="restorebench_classical.yardsticks:load_identity",
        ),
        RestorerInfo(
            name="classical",
            version="1",
            summary="A classical method per task told, tuned on our own synthesis; told none, returns its input.",
            load="restorebench_classical.restorers:load_classical",
            tasks=TEN_NAMES,
            acts_when_told=True,
            tiling=Tiling.HARMFUL,
            training=Training.SAME_SYNTHESIS,
            citation="One paper per method; see the plugin's README.",
        ),
        RestorerInfo(
            name="global-affine",
            version="1",
            summary="Fits a*y+b per channel to the ground truth: how much of a gain is only tone.",
            load="restorebench_classical.yardsticks:load_global_affine",
            tiling=Tiling.HARMFUL,
            yardstick=True,
        ),
    ]


@hookimpl
def restorebench_detectors() -> list[DetectorInfo]:
    """Offer the detector that reads image statistics, and the floor."""
    return [
        DetectorInfo(
            name="statistics",
            version="2",
            summary="A linear model on hand-made image statistics; labels half of all clean images, too.",
            load="restorebench_classical.detector:load",
            options="restorebench_classical.options:StatisticsOptions",
            tasks=TEN_NAMES,
            training=Training.SAME_SYNTHESIS,
        ),
        DetectorInfo(
            name="constant",
            version="1",
            summary="Says the same of every image, nothing by default: the floor for detectors.",
            load="restorebench_classical.yardsticks:load_constant",
            options="restorebench_classical.options:ConstantOptions",
            tasks=TEN_NAMES,
        ),
        DetectorInfo(
            name="random",
            version="1",
            summary="Names one of the ten tasks at random: what a label is worth beside that of a detector.",
            load="restorebench_classical.yardsticks:load_random",
            options="restorebench_classical.options:RandomOptions",
            tasks=TEN_NAMES,
        ),
    ]

"""Cards of AirNet, one network for several degradations that is not told which one an image has."""

from __future__ import annotations

from restorebench import TEN_NAMES, RestorerInfo, Tiling, Training, hookimpl

_CITATION = "Li et al., All-In-One Image Restoration for Unknown Corruption, CVPR 2022"


@hookimpl
def restorebench_restorers() -> list[RestorerInfo]:
    """Return the cards of the method and of a small network for ten tasks."""
    return [
        RestorerInfo(
            name="airnet",
            version="1",
            summary="One network for noise, rain and haze, guided by its own encoder of the degradation.",
            load="restorebench_airnet.restorers:AirNetRestorer",
            options="restorebench_airnet.options:AirNetRestoration",
            resources="restorebench_airnet.published:files",
            tasks=("hazy", "noisy", "rainy"),
            tiling=Tiling.ALLOWED,
            training=Training.EXTERNAL,
            training_data=("BSD400", "WED", "Rain100L", "RESIDE OTS"),
            citation=_CITATION,
            licence="none stated",
            test_options={"weights": "untrained"},
        ),
        RestorerInfo(
            name="airnet-compact",
            version="1",
            summary="A small network for ten tasks, guided by its own encoder; it comes with the package.",
            load="restorebench_airnet.compact:load_restorer",
            options="restorebench_airnet.options:CompactRestoration",
            tasks=TEN_NAMES,
            tiling=Tiling.HARMFUL,  # its guide holds a mean over the image or tile
            training=Training.SAME_SYNTHESIS,
            training_data=("BSDS500", "SICE part 1"),
            citation=_CITATION,
            licence="MIT",
        ),
    ]

"""The ten synthesisers of the canonical tasks, and composites of any of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from restorebench import TEN, DegradationInfo, Stage, Task, hookimpl

_HAZE = "1"
"""Version of `hazy`. Rain and snow can carry its veil, so their versions end in it."""
_BY_NAME = {task.name: task for task in TEN}


def _card(
    name: str, stage: Stage, summary: str, citation: str = "", version: str = "1", **presets: Mapping[str, Any]
) -> DegradationInfo:
    """Make the card of one of the ten: module and class follow from the task's name."""
    class_name = name.title().replace("-", "")
    return DegradationInfo(
        name=name,
        version=version,
        summary=summary,
        load=f"restorebench_degradations.{name.replace('-', '_')}:{class_name}",
        options=f"restorebench_degradations.options:{class_name}",
        citation=citation,
        task=_BY_NAME[name],
        stage=stage,
        presets={preset.replace("_", "-"): settings for preset, settings in presets.items()},
    )


@hookimpl
def restorebench_degradations() -> list[DegradationInfo]:
    """Offer the ten tasks in canonical order, then `composite`."""
    return [  # not formatted, see below: two lines a card read as a table
        _card("motion-blurry", Stage.MOTION, "Blur along a random path, in linear light",
              "Nah et al., GoPro, CVPR 2017", daclip={"severity": 2}),
        _card("hazy", Stage.HAZE, "Haze over an invented depth that follows the edges",
              "Li et al., RESIDE, TIP 2019", version=_HAZE, daclip={"severity": 3}),
        _card("jpeg-compressed", Stage.CODEC, "JPEG, 4:2:0, by Pillow's encoder",
              daclip={"quality": 10, "severity": 4}),
        _card("low-light", Stage.EXPOSURE, "Short exposure in linear light, with shot and read noise",
              "Brooks et al., Unprocessing, CVPR 2019", daclip={"severity": 4}),
        _card("noisy", Stage.SENSOR, "White Gaussian noise, independent per channel",
              daclip={"sigma": 50, "severity": 4}, airnet_15={"sigma": 15, "severity": 1},
              airnet_25={"sigma": 25, "severity": 2}, airnet_50={"sigma": 50, "severity": 4}),
        _card("raindrop", Stage.LENS, "Drops on glass that show the scene upside down",
              "Qian et al., RainDrop, CVPR 2018", daclip={"severity": 3}),
        _card("rainy", Stage.PARTICLES, "Additive rain streaks in one to five directions",
              "Yang et al., Rain100, CVPR 2017", version=f"1.{_HAZE}", daclip={"severity": 3},
              rain100l={"severity": 2}, rain100h={"severity": 3}),
        _card("shadowed", Stage.SHADOW, "A soft, slightly bluish shadow",
              "Inoue and Yamasaki, SynShadow, TCSVT 2021", daclip={"severity": 3}),
        _card("snowy", Stage.PARTICLES, "Snow flakes in up to three sizes",
              "Liu et al., Snow100K, TIP 2018", version=f"1.{_HAZE}", daclip={"severity": 4},
              snow100k_s={"severity": 1}, snow100k_m={"severity": 3}, snow100k_l={"severity": 4}),
        _card("uncompleted", Stage.MASK, "Thick strokes replaced by white",
              "Lugmayr et al., RePaint, CVPR 2022", daclip={"area": 0.297, "severity": 3}),
        DegradationInfo(
            name="composite",
            version="1",
            summary="Several degradations in the order of the light's way, or in that of CDD-11",
            load="restorebench_degradations.composite:Composite",
            options="restorebench_degradations.options:Composite",
            citation="Guo et al., OneRestore, ECCV 2024",
            task=Task("composite", "Composite degradations", "composite"),
            stage=Stage.SHADOW,  # of its own, where it begins; its parts have theirs
            test_options={"parts": ["hazy", "rainy"]},
        ),
    ]  # fmt: skip

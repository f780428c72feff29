"""Options of the diffusion restorers and of the detector."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from restorebench.toolbox.options import PluginOptions, Temperature
from restorebench_daclip.published import PUBLISHED

Published = Literal["universal-ir", "universal-ir-mix", "wild-ir"]
Untrained = Literal["untrained"]
UNTRAINED = "untrained"


class Sampling(PluginOptions):
    """How a state is led from noise to an image, and how the network computes."""

    sampler: Literal["posterior", "sde", "ode", "multistep-ode", "multistep-sde"] = Field(
        "posterior",
        description="`posterior` and `sde` (the paper's) and `ode` take every step; the others skip most of them",
    )
    steps: int | None = Field(
        None, ge=1, le=1000, description="evaluations of the network; the schedule's 100, or 10 for multistep"
    )
    order: Literal[1, 2] = Field(2, description="of the multistep solvers")
    form: Literal["data", "noise"] = Field("data", description="what the multistep solvers hold over a step")
    grid: Literal["time", "log-snr"] = Field(
        "time", description="how the multistep solvers space their evaluations"
    )
    schedule: Literal["cosine", "linear", "constant"] = Field("cosine", description="of the speed of reversion")
    trained_steps: int = Field(100, ge=1, le=10_000, description="steps of the schedule in training")
    max_sigma: float = Field(50, gt=0, description="lambda in grey levels, or in image units below 1")
    prediction: Literal["noise", "data"] = Field(
        "noise", description="what the network was trained to predict: the noise, or clean minus degraded"
    )
    precision: Literal["fp32", "bf16", "fp16"] = Field("fp32", description="of convolutions and attention")
    retry_in_fp32: bool = Field(False, description="repeat a batch in fp32 where lower precision gave NaN")
    compile: bool = Field(False, description="compile the network with torch.compile: slow once, then faster")

    @property
    def evaluations(self) -> int:
        """How often the network is evaluated per image."""
        return self.steps or (10 if self.sampler.startswith("multistep") else self.trained_steps)

    @model_validator(mode="after")
    def _possible(self) -> Sampling:
        if self.sampler.startswith("multistep") and self.evaluations > self.trained_steps:
            raise ValueError(f"steps: {self.steps} are more than the schedule's {self.trained_steps}")
        return self


class DACLIPRestoration(Sampling):
    """DA-CLIP + IR-SDE."""

    weights: Published | Untrained | Path = Field(
        "universal-ir", description="published weights, a file of the U-Net's, or `untrained`: a tiny random one"
    )
    controller: Path | None = Field(
        None,
        description="file of the controller's weights, beside a U-Net from a file; found by itself where "
        "both lie in one folder under their published names",
    )
    contexts: Literal["controller", "told"] = Field(
        "controller",
        description="`told` takes the degradation feature from the text of what is told, the image's as before",
    )
    crop: Literal["center", "whole"] = Field(
        "center", description="what the controller sees: a centred square, or the whole image squeezed into one"
    )

    @model_validator(mode="before")
    @classmethod
    def _with_partner(cls, given: Any) -> Any:
        """Name the controller where it lies beside a U-Net of a published name."""
        if not isinstance(given, dict) or given.get("controller") is not None:
            return given
        path = Path(str(given.get("weights", "")))
        partners = {pair.restorer.name: pair.controller.name for pair in PUBLISHED.values()}
        beside = path.with_name(partners[path.name]) if path.name in partners else None
        return {**given, "controller": beside} if beside is not None and beside.is_file() else given

    @model_validator(mode="after")
    def _complete(self) -> DACLIPRestoration:
        if isinstance(self.weights, Path) and self.controller is None:
            raise ValueError("weights from a file need `controller`, the file of the other half")
        if self.controller is not None and not isinstance(self.weights, Path):
            raise ValueError(f"controller: {self.weights} has its own; give it beside weights from a file")
        return self


class SingleTask(Sampling):
    """IR-SDE or Refusion without contexts."""

    weights: Untrained | Path = Field(
        description="file of the network's weights, or `untrained`: a tiny random one"
    )


class DACLIPDetection(PluginOptions):
    """The controller as a detector."""

    weights: Published | Untrained | Path = Field(
        "universal-ir", description="controller of published weights, a file, or `untrained`: a tiny random one"
    )
    crop: Literal["center", "whole"] = Field("center", description="what the controller sees; see `daclip-irsde`")
    temperature: Temperature = 0.01  # of cosines; as published
    prompts: dict[str, str] = Field(
        default_factory=dict, description="words for a task, in place of its own prompt"
    )
    least: float = Field(0, ge=0, le=1, description="abstain where no task is as probable as this")

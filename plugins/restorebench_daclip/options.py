"""Options of the diffusion restorers and of the detector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from restorebench import RestorebenchError
from restorebench.toolbox.clip_images import Crop
from restorebench.toolbox.options import PluginOptions, Temperature
from restorebench_daclip.published import PUBLISHED

Published = Literal["universal-ir", "universal-ir-mix", "wild-ir"]
Untrained = Literal["untrained"]
UNTRAINED = "untrained"


@dataclass(frozen=True)
class OfTraining:
    """What a network was trained with; the published networks by default.

    steps: of the schedule. max_sigma: lambda in grey levels, or in image units below 1.
    """

    prediction: Literal["noise", "data"] = "noise"
    steps: int = 100
    max_sigma: float = 50.0

    def notes(self) -> dict[str, Any]:
        """Return what is kept beside the weights: the options that a user would have to give, by their names."""
        return {"prediction": self.prediction, "trained_steps": self.steps, "max_sigma": self.max_sigma}


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
    trained_steps: int | None = Field(
        None, ge=1, le=10_000, description="steps of the schedule in training; as the weights say, or 100"
    )
    max_sigma: float | None = Field(
        None, gt=0, description="lambda in grey levels, or in image units below 1; as the weights say, or 50"
    )
    prediction: Literal["noise", "data"] | None = Field(
        None,
        description="what the network predicts, clean minus degraded or noise; as the weights say, or noise",
    )
    precision: Literal["fp32", "bf16", "fp16"] = Field("fp32", description="of convolutions and attention")
    retry_in_fp32: bool = Field(False, description="repeat a batch in fp32 where lower precision gave NaN")
    compile: bool = Field(False, description="compile the network with torch.compile: slow once, then faster")

    @property
    def evaluations(self) -> int:
        """How often the network is evaluated per image."""
        return self.steps or (10 if self.sampler.startswith("multistep") else self.of_training.steps)

    @property
    def of_training(self) -> OfTraining:
        """What the network was trained with, the published values where nothing else was said."""
        published = OfTraining()
        return OfTraining(
            self.prediction or published.prediction,
            self.trained_steps or published.steps,
            self.max_sigma or published.max_sigma,
        )

    def settled(self, notes: Mapping[str, Any], weights: object) -> Self:
        """Fill in what the weights say of their training, under the names of these options.

        Raises:
            RestorebenchError: the options say something else.
        """
        if strange := sorted(notes.keys() - OfTraining().notes().keys()):
            raise RestorebenchError(f"{weights} says {strange[0]!r} of its training, which means nothing here")
        for name, noted in notes.items():
            if (given := getattr(self, name)) not in (None, noted):
                raise RestorebenchError(f"{name}: {given}, but {weights} was trained with {noted}; leave it out")
        return type(self).model_validate({**self.model_dump(), **notes})

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.sampler.startswith("multistep") and self.evaluations > self.of_training.steps:
            raise ValueError(f"steps: {self.steps} are more than the schedule's {self.of_training.steps}")
        return self


class UnderContexts(Sampling):
    """What a controller contributes."""

    contexts: Literal["controller", "told"] = Field(
        "controller",
        description="`told` takes the degradation feature from the words of what is told, the image's as before",
    )
    crop: Crop | None = Field(
        None,
        description="what the controller sees: a centred square of the shorter side, the whole image squeezed into"
        " one, or a centred square at `native` resolution; as its weights say, or `center`",
    )


class DACLIPRestoration(UnderContexts):
    """DA-CLIP + IR-SDE."""

    weights: Published | Untrained | Path = Field(
        "universal-ir", description="published weights, a file of the U-Net's, or `untrained`: a tiny random one"
    )
    controller: Path | None = Field(
        None,
        description="file of the controller's weights, beside a U-Net from a file; found by itself where "
        "both lie in one folder under their published names",
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


class CompactRestoration(UnderContexts):
    """The small networks that come with the package."""

    sampler: Literal["posterior", "sde", "ode", "multistep-ode", "multistep-sde"] = Field(
        "multistep-ode", description="one of the published, or an exponential integrator for few evaluations"
    )
    steps: int | None = Field(
        1, ge=1, le=1000, description="evaluations of the network; null takes 100, or 10 for multistep"
    )


class Detecting(PluginOptions):
    """How a verdict is reached."""

    views: Literal["one", "all"] = Field(
        "one", description="what `crop` makes of the image, or the mean over parts of it that cover all of it"
    )
    crop: Crop | None = Field(None, description="what the controller sees; see `daclip-irsde`")
    least: float = Field(0, ge=0, le=1, description="abstain where no task is as probable as this")
    against_clean: float = Field(
        1, gt=0, description="abstain where no task is so many times as probable as `clean`, if that is known"
    )


class CompactDetection(Detecting):
    """The small controller that comes with the package."""

    views: Literal["one", "all"] = Field("all", description="the centre alone, or the mean over all of the image")
    temperature: Temperature = 0.08  # of cosines; among 0.04 to 0.1 the likeliest for photographs not trained on
    against_clean: float = Field(
        8, gt=0, description="abstain where no task is so many times as probable as `clean`; 1 names more"
    )


class DACLIPDetection(Detecting):
    """The controller as a detector."""

    weights: Published | Untrained | Path = Field(
        "universal-ir", description="controller of published weights, a file, or `untrained`: a tiny random one"
    )
    temperature: Temperature = 0.01  # of cosines; as published
    prompts: dict[str, str] = Field(
        default_factory=dict, description="words for a task, in place of its own prompt"
    )

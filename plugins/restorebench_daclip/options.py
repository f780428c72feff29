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
    """The settings that a network was trained with; by default those of the published networks.

    steps: number of steps of the schedule. max_sigma: lambda in grey levels, or in image units if below 1.
    """

    prediction: Literal["noise", "data"] = "noise"
    steps: int = 100
    max_sigma: float = 50.0

    def notes(self) -> dict[str, Any]:
        """Return the settings to store with the weights, by the names of the options that they replace."""
        return {"prediction": self.prediction, "trained_steps": self.steps, "max_sigma": self.max_sigma}


class Sampling(PluginOptions):
    """Options of the sampler and of the precision of the network."""

    sampler: Literal["posterior", "sde", "ode", "multistep-ode", "multistep-sde"] = Field(
        "posterior",
        description="`posterior`, `sde` (used in the paper) and `ode` take every step; the others skip most steps",
    )
    steps: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="evaluations of the network; by default all steps of the schedule, or 10 for multistep",
    )
    order: Literal[1, 2] = Field(2, description="order of the multistep solvers")
    form: Literal["data", "noise"] = Field(
        "data", description="the prediction that the multistep solvers extrapolate over a step"
    )
    grid: Literal["time", "log-snr"] = Field(
        "time", description="how the multistep solvers space their evaluations"
    )
    schedule: Literal["cosine", "linear", "constant"] = Field(
        "cosine", description="how the reversion speed changes over steps"
    )
    trained_steps: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="steps of the schedule in training; by default as the weights say, or 100",
    )
    max_sigma: float | None = Field(
        None,
        gt=0,
        description="lambda in grey levels, or in image units if below 1; by default as the weights say, or 50",
    )
    prediction: Literal["noise", "data"] | None = Field(
        None,
        description="what the network predicts: noise, or `data`, which is clean minus degraded; by default as the"
        " weights say, or noise",
    )
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32", description="precision of convolutions and attention"
    )
    retry_in_fp32: bool = Field(
        False, description="repeat a batch in fp32 if a lower precision gave NaN or infinity"
    )
    compile: bool = Field(False, description="compile the network with torch.compile: slow once, then faster")

    @property
    def evaluations(self) -> int:
        """The number of evaluations of the network per image."""
        return self.steps or (10 if self.sampler.startswith("multistep") else self.of_training.steps)

    @property
    def of_training(self) -> OfTraining:
        """The settings that the network was trained with; published values where an option is not set."""
        published = OfTraining()
        return OfTraining(
            self.prediction or published.prediction,
            self.trained_steps or published.steps,
            self.max_sigma or published.max_sigma,
        )

    def settled(self, notes: Mapping[str, Any], weights: object) -> Self:
        """Return these options with the settings that are stored with the weights.

        Raises:
            RestorebenchError: an option contradicts a stored setting, or a stored setting is unknown.
        """
        if unknown := sorted(notes.keys() - OfTraining().notes().keys()):
            known = ", ".join(OfTraining().notes())
            raise RestorebenchError(f"{weights}: unknown setting {unknown[0]!r} in its notes; known: {known}")
        for name, noted in notes.items():
            if (given := getattr(self, name)) not in (None, noted):
                raise RestorebenchError(
                    f"{name}: {given}, but {weights} was trained with {noted}; leave the option out"
                )
        return type(self).model_validate({**self.model_dump(), **notes})

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.sampler.startswith("multistep") and self.evaluations > self.of_training.steps:
            raise ValueError(f"steps: {self.steps} are more than the schedule's {self.of_training.steps}")
        return self


class UnderContexts(Sampling):
    """Options of the contexts that a controller computes."""

    contexts: Literal["controller", "told"] = Field(
        "controller",
        description="source of the degradation feature: the controller, or the words of the `told` tasks; the"
        " content feature always comes from the controller",
    )
    crop: Crop | None = Field(
        None,
        description="what the controller sees: a centred square of the shorter side, the whole image squeezed into"
        " a square, or a centred square at `native` resolution; by default as its weights say, or `center`",
    )


class DACLIPRestoration(UnderContexts):
    """Options of DA-CLIP + IR-SDE."""

    weights: Published | Untrained | Path = Field(
        "universal-ir", description="published weights, a file of a U-Net, or `untrained`: a tiny random U-Net"
    )
    controller: Path | None = Field(
        None,
        description="file of the controller's weights, if the U-Net is from a file; found automatically if "
        "both files are in one folder under their published names",
    )

    @model_validator(mode="before")
    @classmethod
    def _with_partner(cls, given: Any) -> Any:
        """Fill in the controller's file if it lies in the folder of a U-Net with a published name."""
        if not isinstance(given, dict) or given.get("controller") is not None:
            return given
        path = Path(str(given.get("weights", "")))
        partners = {pair.restorer.name: pair.controller.name for pair in PUBLISHED.values()}
        beside = path.with_name(partners[path.name]) if path.name in partners else None
        return {**given, "controller": beside} if beside is not None and beside.is_file() else given

    @model_validator(mode="after")
    def _complete(self) -> DACLIPRestoration:
        if isinstance(self.weights, Path) and self.controller is None:
            raise ValueError("weights from a file need `controller`, the file of the controller's weights")
        if self.controller is not None and not isinstance(self.weights, Path):
            raise ValueError(f"controller: {self.weights} has its own; set it only with weights from a file")
        return self


class SingleTask(Sampling):
    """Options of IR-SDE and Refusion, which have no contexts."""

    weights: Untrained | Path = Field(
        description="file of the network's weights, or `untrained`: a tiny random network"
    )


class CompactRestoration(UnderContexts):
    """Options of the small restorer that comes with the package."""

    sampler: Literal["posterior", "sde", "ode", "multistep-ode", "multistep-sde"] = Field(
        "multistep-ode", description="a published sampler, or an exponential integrator for few evaluations"
    )
    steps: int | None = Field(
        1, ge=1, le=1000, description="evaluations of the network; null means 100, or 10 for multistep"
    )


class Detecting(PluginOptions):
    """Options of the decision."""

    views: Literal["one", "all"] = Field(
        "one", description="the view that `crop` gives, or the mean over parts that cover the whole image"
    )
    crop: Crop | None = Field(None, description="what the controller sees; see `daclip-irsde`")
    least: float = Field(0, ge=0, le=1, description="abstain if no task is at least this probable")
    against_clean: float = Field(
        1, gt=0, description="abstain unless a task is this many times as probable as `clean`, if `clean` is known"
    )


class CompactDetection(Detecting):
    """Options of the small detector that comes with the package."""

    views: Literal["one", "all"] = Field(
        "all", description="the centre alone, or the mean over parts that cover the whole image"
    )
    # for cosines; of the values from 0.04 to 0.1 the most likely one on photographs that were not trained on
    temperature: Temperature = 0.08
    against_clean: float = Field(
        8, gt=0, description="abstain unless a task is this many times as probable as `clean`; 1 names more tasks"
    )


class DACLIPDetection(Detecting):
    """Options of the controller as a detector."""

    weights: Published | Untrained | Path = Field(
        "universal-ir",
        description="controller of published weights, a file, or `untrained`: a tiny random network",
    )
    temperature: Temperature = 0.01  # for cosines; as published
    prompts: dict[str, str] = Field(
        default_factory=dict, description="prompts by task, which replace the tasks' own"
    )

"""The configuration of a training run, in YAML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from restorebench.contract.errors import MissingResource, RestorebenchError
from restorebench.suite.marked_yaml import parse_value, read
from restorebench.suite.substitution import assignment
from restorebench.toolbox.options import PluginOptions


class Reuse(PluginOptions):
    """Reuse of pairs: they are held in memory, and each serves several samples."""

    slots: int = Field(
        320, ge=1, description="number of pairs held; each process of `workers` holds those it needs"
    )
    uses: int = Field(8, ge=1, description="samples of each pair")


class Data(PluginOptions):
    """The source of pairs: folders of pairs, or clean photographs that are degraded on the fly."""

    pairs: Path | None = Field(None, description="folder of <task>/{GT,LQ}, paired by stem")
    clean: Path | Literal["embedded"] | None = Field(
        None, description="folder of clean photographs, or `embedded`, for the benchmark's own synthesis"
    )
    severities: tuple[int, ...] = Field((1, 2, 3, 4, 5), min_length=1, description="severities of the synthesis")
    tasks: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="tasks, drawn equally often; by default those of the ten that `pairs` has, or all ten; for"
        " validation those of the training",
    )
    limit: int | None = Field(
        None, ge=1, description="largest number of pairs per task, or of clean photographs, that is used"
    )
    vary: bool = Field(
        False, description="change size, colour and tone of clean photographs at random before they are degraded"
    )
    clean_share: float = Field(0, ge=0, lt=1, description="share of the training inputs that are left clean")
    reuse: Reuse | None = Field(None, description="hold pairs for several samples, if making them is slow")

    @model_validator(mode="after")
    def _one_source(self) -> Data:
        if (self.pairs is None) == (self.clean is None):
            raise ValueError("give either `pairs` or `clean`")
        if self.vary and self.clean is None:
            raise ValueError("vary: pairs are degraded already; give `clean`")
        return self


class Average(PluginOptions):
    """The exponential moving average of the weights."""

    model_config = ConfigDict(allow_inf_nan=False)

    decay: float = Field(0.995, ge=0, lt=1)
    every: int = Field(10, ge=1, description="iterations between updates")
    start: int = Field(100, ge=0, description="iteration up to which it is a copy of the weights")


Beta = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(gt=0, le=1)]


class Training(PluginOptions):
    """The options that all trainings share."""

    model_config = ConfigDict(allow_inf_nan=False)

    output: Path = Field(description="folder for checkpoints, logs and validation images")
    data: Data
    validation: Data | None = Field(None, description="data for validation; without them there is none")
    seed: int = Field(0, ge=0, lt=2**63)
    iterations: int = Field(ge=1, description="steps of the optimiser")
    batch_size: int = Field(16, ge=1, description="samples per process and per part of an accumulated step")
    accumulate: int = Field(1, ge=1, description="parts of a step, whose gradients are averaged")
    optimiser: Literal["adamw", "adam", "lion"] = "adamw"
    learning_rate: float = Field(2e-4, gt=0, le=1)
    betas: tuple[Beta, Beta] = (0.9, 0.99)
    epsilon: float = Field(1e-8, gt=0, description="of adamw and adam")
    weight_decay: float = Field(0, ge=0, description="not applied to biases and gains")
    rates: dict[str, Annotated[float, Field(gt=0, le=1)]] | None = Field(
        None, description="learning rates in place of `learning_rate`, for parameters by a part of their names"
    )
    schedule: Literal["cosine", "multistep", "restarts", "constant"] = "cosine"
    least_rate: float = Field(1e-6, ge=0, le=1, description="final rate of `cosine`")
    milestones: tuple[int | tuple[int, Share], ...] = Field(
        (), description="iterations after which `multistep` halves the rate, or multiplies it: [iteration, factor]"
    )
    periods: tuple[tuple[Annotated[int, Field(ge=1)], Annotated[float, Field(ge=0, le=1)]], ...] | None = Field(
        None,
        min_length=1,
        description="of `restarts`: [iterations, least rate] each, a cosine from the base rate to the least one",
    )
    warm_up: int = Field(0, ge=0, description="iterations over which the rate rises from 0")
    clip_norm: float | None = Field(None, gt=0, description="largest norm of a step's gradient")
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    average: Average | None = None
    workers: int = Field(0, ge=0, description="processes that prepare data")
    log_every: int = Field(100, ge=1)
    save_every: int = Field(5000, ge=1)
    validate_every: int = Field(5000, ge=1)
    validation_images: int = Field(20, ge=1)

    @model_validator(mode="after")
    def _restarts(self) -> Self:
        if (self.schedule == "restarts") != (self.periods is not None):
            raise ValueError("periods: they belong to `schedule: restarts`, and it needs them")
        return self


Kind = TypeVar("Kind", bound=Training)


def load(path: Path, kind: type[Kind], overrides: Sequence[str] = ()) -> Kind:
    """Read a configuration.

    overrides: `key.path=value`, in YAML. Paths in the file are relative to its folder, those in overrides to the
    working directory.

    Raises:
        MissingResource: there is no such file.
        RestorebenchError: it is not YAML, or a value does not fit; the message names the key.
    """
    if not path.is_file():
        raise MissingResource(f"{path}: no such file")
    raw = _mapping(parse_value(read(path), str(path)), str(path))
    changes = [assignment(text, "batch_size=8") for text in overrides]
    for keys, value in changes:
        section = raw
        for depth, parent in enumerate(keys[:-1], 1):
            section[parent] = section = _mapping(
                section.get(parent), f"--set {'.'.join(keys)}: {'.'.join(keys[:depth])}"
            )
        section[keys[-1]] = value
    try:
        model = kind.model_validate(raw)
    except ValidationError as error:
        raise RestorebenchError(_message(error.errors()[0], path, [keys for keys, _ in changes])) from error
    for keys, _ in changes:
        model = _anchored_below(model, keys, Path.cwd())
    return anchored(model, path.resolve().parent)


def _message(error: Mapping[str, Any], path: Path, overridden: Sequence[Sequence[str]]) -> str:
    """Return what does not fit and where it was given: in the file, or on the command line."""
    key_path = [str(part) for part in error["loc"]]
    key = ".".join(key_path)
    if any(key_path[: len(keys)] == list(keys) for keys in overridden):
        return f"--set {key}: {error['msg']}"
    fix = f"; give it there, or by --set {key}=VALUE" if error["type"] == "missing" else ""
    return ": ".join(filter(None, [str(path), key, f"{error['msg']}{fix}"]))


def _mapping(value: Any, where: str) -> dict[str, Any]:
    """Return a value that must be a mapping; an empty value is an empty mapping."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RestorebenchError(f"{where}: expected keys with values, got {value!r:.60}")
    return value


Model = TypeVar("Model", bound=BaseModel)


def anchored(model: Model, folder: Path) -> Model:
    """Make relative paths absolute, in nested models too."""
    fields = type(model).model_fields
    return model.model_copy(update={name: _absolute(getattr(model, name), folder) for name in fields})


def _anchored_below(model: Model, keys: Sequence[str], folder: Path) -> Model:
    """Make the paths below one key path of a model absolute."""
    first, *rest = keys
    value = getattr(model, first)
    if not rest:
        return model.model_copy(update={first: _absolute(value, folder)})
    if not isinstance(value, BaseModel):  # a later override replaced it
        return model
    return model.model_copy(update={first: _anchored_below(value, rest, folder)})


def _absolute(value: Any, folder: Path) -> Any:
    if isinstance(value, Path):
        return folder / value.expanduser()
    return anchored(value, folder) if isinstance(value, BaseModel) else value

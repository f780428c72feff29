"""What a training run is told, in YAML."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from restorebench.errors import MissingResource, RestorebenchError
from restorebench.tasks import TEN_NAMES
from restorebench.toolbox.options import PluginOptions


class Data(PluginOptions):
    """Where pairs come from: folders of pairs, or clean photographs that are degraded on the fly."""

    pairs: Path | None = Field(None, description="folder of <task>/{GT,LQ}, paired by stem")
    clean: Path | None = Field(None, description="folder of clean photographs for the benchmark's own synthesis")
    severities: tuple[int, ...] = Field((1, 2, 3, 4, 5), min_length=1, description="of the synthesis")
    tasks: tuple[str, ...] = Field(TEN_NAMES, min_length=1, description="each as often as the others")
    limit: int | None = Field(None, ge=1, description="use only so many images of each task or of the photographs")

    @model_validator(mode="after")
    def _one_source(self) -> Data:
        if (self.pairs is None) == (self.clean is None):
            raise ValueError("give either `pairs` or `clean`")
        return self


class Average(PluginOptions):
    """The exponential moving average of the weights."""

    decay: float = Field(0.995, ge=0, lt=1)
    every: int = Field(10, ge=1, description="iterations between updates")
    start: int = Field(100, ge=0, description="iterations before which it is a copy")


class Training(PluginOptions):
    """What both stages share."""

    output: Path = Field(description="folder for checkpoints, logs and validation images")
    data: Data
    validation: Data | None = Field(None, description="other data; none leaves validation out")
    seed: int = Field(0, ge=0)
    iterations: int = Field(ge=1, description="steps of the optimiser")
    batch_size: int = Field(16, ge=1, description="per process and part of an accumulated step")
    accumulate: int = Field(1, ge=1, description="parts of a step")
    optimiser: Literal["adamw", "adam", "lion"] = "adamw"
    learning_rate: float = Field(2e-4, gt=0)
    betas: tuple[float, float] = (0.9, 0.99)
    epsilon: float = Field(1e-8, gt=0, description="of adamw and adam")
    weight_decay: float = Field(0, ge=0, description="not applied to vectors and scalars")
    schedule: Literal["cosine", "multistep", "constant"] = "cosine"
    least_rate: float = Field(1e-6, ge=0, description="what `cosine` falls to")
    milestones: tuple[int, ...] = Field((), description="iterations at which `multistep` halves the rate")
    warm_up: int = Field(0, ge=0, description="iterations over which the rate rises from nothing")
    clip_norm: float | None = Field(None, gt=0, description="greatest norm of a step's gradient")
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    average: Average | None = None
    workers: int = Field(0, ge=0, description="processes that prepare data")
    log_every: int = Field(100, ge=1)
    save_every: int = Field(5000, ge=1)
    validate_every: int = Field(5000, ge=1)
    validation_images: int = Field(20, ge=1)


Kind = TypeVar("Kind", bound=Training)


def load(path: Path, kind: type[Kind], overrides: Sequence[str] = ()) -> Kind:
    """Read a configuration.

    overrides: `key.path=value`, in YAML. Paths in the file are relative to its folder, those in overrides to the
    working directory.

    Raises:
        MissingResource: there is no such file.
        RestorebenchError: it is no YAML, or a value does not fit; the message names the key.
    """
    if not path.is_file():
        raise MissingResource(f"{path}: no such file")
    changes = [text.partition("=") for text in overrides]
    try:
        raw: Any = yaml.safe_load(path.read_text()) or {}
        for keys, _, value in changes:
            *parents, last = keys.split(".")
            place = raw
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = yaml.safe_load(value)
        model = kind.model_validate(raw)
        for keys, _, _ in changes:
            model = _anchored_below(model, keys.split("."), Path.cwd())
        return anchored(model, path.resolve().parent)
    except yaml.YAMLError as error:
        raise RestorebenchError(f"{path}: not YAML ({str(error).splitlines()[0]})") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise RestorebenchError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


Model = TypeVar("Model", bound=BaseModel)


def anchored(model: Model, folder: Path) -> Model:
    """Make relative paths absolute, in nested models too."""
    fields = type(model).model_fields
    return model.model_copy(update={name: _placed(getattr(model, name), folder) for name in fields})


def _anchored_below(model: Model, keys: Sequence[str], folder: Path) -> Model:
    """Make the paths at one place of a model absolute."""
    first, *rest = keys
    value = getattr(model, first)
    return model.model_copy(
        update={first: _anchored_below(value, rest, folder) if rest else _placed(value, folder)}
    )


def _placed(value: Any, folder: Path) -> Any:
    if isinstance(value, Path):
        return folder / value.expanduser()
    return anchored(value, folder) if isinstance(value, BaseModel) else value

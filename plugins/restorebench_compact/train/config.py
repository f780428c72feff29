"""The configuration of training, as read from YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from restorebench.toolbox.options import PluginOptions
from restorebench.training.config import Training
from restorebench_compact.network import MULTIPLE, Sizes

Blocks = Annotated[int, Field(ge=0, le=16)]


class Crops(PluginOptions):
    """One size of training crops."""

    side: int = Field(ge=MULTIPLE, multiple_of=MULTIPLE, description="in px")
    batch: int = Field(ge=1)
    share: int = Field(1, ge=1, description="steps of this size in each round over all sizes")


class Bank(PluginOptions):
    """Whole photographs that are degraded before training and read as a memory map."""

    folder: Path | None = Field(None, description="where banks are kept; by default in the output folder")
    records: int = Field(6000, ge=11, description="photographs in a bank; the ten tasks and clean ones in turn")
    renew: int | None = Field(None, ge=1, description="iterations after which another bank is made")
    varied: float = Field(0.7, ge=0, le=1, description="share of records whose crop, size and tone are changed")


class Exponent(PluginOptions):
    """The exponent q of the loss (MSE^q - 1) / q per image, log(MSE) at q = 0; q falls linearly."""

    first: float = Field(0.5, ge=0, le=1)
    last: float = Field(0.5, ge=0, le=1)
    start: int = Field(0, ge=0, description="iteration at which q begins to fall")
    end: int = Field(1, ge=1, description="iteration from which it is `last`")

    def at(self, iteration: int) -> float:
        """Return q at an iteration."""
        share = min(max((iteration - self.start) / max(self.end - self.start, 1), 0), 1)
        return self.first + share * (self.last - self.first)


class CompactTraining(Training):
    """The configuration of training the network and its detector head together."""

    bank: Bank = Bank()
    crops: tuple[Crops, ...] = Field((Crops(side=64, batch=12),), min_length=1)
    exponent: Exponent = Exponent()
    task_weights: dict[str, Annotated[float, Field(gt=0)]] | None = Field(
        None, description="how often each task is drawn, relative to the others; by default equally often"
    )
    detection_weight: float = Field(0.5, ge=0, description="weight of the detector head's cross entropy")
    initial: Path | None = Field(
        None, description="file of weights to start from, for a network of the same sizes"
    )
    widths: tuple[Annotated[int, Field(ge=8, le=512)], ...] = Field(Sizes.widths, min_length=4, max_length=4)
    down: tuple[Blocks, ...] = Field(Sizes.down, min_length=3, max_length=3)
    up: tuple[Blocks, ...] = Field(Sizes.up, min_length=3, max_length=3)
    middle: Blocks = Sizes.middle
    after: Blocks = Sizes.after
    overview: bool = Field(True, description="show the network the grid of the whole picture; false blanks it")

    @model_validator(mode="after")
    def _synthesis(self) -> CompactTraining:
        if self.data.clean is None:
            raise ValueError("data.clean: banks are made from clean photographs; give a folder of them")
        return self

    def sizes(self) -> Sizes:
        """Return the sizes of the network."""
        return Sizes(self.widths, self.down, self.up, self.middle, self.after)

"""The configuration of training, in YAML."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from restorebench.training.config import Training
from restorebench_airnet.network import Sizes


class AirNetTraining(Training):
    """Training of the encoder alone by contrast, then of the encoder and the restorer together."""

    patch: int = Field(128, ge=8, description="side of the two patches of an image in px")
    turn: bool = Field(True, description="flip and transpose patches at random")
    contrast_iterations: int = Field(
        40_000, ge=0, description="the first iterations, which train the encoder alone"
    )
    width: int = Field(64, ge=8, le=512, description="channels of features")
    groups: int = Field(5, ge=1, le=16)
    blocks: int = Field(5, ge=1, le=16, description="blocks of each group")
    deformable: Literal["all", "last"] = Field("all", description="blocks of a group with deformable convolutions")
    shuffle: Literal[1, 2, 4] = Field(
        1, description="factor by which the network's sides are smaller than the image's"
    )
    residual: bool = Field(False, description="add the input to the output")
    scene: bool = Field(False, description="add the guide's mean over the image to the guide")
    queue: int | None = Field(None, ge=1, description="keys in the queue; by default 256 per image of a batch")
    freeze_statistics: int | None = Field(
        None, ge=0, description="iterations after which batch normalisation uses its running statistics"
    )
    spectrum: float = Field(0, ge=0, description="weight of the distance between spectra")

    def sizes(self) -> Sizes:
        """Return the sizes of the network."""
        queue = 256 * self.batch_size if self.queue is None else self.queue
        return Sizes(
            self.width, self.groups, self.blocks, queue, self.deformable, self.shuffle, self.residual, self.scene
        )

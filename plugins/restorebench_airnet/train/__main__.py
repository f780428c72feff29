"""Train: `python -m restorebench_airnet.train CONFIG [--set key=value]`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from restorebench.training import command
from restorebench_airnet.train.config import AirNetTraining
from restorebench_airnet.train.stage import AirNetStage

RECIPES = Path(__file__).with_name("recipes")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the encoder, then both."""
    stages = {"airnet": command.Recipe(AirNetTraining, AirNetStage)}
    command.run("restorebench_airnet.train", stages, RECIPES, arguments)


if __name__ == "__main__":
    main()

"""Train: `python -m restorebench_daclip.train tower|controller|restorer CONFIG [--set key=value]`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from restorebench.training import command
from restorebench_daclip.train.config import ControllerTraining, RestorerTraining, TowerTraining
from restorebench_daclip.train.controller import ControllerStage
from restorebench_daclip.train.restorer import RestorerStage
from restorebench_daclip.train.tower import TowerStage

RECIPES = Path(__file__).with_name("recipes")
STAGES = {
    "tower": command.Recipe(TowerTraining, TowerStage),
    "controller": command.Recipe(ControllerTraining, ControllerStage),
    "restorer": command.Recipe(RestorerTraining, RestorerStage),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Train one stage."""
    command.run("restorebench_daclip.train", STAGES, RECIPES, arguments)


if __name__ == "__main__":
    main()

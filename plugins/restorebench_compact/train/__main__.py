"""Train: `python -m restorebench_compact.train CONFIG [--set key=value]`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from restorebench.training import command
from restorebench_compact.train.config import CompactTraining
from restorebench_compact.train.stage import CompactStage

RECIPES = Path(__file__).with_name("recipes")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the network and its detector head together."""
    stages = {"compact": command.Recipe(CompactTraining, CompactStage)}
    command.run("restorebench_compact.train", stages, RECIPES, arguments)


if __name__ == "__main__":
    main()

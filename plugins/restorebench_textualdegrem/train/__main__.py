"""Train: `python -m restorebench_textualdegrem.train mapper|clean-mapper|restorer CONFIG [--set key=value]`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from restorebench.training import command
from restorebench_textualdegrem.train.clean_mapper import CleanMapperStage
from restorebench_textualdegrem.train.config import CleanMapperTraining, GuidedTraining, MapperTraining
from restorebench_textualdegrem.train.mapper import MapperStage
from restorebench_textualdegrem.train.restorer import RestorerStage

RECIPES = Path(__file__).with_name("recipes")
STAGES = {
    "mapper": command.Recipe(MapperTraining, MapperStage),
    "clean-mapper": command.Recipe(CleanMapperTraining, CleanMapperStage),
    "restorer": command.Recipe(GuidedTraining, RestorerStage),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Train one stage."""
    command.run("restorebench_textualdegrem.train", STAGES, RECIPES, arguments)


if __name__ == "__main__":
    main()

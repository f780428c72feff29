"""Train: `python -m restorebench_daclip.train controller|restorer CONFIG [--set key=value]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from restorebench import MissingResource, RestorebenchError
from restorebench_daclip.train.config import ControllerTraining, RestorerTraining, load
from restorebench_daclip.train.controller import ControllerStage
from restorebench_daclip.train.loop import train
from restorebench_daclip.train.restorer import RestorerStage

RECIPES = Path(__file__).with_name("recipes")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train one stage; the same command again goes on where it stopped. For many GPUs start it by torchrun."""
    parser = argparse.ArgumentParser(prog="python -m restorebench_daclip.train", description=main.__doc__)
    parser.add_argument("stage", choices=("controller", "restorer"))
    parser.add_argument(
        "config", help=f"YAML file with the fields of train/config.py, or a recipe: {', '.join(_recipes())}"
    )
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "restorebench")
    given = parser.parse_args(arguments)
    try:
        if given.stage == "controller":
            options = load(_found(given.config), ControllerTraining, given.overrides)
            train(ControllerStage(options, given.cache), options)
        else:
            chosen = load(_found(given.config), RestorerTraining, given.overrides)
            train(RestorerStage(chosen, given.cache), chosen)
    except RestorebenchError as error:
        sys.exit(f"error: {error}")


def _recipes() -> list[str]:
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def _found(config: str) -> Path:
    """Return the file that a path or the name of a recipe stands for."""
    path = Path(config)
    if not path.suffix and not path.exists() and config in _recipes():
        return RECIPES / f"{config}.yaml"
    if not path.is_file():
        raise MissingResource(f"{config}: no such file, and no recipe; recipes are {', '.join(_recipes())}")
    return path


if __name__ == "__main__":
    main()

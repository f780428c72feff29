"""The command line of training: `python -m PLUGIN.train [STAGE] CONFIG [--set key=value]`."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from restorebench.contract.errors import MissingResource, RestorebenchError
from restorebench.toolbox.places import cache_folder
from restorebench.training.config import Training, load
from restorebench.training.data import KILLED, tells_of_a_loader
from restorebench.training.loop import Stage, train


@dataclass(frozen=True)
class Recipe:
    """How a stage is trained. build: makes the stage from its options and the folder of published weights."""

    options: type[Training]
    build: Callable[[Any, Path], Stage]


def run(program: str, stages: Mapping[str, Recipe], recipes: Path, arguments: Sequence[str] | None = None) -> None:
    """Train as the command-line arguments say; the same command again continues where it stopped.

    stages: by name; the command has no stage argument if there is only one. recipes: a folder of configurations
    that the command may name without folder and suffix.

    Raises:
        SystemExit: with a one-line message, if something is wrong with the configuration or the data.
    """
    names = sorted(path.stem for path in recipes.glob("*.yaml"))
    about = "Train; the same command again continues where it stopped. For several GPUs, start it with torchrun."
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=about)
    if len(stages) > 1:
        parser.add_argument("stage", choices=tuple(stages))
    parser.add_argument("config", help=f"YAML file, or a recipe: {', '.join(names)}")
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a key of the file",
    )
    parser.add_argument("--cache", type=Path, default=cache_folder(), help="folder of published weights")
    given = parser.parse_args(arguments)
    recipe = stages[given.stage] if len(stages) > 1 else next(iter(stages.values()))
    try:
        path = Path(given.config)
        if not path.suffix and not path.exists() and given.config in names:
            path = recipes / f"{given.config}.yaml"
        if not path.is_file():
            raise MissingResource(f"{path}: no such file or recipe; the recipes are {', '.join(names)}")
        options = load(path, recipe.options, given.overrides)
        train(recipe.build(options, given.cache), options)
    except RestorebenchError as error:
        _end(str(error))
    except RuntimeError as error:
        if not tells_of_a_loader(error):
            raise
        _end(KILLED)  # torch reported a second killed process while the first one was handled


def _end(message: str) -> NoReturn:
    """Exit with a one-line message, and keep torch from reporting further killed processes."""
    while signal.getsignal(signal.SIGCHLD) != signal.SIG_DFL:
        with contextlib.suppress(RuntimeError):
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    sys.exit(f"error: {message}")

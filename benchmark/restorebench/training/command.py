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
    """How a stage is trained: its options, and what builds it from them and the folder of published weights."""

    options: type[Training]
    build: Callable[[Any, Path], Stage]


def run(program: str, stages: Mapping[str, Recipe], recipes: Path, arguments: Sequence[str] | None = None) -> None:
    """Train as the arguments say; the same command again goes on where it stopped.

    stages: by the word for them; it is left out of the command where there is only one. recipes: a folder of
    configurations that may be named without their place.

    Raises:
        SystemExit: with one line, if something is wrong with the configuration or the data.
    """
    names = sorted(path.stem for path in recipes.glob("*.yaml"))
    about = "Train; the same command again goes on where it stopped. For many GPUs start it by torchrun."
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=about)
    if len(stages) > 1:
        parser.add_argument("stage", choices=tuple(stages))
    parser.add_argument("config", help=f"YAML file, or a recipe: {', '.join(names)}")
    parser.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="in place of the file's"
    )
    parser.add_argument("--cache", type=Path, default=cache_folder(), help="folder of published weights")
    given = parser.parse_args(arguments)
    recipe = stages[given.stage] if len(stages) > 1 else next(iter(stages.values()))
    try:
        path = Path(given.config)
        if not path.suffix and not path.exists() and given.config in names:
            path = recipes / f"{given.config}.yaml"
        if not path.is_file():
            raise MissingResource(f"{path}: no such file, and no recipe; recipes are {', '.join(names)}")
        options = load(path, recipe.options, given.overrides)
        train(recipe.build(options, given.cache), options)
    except RestorebenchError as error:
        _end(str(error))
    except RuntimeError as error:
        if not tells_of_a_loader(error):
            raise
        _end(KILLED)  # torch has told of another one while the first was being told


def _end(message: str) -> NoReturn:
    """End with a line, and let torch say no more of killed processes."""
    while signal.getsignal(signal.SIGCHLD) != signal.SIG_DFL:
        with contextlib.suppress(RuntimeError):
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    sys.exit(f"error: {message}")

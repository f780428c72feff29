"""Train: `python -m restorebench_daclip.train controller|restorer CONFIG [--set key=value]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from restorebench import RestorebenchError
from restorebench_daclip.train.config import ControllerTraining, RestorerTraining, load
from restorebench_daclip.train.controller import ControllerStage
from restorebench_daclip.train.loop import train
from restorebench_daclip.train.restorer import RestorerStage


def main(arguments: Sequence[str] | None = None) -> None:
    """Train one stage; the same command again goes on where it stopped. For many GPUs start it by torchrun."""
    parser = argparse.ArgumentParser(prog="python -m restorebench_daclip.train", description=main.__doc__)
    parser.add_argument("stage", choices=("controller", "restorer"))
    parser.add_argument("config", type=Path, help="YAML file; its keys are the fields in train/config.py")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "restorebench")
    given = parser.parse_args(arguments)
    try:
        if given.stage == "controller":
            options = load(given.config, ControllerTraining, given.overrides)
            train(ControllerStage(options, given.cache), options)
        else:
            chosen = load(given.config, RestorerTraining, given.overrides)
            train(RestorerStage(chosen, given.cache), chosen)
    except RestorebenchError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()

"""A restorer with a path in its options: it multiplies by the number in a file."""

from pathlib import Path

from pydantic import Field

from restorebench import RestorerInfo, hookimpl
from restorebench.toolbox.options import PluginOptions


class Options(PluginOptions):
    """Where the number is."""

    factor: Path = Field(description="file with a number")


class Scaling:
    """Multiplies; an image that is too bright for it is refused with the file's name."""

    def __init__(self, options, runtime):
        self.file = options.factor
        self.factor = float(options.factor.read_text())

    def restore(self, batch):
        if batch.degraded.mean() > 0.7:
            raise ValueError(f"{self.file} is too much for this image")
        return batch.degraded * self.factor


@hookimpl
def restorebench_restorers():
    return [RestorerInfo(name="scaling", version="1", summary="Scales.", load=Scaling, options=Options)]

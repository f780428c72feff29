"""A restorer that fails, saying which images it was given; its card asks to be told, or does not."""

from restorebench import RestorerInfo, hookimpl


class Telling:
    def __init__(self, options, runtime):
        pass

    def restore(self, batch):
        raise ValueError(f"given {' '.join(batch.samples)}")


@hookimpl
def restorebench_restorers():
    return [
        RestorerInfo(name="telling", version="1", summary="Tells its images.", load=Telling, named=True),
        RestorerInfo(name="blind", version="1", summary="Has none to tell.", load=Telling),
    ]

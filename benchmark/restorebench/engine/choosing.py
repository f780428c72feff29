"""Choice of the engine of a run: this process, worker processes beside it, or Ray actors."""

from __future__ import annotations

from restorebench.contract.errors import RestorebenchError
from restorebench.engine.engine import Engine
from restorebench.suite.settings import Settings


def chosen(settings: Settings) -> Engine:
    """Return the engine that settings ask for; only that engine is imported.

    Raises:
        RestorebenchError: there is no such engine, it is not installed, or an option belongs to another engine.
    """
    if settings.engine == "ray":
        if settings.workers == 0:
            raise RestorebenchError("--workers 0 runs in this very process: give Ray 1 or more, or leave --engine")
        from restorebench.engine.ray import engine as ray_engine

        return ray_engine.opened
    if settings.engine != "local":
        raise RestorebenchError(f"--engine {settings.engine}: there is no such engine; use local or ray")
    if settings.address is not None or settings.gpus_per_worker is not None:
        option = "--gpus-per-worker" if settings.address is None else "--address"
        raise RestorebenchError(f"{option} is for --engine ray")
    if settings.workers == 0:
        from restorebench.engine import in_process

        return in_process.opened
    from restorebench.engine import local

    return local.opened

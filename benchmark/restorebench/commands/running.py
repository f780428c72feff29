"""Run a suite from Python, as `restorebench run` does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from restorebench.runner import execute, prepare
from restorebench.suite.settings import Request, Settings

if TYPE_CHECKING:
    from restorebench.tables.reporting import Result


def run(
    suite: str,
    *,
    data: str | Path | None = None,
    out: str | Path | None = None,
    overrides: str | Sequence[str] = (),
    restorers: str | Sequence[str] | None = None,
    tasks: str | Sequence[str] | None = None,
    limit: int | None = None,
    plugins: str | Path | Sequence[str | Path] = (),
    device: str = "auto",
    workers: int = 1,
    engine: str = "local",
    address: str | None = None,
    gpus_per_worker: float | None = None,
    fresh: bool = False,
    retry_failed: bool = False,
) -> Result:
    """Run a suite by name or file, as `restorebench run` does, and return its tables.

    A single override, restorer, task or plugin may be given without a list.

    >>> methods = ["identity", "airnet-compact"]
    >>> result = run("quickstart", tasks="noisy", restorers=methods, out="runs/noisy")
    >>> result
    <Result of quickstart (version 4): 2 rows on 1 task, 0 failures, in 'runs/noisy'>

    Raises:
        RestorebenchError: the suite, its data, the folder or the device cannot be used.
    """
    settings = Settings(
        out=None if out is None else Path(out),
        data=None if data is None else Path(data),
        device=device,
        workers=workers,
        engine=engine,
        address=address,
        gpus_per_worker=gpus_per_worker,
        fresh=fresh,
        retry_failed=retry_failed,
        plugins=tuple(Path(plugin) for plugin in ([plugins] if isinstance(plugins, str | Path) else plugins)),
        overrides=_texts(overrides),
        request=Request(
            tasks=None if tasks is None else _texts(tasks),
            restorers=None if restorers is None else _texts(restorers),
            limit=limit,
        ),
    )
    return execute(prepare(suite, settings), settings)


def _texts(given: str | Sequence[str]) -> tuple[str, ...]:
    """Return one text or several as a tuple; one text alone is not split into letters."""
    return (given,) if isinstance(given, str) else tuple(given)

"""The actor on the driver's machine that gives the driver's files to machines that do not see them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from restorebench.contract.errors import RestorebenchError
from restorebench.engine.ray.placement import PART_BYTES, Item
from restorebench.toolbox.files import files_below
from restorebench.toolbox.remembered import file_digest


class RemoteSource:
    """A source of files, backed by an actor on this machine. It can be sent to other actors."""

    def __init__(self, given: Sequence[str]) -> None:
        """Start the actor. given: files and folders that others may ask for."""
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        # The actor has no state, so Ray may restart it and repeat its calls.
        actor: Any = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Source)
        self.handle = actor.options(scheduling_strategy=here).remote(given)

    def items(self, paths: Sequence[str]) -> list[Item]:
        """Call `Source.items` of the actor."""
        found: list[Item] = self._ask("items", paths)
        return found

    def read(self, path: str, start: int) -> bytes:
        """Call `Source.read` of the actor."""
        found: bytes = self._ask("read", path, start)
        return found

    def _ask(self, method: str, *arguments: Any) -> Any:
        try:
            return ray.get(getattr(self.handle, method).remote(*arguments))
        except RayTaskError as error:
            raise RestorebenchError(str(error.cause)) from None
        except RayError as error:
            raise RestorebenchError(f"the driver's files cannot be fetched: {error}") from None


class Source:
    """The actor's class: it gives the driver's files to others, but only the allowed ones.

    Raises:
        RestorebenchError: a file cannot be read, or is not among those.
    """

    def __init__(self, given: Sequence[str]) -> None:
        """Prepare. given: files and folders that others may ask for."""
        self._given = tuple(map(Path, given))
        self._items: dict[str, list[Item]] = {}

    def items(self, paths: Sequence[str]) -> list[Item]:
        """List the files at or below paths, each once, and empty folders; missing paths are left out."""
        found = {item.path: item for path in paths for item in self._below(path)}
        return [found[path] for path in sorted(found)]

    def read(self, path: str, start: int) -> bytes:
        """Return `PART_BYTES` bytes of a file from `start` on, fewer at its end."""
        with self._reading(path), Path(path).open("rb") as file:
            file.seek(start)
            return file.read(PART_BYTES)

    def _below(self, path: str) -> list[Item]:
        if path not in self._items:
            with self._reading(path):
                root = Path(path)
                found = files_below(root) if root.is_dir() else [root] if root.exists() else []
                regular = [file for file in found if file.is_file()]  # neither broken links nor sockets
                empty = [Item(path, 0, "")] if root.is_dir() and not regular else []
                self._items[path] = [Item(str(f), f.stat().st_size, file_digest(f)) for f in regular] or empty
        return self._items[path]

    @contextlib.contextmanager
    def _reading(self, path: str) -> Iterator[None]:
        if not any(_below(path, given) for given in self._given):
            raise RestorebenchError(f"{path}: is not one of the run's files")
        try:
            yield
        except OSError as error:
            raise RestorebenchError(f"{error.filename or path}: cannot be read ({error.strerror})") from None


def _below(path: str, folder: Path) -> bool:
    """Tell whether a path is a folder, or lies below it; the folder itself may be named with `..`."""
    return Path(path).is_relative_to(folder) and ".." not in Path(path).relative_to(folder).parts

"""Search for the degraded and the clean folder of a task below a root."""

from __future__ import annotations

from pathlib import Path

from restorebench import MissingResource, RestorebenchError, components, composite
from restorebench_datasets.samples import canonical

# fmt: off
DEGRADED_NAMES = frozenset({
    "lq", "input", "inputs", "degraded", "data", "masked", "low", "hazy", "haze", "rainy", "rain", "raindrop",
    "noisy", "noise", "blur", "blurry", "shadow", "shadowed", "snow", "snowy", "jpeg",
})
CLEAN_NAMES = frozenset({
    "gt", "target", "targets", "clean", "clear", "sharp", "groundtruth", "ground_truth", "high", "normal",
    "norain", "nonoise", "free",
})
# fmt: on
ISTD_DEGRADED_NAMES = frozenset({"train_a", "test_a"})
ISTD_CLEAN_NAMES = frozenset({"train_c", "test_c"})
"""ISTD's B folders hold shadow masks and are not read."""


def task_folders(root: Path, task: str, istd: bool = False) -> tuple[Path, Path] | None:
    """Return the (degraded, clean) folders of a task, or None if the root has no folder for it.

    Case is ignored, and the parts of a composite task may be in any order: `Rainy+hazy`.

    Raises:
        MissingResource: there is no such root.
        RestorebenchError: the task's folder does not hold exactly one of each, or the task has two folders.
    """
    if not root.is_dir():
        raise MissingResource(
            f"{root}: no such folder; put the pairs into <task>/LQ and <task>/GT below it, or correct `path`"
        )
    wanted = canonical(task)
    found = [child for child in _subfolders(root) if composite(components(child.name.lower())) == wanted]
    if not found:
        return None
    if len(found) > 1:
        raise RestorebenchError(
            f"{root}: several folders for {task}: {', '.join(f.name for f in found)}; keep one"
        )
    return (
        _one(found[0], DEGRADED_NAMES | (ISTD_DEGRADED_NAMES if istd else frozenset()), "degraded", "LQ"),
        _one(found[0], CLEAN_NAMES | (ISTD_CLEAN_NAMES if istd else frozenset()), "clean", "GT"),
    )


def _one(folder: Path, names: frozenset[str], side: str, usual: str) -> Path:
    found = [child for child in _subfolders(folder) if child.name.lower() in names]
    if len(found) == 1:
        return found[0]
    have = ", ".join(child.name for child in (found or _subfolders(folder))) or "no folder"
    raise RestorebenchError(
        f"{folder}: expected one folder of {side} images, usually {usual}, but found {have}; "
        f"rename it, or give `degraded` and `clean` (known names: {', '.join(sorted(names))})"
    )


def _subfolders(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))

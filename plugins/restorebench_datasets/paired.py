"""`paired-folder`: degraded and clean images in two folders per task, matched by a named rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from restorebench import CLEAN, TEN_NAMES, DataRequest, RestorebenchError, Sample, SampleInfo
from restorebench.toolbox import images
from restorebench_datasets.folders import task_folders
from restorebench_datasets.manifest import Facts, read_manifest
from restorebench_datasets.options import Paired
from restorebench_datasets.pairing import RULES, fitting_rules, match
from restorebench_datasets.samples import centre_crop, check_crop, cropped_size, digest, few, list_images


@dataclass(frozen=True)
class Pair:
    """Two files of one size. clean_name: the clean file's relative path without extension."""

    id: str
    degraded: Path
    clean: Path
    clean_name: str
    height: int
    width: int
    scene: str
    kind: str


class PairedFolder:
    """Pairs read from disk; item i depends on the files and the crop only."""

    def __init__(self, pairs: Sequence[Pair], crop: int | None) -> None:
        self._pairs = pairs
        self._crop = crop

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> Sample:
        pair = self._pairs[index]
        clean = centre_crop(images.read(pair.clean), self._crop)
        if pair.degraded == pair.clean:
            return Sample(clean, clean)
        return Sample(centre_crop(images.read(pair.degraded), self._crop), clean)


def load(options: Paired, request: DataRequest) -> PairedFolder:
    """Match the files of one task; pixels are read when an item is asked for."""
    return PairedFolder(_requested(options, request.task), options.crop)


def index(options: Paired, request: DataRequest) -> list[SampleInfo]:
    """List the samples of one task from file names, headers and bytes; empty where it is not held."""
    return [_info(pair, options.crop) for pair in _requested(options, request.task)]


def _info(pair: Pair, crop: int | None) -> SampleInfo:
    height, width = cropped_size(pair.height, pair.width, crop)
    files = [images.file_digest(pair.degraded), images.file_digest(pair.clean)]
    return SampleInfo(pair.id, height, width, digest(files=files, crop=crop), pair.scene, pair.kind)


def _requested(options: Paired, task: str) -> list[Pair]:
    return _clean_pairs(options) if task == CLEAN else _pairs(options, task)


def _clean_pairs(options: Paired) -> list[Pair]:
    """Pair every different clean image of the ten tasks with itself; the first task that holds it names it."""
    tasks = TEN_NAMES if options.degraded is None else (options.task or TEN_NAMES[0],)
    unique: dict[str, Pair] = {}
    for task in tasks:
        prefix = "" if options.degraded is not None and options.task is None else f"{task}/"
        for pair in _pairs(options, task):
            itself = replace(pair, id=prefix + pair.clean_name, degraded=pair.clean)
            unique.setdefault(images.file_digest(pair.clean), itself)
    return list(unique.values())


def _pairs(options: Paired, task: str) -> list[Pair]:
    """Match the files of one task by the options' rule, and check that each pair has one size."""
    folders = _folders(options, task)
    if folders is None:
        return []
    degraded, clean = list_images(folders[0]), list_images(folders[1])
    partners = _partners(folders, list(degraded), list(clean), options.pairing)
    facts = {} if options.path is None else read_manifest(options.path)
    pairs: list[Pair] = []
    unequal: list[str] = []
    for stem, clean_stem in partners.items():
        height, width = images.read_size(clean[clean_stem])
        size = images.read_size(degraded[stem])
        if size != (height, width):
            unequal.append(f"{degraded[stem].name} {size[0]} x {size[1]} against {height} x {width}")
            continue
        check_crop(degraded[stem], height, width, options.crop)
        known = facts.get((task, stem), Facts())
        scene, kind = known.scene or clean_stem, known.kind or "published"
        pairs.append(Pair(stem, degraded[stem], clean[clean_stem], clean_stem, height, width, scene, kind))
    if unequal:
        raise RestorebenchError(
            f"{folders[0]}: {len(unequal)} files whose size differs from their clean partner's "
            f"(height x width): {few(unequal)}; images are never resized, so crop or replace them"
        )
    return pairs


def _folders(options: Paired, task: str) -> tuple[Path, Path] | None:
    if options.degraded is not None and options.clean is not None:
        return (options.degraded, options.clean) if options.task in (None, task) else None
    assert options.path is not None  # the options' validator gives one of the two
    return task_folders(options.path, task, istd=options.pairing == "istd")


def _partners(folders: tuple[Path, Path], degraded: list[str], clean: list[str], pairing: str) -> dict[str, str]:
    """Pair the stems, or say everything that does not fit and which named rules would."""
    rule = "stem" if pairing == "auto" else pairing
    partners, problems = match(degraded, clean, RULES[rule])
    if not problems:
        return partners
    fitting = " or ".join(fitting_rules(degraded, clean))
    advice = f"set `pairing: {fitting}`" if fitting else "no named rule matches every file: rename or remove them"
    raise RestorebenchError(
        f"{folders[0]} and {folders[1]} do not match under pairing rule {rule!r}: {'; '.join(problems)}; {advice}"
    )

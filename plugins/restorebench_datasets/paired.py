"""`paired-folder`: degraded and clean images in two folders per task, matched by a named rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from restorebench import CLEAN, TEN_NAMES, DataRequest, RestorebenchError, Sample, SampleInfo
from restorebench.toolbox import images
from restorebench.toolbox.counts import counted
from restorebench.toolbox.remembered import file_digest
from restorebench.toolbox.synthesis import centre_crop, centre_cut
from restorebench_datasets.folders import task_folders
from restorebench_datasets.manifest import Facts, read_manifest
from restorebench_datasets.options import Paired
from restorebench_datasets.pairing import RULES, fitting_rules, match
from restorebench_datasets.samples import (
    canonical,
    check_crop,
    cropped_size,
    digest,
    few,
    list_images,
    readable,
    scene,
    sizes,
)


@dataclass(frozen=True)
class Pair:
    """A degraded and a clean file. clean_name: the clean file's relative path without extension.

    height, width: of the degraded image. cut: whether the clean image is larger and is cut to that size.
    scene, kind: from the manifest; None if it does not give them.
    """

    id: str
    degraded: Path
    clean: Path
    clean_name: str
    height: int
    width: int
    cut: bool
    scene: str | None
    kind: str | None


class PairedFolder:
    """Pairs read from disk; item i depends only on the files and the crops."""

    def __init__(self, pairs: Sequence[Pair], crop: int | None) -> None:
        self._pairs = pairs
        self._crop = crop

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> Sample:
        pair = self._pairs[index]
        whole = images.read(pair.clean)
        clean = centre_crop(centre_cut(whole, pair.height, pair.width) if pair.cut else whole, self._crop)
        if pair.degraded == pair.clean:
            return Sample(clean, clean)
        return Sample(centre_crop(images.read(pair.degraded), self._crop), clean)


@readable()
def load(options: Paired, request: DataRequest) -> PairedFolder:
    """Match the files of one task; pixels are read when an item is asked for."""
    return PairedFolder(_requested(options, canonical(request.task)), options.crop)


@readable()
def index(options: Paired, request: DataRequest) -> list[SampleInfo]:
    """List the samples of one task from file names, headers and bytes; empty if there are none of that task.

    Raises:
        RestorebenchError: files cannot be paired, or a degraded file is a copy of its clean one.
    """
    pairs = _requested(options, canonical(request.task))
    digests = [(file_digest(pair.degraded), file_digest(pair.clean)) for pair in pairs]
    if request.task != CLEAN and not _shows_anything(options):
        _refuse_copies([pair for pair, files in zip(pairs, digests, strict=True) if files[0] == files[1]])
    return [_info(pair, files, options.crop) for pair, files in zip(pairs, digests, strict=True)]


def _shows_anything(options: Paired) -> bool:
    """Tell whether the images may be of any task, for example restored images that are to be scored."""
    return options.degraded is not None and options.task is None


def _refuse_copies(pairs: Sequence[Pair]) -> None:
    if pairs:
        files = counted(
            len(pairs), "file is byte for byte its clean partner", "files are byte for byte their clean partners"
        )
        raise RestorebenchError(
            f"{pairs[0].degraded.parent}: {files}: "
            f"{few(pair.degraded.name for pair in pairs)}; put the degraded images there, or remove the pairs"
        )


def _info(pair: Pair, files: tuple[str, str], crop: int | None) -> SampleInfo:
    height, width = cropped_size(pair.height, pair.width, crop)
    facts = {"files": list(files), "crop": crop} | ({"cut": [pair.height, pair.width]} if pair.cut else {})
    return SampleInfo(
        pair.id, height, width, digest(**facts), pair.scene or scene(files[1]), pair.kind or "published"
    )


def _requested(options: Paired, task: str) -> list[Pair]:
    return _clean_pairs(options) if task == CLEAN else _pairs(options, task)


def _clean_pairs(options: Paired) -> list[Pair]:
    """Pair every distinct clean image of the ten tasks with itself; its id names the first task that holds it."""
    tasks = TEN_NAMES if options.degraded is None else (options.task or TEN_NAMES[0],)
    unique: dict[str, Pair] = {}
    for task in tasks:
        prefix = "" if _shows_anything(options) else f"{task}/"
        for pair in _pairs_for_clean(options, task):
            itself = replace(pair, id=prefix + pair.clean_name, degraded=pair.clean)
            unique.setdefault(file_digest(pair.clean), itself)
    return list(unique.values())


def _pairs_for_clean(options: Paired, task: str) -> list[Pair]:
    """Match the files of a task that the suite may not use; an error then says why they were read."""
    try:
        return _pairs(options, task)
    except RestorebenchError as error:
        raise type(error)(
            f"{error} (read for the `clean` row, which takes the clean images of all ten tasks; "
            "`clean_inputs: false` leaves it out)"
        ) from error


def _pairs(options: Paired, task: str) -> list[Pair]:
    """Match the files of one task by the options' rule, and check that each pair has one size."""
    folders = _folders(options, task)
    if folders is None:
        return []
    degraded, clean = list_images(folders[0]), list_images(folders[1])
    partners = _partners(folders, list(degraded), list(clean), options.pairing)
    facts = {} if options.path is None else read_manifest(options.path, task, partners)
    pairs: list[Pair] = []
    unequal: list[str] = []
    larger = 0
    known_sizes = sizes(dict.fromkeys(p for s, c in partners.items() for p in (degraded[s], clean[c])))
    for stem, clean_stem in partners.items():
        size, clean_size = known_sizes[degraded[stem]], known_sizes[clean[clean_stem]]
        cut = size != clean_size and _has_centre(clean_size, size)
        if size != clean_size and options.sizes == "any":
            cut = False
        elif size != clean_size and not (cut and options.clean_crop):
            unequal.append(
                f"{degraded[stem].name} {size[0]} x {size[1]} against {clean_size[0]} x {clean_size[1]}"
            )
            larger += cut
            continue
        check_crop(degraded[stem], *size, options.crop)
        known = facts.get(stem, Facts())
        pairs.append(
            Pair(stem, degraded[stem], clean[clean_stem], clean_stem, *size, cut, known.scene, known.kind)
        )
    if unequal:
        _refuse_sizes(folders[0], unequal, croppable=larger == len(unequal))
    return pairs


def _has_centre(whole: tuple[int, int], part: tuple[int, int]) -> bool:
    """Tell whether equal margins can be cut on opposite sides; both sizes are (height, width)."""
    return all(long >= short and (long - short) % 2 == 0 for long, short in zip(whole, part, strict=True))


def _refuse_sizes(folder: Path, unequal: Sequence[str], croppable: bool) -> NoReturn:
    advice = "images are never resized, so crop or replace them"
    if croppable:
        advice = (
            "if this data set's rule is to cut the clean images around their centre, as for SOTS-indoor, "
            "set `clean_crop: centre`"
        )
    raise RestorebenchError(
        f"{folder}: {counted(len(unequal), 'file')} whose size differs from that of the clean partner "
        f"(height x width): {few(unequal)}; {advice}"
    )


def _folders(options: Paired, task: str) -> tuple[Path, Path] | None:
    if options.degraded is not None and options.clean is not None:
        held = options.task is None or canonical(options.task) == task
        return (options.degraded, options.clean) if held else None
    assert options.path is not None  # the options' validator gives one of the two
    return task_folders(options.path, task, istd=options.pairing == "istd")


def _partners(folders: tuple[Path, Path], degraded: list[str], clean: list[str], pairing: str) -> dict[str, str]:
    """Pair the stems, or raise an error with everything that does not match and the named rules that would."""
    rule = "stem" if pairing == "auto" else pairing
    partners, problems = match(degraded, clean, RULES[rule])
    if not problems:
        return partners
    fitting = " or ".join(fitting_rules(degraded, clean))
    advice = f"set `pairing: {fitting}`" if fitting else "no named rule matches every file: rename or remove them"
    raise RestorebenchError(
        f"{folders[0]} and {folders[1]} do not match under pairing rule {rule!r}: {'; '.join(problems)}; {advice}"
    )

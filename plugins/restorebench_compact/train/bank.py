"""Banks: whole photographs degraded before training, with measurements of each, in memory-mapped files."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from restorebench import CLEAN, TEN_NAMES, synthesisers
from restorebench.toolbox import holes, images, photographs
from restorebench.toolbox.files import replaced
from restorebench.toolbox.seeding import generator
from restorebench.training.keeping import writing
from restorebench_compact import overview

if TYPE_CHECKING:
    from collections.abc import Callable

    from restorebench import Degradation, Image
    from restorebench_compact.train.config import Bank as BankOptions

    Array = np.ndarray[Any, Any]

KINDS = (*TEN_NAMES, CLEAN)
FRAMES, SIZES, SATURATIONS = (0.6, 1.0), (0.8, 1.0), (0.6, 1.3)
GAMMA, BALANCE = 0.35, 0.1
_LEAST_PX = 192  # no varied photograph is smaller, so that every crop fits
_PIXELS, _INDEX = "pixels.u8", "index.npz"


@dataclass(frozen=True)
class Record:
    """One whole photograph of a bank: uint8 (H, W, 3) images, holes (H, W) bool; kind is an index into KINDS."""

    kind: int
    degraded: Array
    clean: Array
    filled: Array
    holes: Array
    statistics: Array
    grid: Array


class Bank:
    """Memory-mapped records with the kinds in turn: record n has kind n % 11."""

    def __init__(self, folder: Path) -> None:
        with np.load(folder / _INDEX, allow_pickle=False) as stored:
            self._index = {name: stored[name] for name in stored.files}
        self._pixels = np.memmap(folder / _PIXELS, np.uint8, mode="r")

    def __len__(self) -> int:
        return len(self._index["start"])

    def __getitem__(self, number: int) -> Record:
        height, width = (int(length) for length in self._index["size"][number])
        area = height * width
        start = int(self._index["start"][number])
        degraded = self._pixels[start : start + 3 * area].reshape(height, width, 3)
        clean = self._pixels[start + 3 * area : start + 6 * area].reshape(height, width, 3)
        filled, missing = degraded, np.broadcast_to(np.zeros((), np.bool_), (height, width))
        if self._index["has_holes"][number]:
            filled = self._pixels[start + 6 * area : start + 9 * area].reshape(height, width, 3)
            missing = self._pixels[start + 9 * area : start + 10 * area].reshape(height, width).view(np.bool_)
        return Record(
            number % len(KINDS),
            degraded,
            clean,
            filled,
            missing,
            self._index["statistics"][number],
            self._index["grid"][number].astype(np.float32),
        )


def opened(
    folder: Path,
    clean: Path | str,
    options: BankOptions,
    severities: Sequence[int],
    seed: int,
    number: int,
    report: Callable[[str], None] = print,
) -> Bank:
    """Open bank `number` of a training in a folder; if it is missing, make it and delete the one before.

    Raises:
        RestorebenchError: there are no photographs, or one cannot be read.
        RunFolderError: the folder cannot be written.
    """
    paths = photographs.listed(clean)
    makers = synthesisers(TEN_NAMES)
    facts = [
        photographs.digest(paths),
        options.records,
        list(severities),
        options.varied,
        seed,
        _fingerprint(makers),
    ]
    name = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
    bank_folder = folder / f"{name}-{number}"
    if not (bank_folder / _INDEX).is_file():
        report(f"making a bank of {options.records} photographs in {bank_folder}")
        with writing(bank_folder):
            shutil.rmtree(bank_folder, ignore_errors=True)
            bank_folder.mkdir(parents=True)
            _make(bank_folder, paths, makers, options, severities, (seed, "bank", number))
            shutil.rmtree(folder / f"{name}-{number - 1}", ignore_errors=True)
    return Bank(bank_folder)


def _fingerprint(makers: Mapping[str, Degradation]) -> str:
    """Return a digest of all synthesisers' output for a small picture; it differs if a synthesiser changes."""
    ramp = np.linspace(0, 1, 48, dtype=np.float32)
    picture = np.stack(np.broadcast_arrays(ramp[:, None], ramp, ramp[::-1]), axis=2)
    made = [images.to_8bit(maker.degrade(picture, 3, generator(0)).image).tobytes() for maker in makers.values()]
    return hashlib.sha256(b"".join(made)).hexdigest()


def _make(
    folder: Path,
    paths: Sequence[Path],
    makers: Mapping[str, Degradation],
    options: BankOptions,
    severities: Sequence[int],
    seeds: tuple[Any, ...],
) -> None:
    """Write the records; the index comes last, so a bank without an index is incomplete."""
    columns: dict[str, list[Any]] = {name: [] for name in ("start", "size", "has_holes", "statistics", "grid")}
    start = 0
    with (folder / _PIXELS).open("wb") as stream:
        for number in range(options.records):
            rng = generator(*seeds, number)
            clean = images.read(paths[int(rng.integers(len(paths)))])
            if rng.random() < options.varied:
                clean = varied(clean, rng)
            kind = KINDS[number % len(KINDS)]
            severity = int(severities[int(rng.integers(len(severities)))])
            degraded = clean
            if kind != CLEAN:
                degraded = images.quantise(makers[kind].degrade(clean, severity, rng).image)
            parts: list[Array] = [images.to_8bit(degraded), images.to_8bit(clean)]
            missing = holes.white_mask(degraded)
            fillable = bool(missing.any() and not missing.all())
            if fillable:
                parts += [images.to_8bit(holes.harmonic(degraded, missing)), missing.view(np.uint8)]
            columns["start"].append(start)
            columns["size"].append(clean.shape[:2])
            columns["has_holes"].append(fillable)
            columns["statistics"].append(overview.statistics(degraded))
            columns["grid"].append(overview.grid(degraded).astype(np.float16))
            for part in parts:
                stream.write(np.ascontiguousarray(part).tobytes())
                start += part.size
    with replaced(folder / _INDEX) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **{name: np.array(values) for name, values in columns.items()})


def varied(clean: Image, rng: np.random.Generator) -> Image:
    """Crop a photograph (H, W, 3), and change its size, direction, saturation, white balance and gamma.

    White stays white, because the brightest pixels of a picture show how it was exposed. The result has 8 bits.
    """
    shares = rng.uniform(*FRAMES, 2)
    height, width = (
        max(round(share * length), min(_LEAST_PX, length))
        for share, length in zip(shares, clean.shape[:2], strict=True)
    )
    top, left = int(rng.integers(clean.shape[0] - height + 1)), int(rng.integers(clean.shape[1] - width + 1))
    image = clean[top : top + height, left : left + width]
    least = _LEAST_PX / min(image.shape[:2])
    image = images.resized(image, min(max(rng.uniform(*SIZES), least), 1.0))
    if rng.random() < 0.5:
        image = image[:, ::-1]
    grey = image.mean(axis=2, keepdims=True)
    coloured = (grey + rng.uniform(*SATURATIONS) * (image - grey)).clip(0, 1)
    balance = np.exp(rng.uniform(-BALANCE, BALANCE, 3))
    toned = (coloured * (balance / balance.max())) ** np.exp(rng.uniform(-GAMMA, GAMMA))
    return images.quantise(toned.astype(np.float32))

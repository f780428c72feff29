"""Forgeries of a published folder, of ten kinds: `python -m tests.host.publishing.forgeries` tries all of them.

It tries honest folders too, which were run with other threads, batches, workers and instructions of the processor
than they are verified with.

Every forger writes the checksums again. Where a kind is said to be consistent, all tables are made again from the
forged records too, so that only images that are scored or restored again can tell.
"""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from restorebench.contract.catalog import discover
from restorebench.journal import journal as journals
from restorebench.publishing.folder import read_published
from restorebench.publishing.instructions import older
from restorebench.publishing.layout import CHECKSUMS, MANIFEST, SUITE, checksums
from restorebench.publishing.publish import publish
from restorebench.publishing.signing import sign
from restorebench.publishing.verify import Verification, verify
from restorebench.publishing.writing import write_tables
from restorebench.runner import execute, prepare
from restorebench.suite import loading
from restorebench.suite.settings import Settings
from restorebench.tables.build import tables_of
from restorebench.toolbox import images
from restorebench.toolbox.variables import variables_set

PLUGIN = Path(__file__).parents[1] / "plugins" / "scaling.py"
RAW = """
suite: forged
tasks: [noisy, hazy]
clean_inputs: false
datasets: [{name: synthetic, options: {clean: embedded, crop: 32}}]
restorers:
  - identity
  - {name: classical, tell: task}
  - {name: scaling, options: {factor: "${data}/factor.txt"}}
detectors: [statistics]
save: all
"""


def made_run(folder: Path, workers: int = 0, **keys: Any) -> Path:
    """Run the suite that is forged: three rows on two tasks, of which one fails on bright images."""
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "factor.txt").write_text("1.1")
    settings = settings_of(folder, workers, out=folder / "run")
    loaded = loading.loads(RAW, str(folder / "forged.yaml"), folder, data=folder / "data", extra=keys)
    execute(prepare(loaded, settings), settings)
    return folder / "run"


def settings_of(folder: Path, workers: int = 0, **more: Any) -> Settings:
    """Return how the suite is run here: by default in this process, which is quick."""
    return Settings(data=folder / "data", plugins=(PLUGIN,), workers=workers, device="cpu", **more)


def published(run: Path, to: Path, image_megabytes: float = 1.0) -> Path:
    """Publish a run of the suite."""
    return publish(run, to, incomplete=True, plugins=(PLUGIN,), image_megabytes=image_megabytes).folder


def verified(folder: Path, home: Path, images: int | None = None, **more: Any) -> Verification:
    """Verify a folder with the data of `home` at hand."""
    return verify(folder, data=home / "data", images=images, settings=settings_of(home), **more)


# ---------------------------------------------------------------- means of a forger


def lines_of(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        lines = list(reader)
        return list(reader.fieldnames or ()), lines


def write_lines(path: Path, names: list[str], lines: list[dict[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


def sign_again(folder: Path) -> None:
    (folder / CHECKSUMS).write_text(checksums(folder))


def tables_again(folder: Path) -> None:
    """Make every table again from the forged records, as the publisher of true ones does."""
    found = read_published(folder)
    tables = tables_of(found.board, found.cells, found.detections)
    write_tables(discover(()), tables, folder, "csv")


def edit_json(folder: Path, change: Callable[[dict], None]) -> None:
    about = json.loads((folder / MANIFEST).read_text())
    change(about)
    (folder / MANIFEST).write_text(json.dumps(about))


# ---------------------------------------------------------------- the ten kinds


def a_cell(folder: Path, home: Path, rng: np.random.Generator) -> None:
    """Change one number in one table."""
    tables = ["leaderboard", "comparisons", "detectors", "cost", "confusion", "telling"]
    path = folder / f"{rng.choice([name for name in tables if (folder / f'{name}.csv').exists()])}.csv"
    names, lines = lines_of(path)
    places = [(n, name) for n, line in enumerate(lines) for name in names if _is_number(line[name])]
    number, name = places[rng.integers(len(places))]
    value = float(lines[number][name])
    lines[number][name] = f"{value * 1.1 + 1:.6f}" if "." in lines[number][name] else str(int(value) + 1)
    write_lines(path, names, lines)


def _is_number(text: str) -> bool:
    try:
        return np.isfinite(float(text))
    except ValueError:
        return False


def a_record(folder: Path, home: Path, rng: np.random.Generator) -> None:
    """Raise one score of one image, and make all tables again."""
    names, lines = lines_of(folder / "records.csv")
    scored = [line for line in lines if line["psnr@rgb"] and line["psnr@rgb"] != "inf"]
    line = scored[rng.integers(len(scored))]
    line["psnr@rgb"] = f"{float(line['psnr@rgb']) + rng.uniform(0.05, 3):.6f}"
    write_lines(folder / "records.csv", names, lines)
    tables_again(folder)


def a_row(folder: Path, home: Path, rng: np.random.Generator) -> None:
    """Give one row better scores on every image of every task, and make all tables again."""
    row = rng.choice(["classical", "scaling"])
    names, lines = lines_of(folder / "records.csv")
    for line in lines:
        if line["restorer"] == row and line["psnr@rgb"] not in ("", "inf"):
            line["psnr@rgb"] = f"{float(line['psnr@rgb']) + rng.uniform(1, 2):.6f}"
    write_lines(folder / "records.csv", names, lines)
    tables_again(folder)


def an_image(folder: Path, home: Path, rng: np.random.Generator) -> None:
    """Put another picture in the place of a restored image."""
    files = sorted((folder / "images").rglob("*.webp"))
    victim = files[rng.integers(len(files))]
    picture = np.clip(images.read(victim) + rng.normal(0, 0.1, 3), 0, 1).astype(np.float32)
    images.write_png(victim.with_suffix(".png"), picture)
    with Image.open(victim.with_suffix(".png")) as image:
        image.save(victim, "WEBP", lossless=True, exact=True)
    victim.with_suffix(".png").unlink()


def weights(folder: Path, home: Path, rng: np.random.Generator) -> None:
    """Run with other weights than the manifest names."""
    (home / "data" / "factor.txt").write_text(f"{rng.uniform(1.2, 2):.3f}")


def a_failure(folder: Path, home: Path, rng: np.random.Generator) -> None:
    """Leave an image that failed out of all tables."""
    names, lines = lines_of(folder / "records.csv")
    failed = [line for line in lines if line["status"] == "failed"]
    lost = failed[rng.integers(len(failed))]
    if rng.random() < 0.5:  # it was never there
        lines.remove(lost)
    else:  # it worked
        lost.update({"status": "ok", "reason": "", "psnr@rgb": "20.000000", "ssim@rgb": "0.700000"})
    write_lines(folder / "records.csv", names, lines)
    tables_again(folder)


def another_version(folder: Path, home: Path, rng: np.random.Generator) -> None:
    """Call it a suite that it is not."""
    about = json.loads((folder / MANIFEST).read_text())
    name, suite = ("quickstart", loading.load("quickstart").suite)
    if rng.random() < 0.5:
        about["suite"] |= {"seed": int(rng.integers(1, 99))}
    else:
        about["suite"] |= {"suite": name, "version": suite.version}
        about["facts"] |= {"suite": name, "version": suite.version}
    (folder / MANIFEST).write_text(json.dumps(about))
    (folder / SUITE).write_text(yaml.safe_dump(about["suite"]))
    tables_again(folder)


def the_manifest(folder: Path, home: Path, rng: np.random.Generator) -> None:
    """Change what the manifest says of how the numbers were made."""
    changes: list[Callable[[dict], None]] = [
        lambda about: about["suite"].update(seed=7),
        lambda about: about["suite"]["datasets"][0]["options"].update(crop=24),
        lambda about: about["data"].update({"synthetic/noisy": "0" * 16}),
        lambda about: about["columns"].update({"psnr@rgb": "0" * 16}),
        lambda about: about["cells"][0].update(digest="0" * 16),
        lambda about: about["facts"]["cells"][0].update(digest="0" * 16),
        lambda about: about["facts"]["cells"][1].update(row_digest="0" * 16),
        lambda about: about["facts"]["cells"][2].update(training="external"),
        lambda about: about["facts"]["cells"][0].update(family="yardstick"),
        lambda about: about["facts"]["columns"][0].update(higher_is_better=False),
    ]
    edit_json(folder, changes[int(rng.integers(len(changes)))])


def a_signature(folder: Path, home: Path, rng: np.random.Generator) -> None:
    """Change a score and everything that follows from it, and sign it with a key of one's own."""
    a_record(folder, home, rng)
    sign_again(folder)
    key = Path(tempfile.mkdtemp(dir=home)) / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    sign(folder, key)


def the_journal(folder: Path, home: Path, rng: np.random.Generator) -> None:
    """Change a score in the journal of the run, before it is published."""
    run = Path(tempfile.mkdtemp(dir=home)) / "run"
    shutil.copytree(home / "run", run)
    with journals.opened(run) as journal, journal._connection:
        query = "SELECT digest, sample, repetition, score FROM scores WHERE value > 2 ORDER BY 1, 2, 3, 4"
        scores = journal._connection.execute(query).fetchall()
        journal._connection.execute(
            "UPDATE scores SET value = value + 1.5 WHERE (digest, sample, repetition, score) = (?, ?, ?, ?)",
            scores[int(rng.integers(len(scores)))],
        )
    shutil.rmtree(folder)
    published(run, folder.parent.parent)


KINDS: dict[str, Callable[[Path, Path, np.random.Generator], None]] = {
    "a cell": a_cell,
    "a record": a_record,
    "a whole row": a_row,
    "an image": an_image,
    "a swapped weight file": weights,
    "a dropped failure": a_failure,
    "another suite under its name": another_version,
    "an edited manifest": the_manifest,
    "a re-signed folder": a_signature,
    "a journal edited before publishing": the_journal,
}


def forged(kind: str, honest: Path, home: Path, seed: int) -> Path:
    """Forge a copy of an honest folder. The copy lies in a folder of its own below `home`."""
    rng = np.random.default_rng([seed, list(KINDS).index(kind)])
    folder = Path(tempfile.mkdtemp(dir=home)) / "forged" / "1"
    shutil.copytree(honest, folder)
    KINDS[kind](folder, home, rng)
    if kind != "a re-signed folder":
        sign_again(folder)
    return folder


WAYS = {
    "tables alone": (False, 0),
    "saved images": (True, 0),
    "two of six images": (False, 2),
    "in full": (False, None),
}
"""Whether a folder has saved images, and how many images of each task are restored again."""


def found_in(count: int) -> Counter[tuple[str, str]]:
    """Try forgeries of each kind; count by kind and way in how many something was found."""
    found: Counter[tuple[str, str]] = Counter()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        run = made_run(home)
        honest = {True: published(run, home / "with"), False: published(run, home / "without", 0)}
        for kind in KINDS:
            for seed in range(count):
                for way, (saved, images_of_each) in WAYS.items():
                    if kind == "an image" and not saved:
                        continue
                    folder = forged(kind, honest[saved], home, seed)
                    found[kind, way] += bool(verified(folder, home, images_of_each).problems)
                    (home / "data" / "factor.txt").write_text("1.1")
    return found


def honest_ones(count: int) -> list[str]:
    """Verify honest folders in full; return what was wrongly found."""
    wrong = []
    for number in range(count):
        with tempfile.TemporaryDirectory() as temporary:
            home = Path(temporary)
            keys = {"seed": number, "threads": 1 + number % 2, "batch_size": 1 + number % 3}
            other = number % 5 == 0  # in a process of its own, with the instructions of an older processor
            with variables_set(older()[-1]) if other else nullcontext():
                run = made_run(home, workers=int(other), **keys)
            checked = verified(published(run, home / "results", 1.0 if number % 2 else 0), home)
            wrong += [f"{number}: {problem}" for problem in checked.problems]
    return wrong


def main(count: int, honest: int) -> int:
    """Try forgeries of each kind and honest folders, and print what was found."""
    found = found_in(count)
    print(f"| kind, {count} of each | {' | '.join(WAYS)} |")
    print(f"|---{'|---' * len(WAYS)}|")
    for kind in KINDS:
        print(f"| {kind} | {' | '.join(str(found.get((kind, way), '')) for way in WAYS)} |")
    wrong = honest_ones(honest)
    print(f"{honest} honest folders: {len(wrong)} problems", *wrong, sep="\n  ")
    return int(bool(wrong) or any(max(found[kind, way] for way in WAYS) < count for kind in KINDS))


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:3] or ("10", "50"))))

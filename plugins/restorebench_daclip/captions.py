"""Caption clean photographs with BLIP: `python -m restorebench_daclip.captions PAIRS --output captions.csv`.

PAIRS holds <task>/{GT,LQ}. A row of the table is a degraded file and `caption: task`, where the caption is of the
clean image, tab-separated as the published tables are. Needs `pip install 'restorebench[captions]'`.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image as Pillow

from restorebench import RestorebenchError
from restorebench.toolbox import images, photographs
from restorebench.toolbox.files import file_digest

Captioner = Callable[[Pillow.Image], str]
MODEL = "Salesforce/blip-image-captioning-large"


def blip(model: str = MODEL) -> Captioner:
    """Load BLIP from the hub's cache, or download it.

    Raises:
        RestorebenchError: transformers is not installed, or the model cannot be had.
    """
    try:
        import torch
        from transformers import BlipForConditionalGeneration, BlipProcessor
    except ImportError as error:
        raise RestorebenchError("captions need transformers: pip install 'restorebench[captions]'") from error
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        processor = BlipProcessor.from_pretrained(model)
        network = BlipForConditionalGeneration.from_pretrained(model).to(device).eval()
    except OSError as error:
        raise RestorebenchError(f"{model} cannot be had: {str(error).splitlines()[0]}") from error

    def caption(image: Pillow.Image) -> str:
        with torch.no_grad():
            given = processor(image, return_tensors="pt").to(device)
            words = network.generate(**given, max_new_tokens=40)
        return str(processor.decode(words[0], skip_special_tokens=True))

    return caption


def write(pairs: Path, output: Path, caption: Captioner) -> int:
    """Write one row per degraded image; equal clean images of several tasks are captioned once. Returns the rows.

    Raises:
        RestorebenchError: the folder holds no <task>/GT, or an image has no degraded partner.
    """
    folders = sorted(path.parent for path in pairs.glob("*/GT") if path.is_dir())
    if not folders:
        raise RestorebenchError(f"{pairs} holds no <task>/GT")
    known: dict[str, str] = {}
    rows = []
    for folder in folders:
        degraded = {path.stem: path for path in photographs.listed(folder / "LQ")}
        for clean in photographs.listed(folder / "GT"):
            if clean.stem not in degraded:
                raise RestorebenchError(f"{clean} has no partner in {folder / 'LQ'}")
            content = file_digest(clean)
            if content not in known:
                text = caption(Pillow.fromarray(images.to_8bit(images.read(clean))))
                known[content] = " ".join(text.split())
            rows.append((str(degraded[clean.stem]), f"{known[content]}: {folder.name}"))
    with output.open("w", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
        writer.writerow(("filepath", "title"))
        writer.writerows(rows)
    return len(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Caption a folder of pairs."""
    parser = argparse.ArgumentParser(prog="python -m restorebench_daclip.captions", description=main.__doc__)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--model", default=MODEL)
    given = parser.parse_args(arguments)
    try:
        print(f"{write(given.pairs, given.output, blip(given.model))} captions in {given.output}")
    except RestorebenchError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()

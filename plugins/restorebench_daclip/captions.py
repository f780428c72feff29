"""Caption clean photographs with BLIP: `python -m restorebench_daclip.captions PAIRS --output captions.csv`.

PAIRS holds folders <task>/{GT,LQ}. The table is tab-separated, like the published tables. Each row has the path of
a degraded image and `caption: task`; the caption describes the clean image. Needs
`pip install 'restorebench[captions]'`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image as Pillow

from restorebench import RestorebenchError
from restorebench.toolbox import images, photographs
from restorebench.toolbox.counts import counted
from restorebench.toolbox.files import file_digest, replaced

Captioner = Callable[[Pillow.Image], str]
MODEL = "Salesforce/blip-image-captioning-large"


def blip(model: str = MODEL) -> Captioner:
    """Load BLIP from the hub's cache, or download it.

    Raises:
        RestorebenchError: transformers is not installed, or the model cannot be loaded.
    """
    try:
        import torch
        from transformers import BlipForConditionalGeneration, BlipProcessor
    except ImportError as error:
        raise RestorebenchError("captions need transformers: pip install 'restorebench[captions]'") from error
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        processor = BlipProcessor.from_pretrained(model)
        network = BlipForConditionalGeneration.from_pretrained(model, use_safetensors=True).to(device).eval()
    except OSError as error:
        raise RestorebenchError(f"{model} cannot be loaded: {str(error).splitlines()[0]}") from error

    def caption(image: Pillow.Image) -> str:
        with torch.no_grad():
            given = processor(image, return_tensors="pt").to(device)
            words = network.generate(**given, max_new_tokens=40)
        return str(processor.decode(words[0], skip_special_tokens=True))

    return caption


def write(pairs: Path, output: Path, caption: Captioner) -> int:
    """Write one row per degraded image, and return the number of rows.

    Equal clean images of several tasks are captioned once.

    Raises:
        RestorebenchError: the folder holds no <task>/GT, an image has no partner, or the output cannot be written.
    """
    folders = sorted(path.parent for path in pairs.glob("*/GT") if path.is_dir())
    if not folders:
        raise RestorebenchError(f"{pairs}: no folder <task>/GT; put pairs into <task>/GT and <task>/LQ")
    found = [(folder.name, *_sides(folder)) for folder in folders]
    known: dict[str, str] = {}
    rows = ["filepath\ttitle\n"]
    try:
        with replaced(output) as temporary:
            temporary.touch()  # if the output cannot be written, fail before the captioning
            for task, degraded, clean in found:
                for stem, path in clean.items():
                    content = file_digest(path)
                    if content not in known:
                        known[content] = plain(caption(Pillow.fromarray(images.to_8bit(images.read(path)))))
                    rows.append(f"{degraded[stem]}\t{known[content]}: {task}\n")
            temporary.write_text("".join(rows), encoding="utf-8")
    except OSError as error:
        raise RestorebenchError(f"{output}: {error.strerror or error}") from error
    return len(rows) - 1


def _sides(folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """Map stems to degraded images and to clean images; both must have the same stems."""
    degraded, clean = (photographs.by_stem(folder / side) for side in ("LQ", "GT"))
    if odd := sorted(degraded.keys() ^ clean.keys()):
        raise RestorebenchError(f"{folder}: {odd[0]!r} and {len(odd) - 1} more lack a partner in LQ or GT")
    return degraded, clean


def plain(text: str) -> str:
    """Replace what has a meaning in the table by plain text: tabs and line ends, `: ` and quotes."""
    return " ".join(text.replace('"', "'").split()).replace(": ", ", ").rstrip(":")


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a table of captions for a folder of pairs."""
    parser = argparse.ArgumentParser(prog="python -m restorebench_daclip.captions", description=main.__doc__)
    parser.add_argument("pairs", type=Path, help="folder of <task>/{GT,LQ}")
    parser.add_argument("--output", type=Path, required=True, help="the table")
    parser.add_argument("--model", default=MODEL, help="a BLIP model of the Hugging Face hub")
    given = parser.parse_args(arguments)
    try:
        written = write(given.pairs, given.output, blip(given.model))
        print(f"{counted(written, 'caption')} in {given.output}")
    except RestorebenchError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()

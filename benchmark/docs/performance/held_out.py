"""Degrade photographs in ways that no synthesiser of the benchmark has, as folders of pairs for `paired-folder`.

    python benchmark/docs/performance/held_out.py CLEAN MASKS OUT

A model that was trained on the benchmark's synthesis is at home there; this shows what it does next door. MASKS
holds folders of images: `motion_kernels*` measured kernels, `inpaint*` what to keep (white) of images, `rain*`
streaks and `snow*` flakes on black. Holes are filled white, blur acts in display values, noise is Poisson's,
compression happens twice with the blocks moved in between.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import scipy.ndimage
from PIL import Image

from restorebench.contract.errors import RestorebenchError
from restorebench.toolbox import images, photographs
from restorebench.toolbox.images import pixel_digest
from restorebench.toolbox.seeding import generator
from restorebench.toolbox.synthesis import centre_crop

QUALITIES = (20, 50)
SHIFT_PX = 3
PHOTONS = (20, 60)
Array = np.ndarray
Way = Callable[[Array, np.random.Generator], Array]


def compressed(image: Array, quality: int) -> Array:
    """Compress (H, W, 3) in [0, 1] as JPEG and read it again."""
    held = io.BytesIO()
    Image.fromarray(images.to_8bit(image)).save(held, "JPEG", quality=quality)
    return np.asarray(Image.open(held), dtype=np.float32) / 255


def twice_compressed(clean: Array, rng: np.random.Generator) -> Array:
    """Compress, move the blocks, compress again."""
    first, second = (int(rng.integers(QUALITIES[0], QUALITIES[1] + 1)) for _ in range(2))
    padded = np.pad(clean, [(SHIFT_PX, 0), (SHIFT_PX, 0), (0, 0)], mode="symmetric")
    return compressed(compressed(padded, first)[SHIFT_PX:, SHIFT_PX:], second)


def poisson(clean: Array, rng: np.random.Generator) -> Array:
    """Count photons, of which white has a number drawn per image."""
    white = rng.uniform(*PHOTONS)
    return rng.poisson(clean * white) / white


def masks(folder: Path, begin: str) -> list[Array]:
    """Read the images of all folders whose names begin so, (H, W) in [0, 1].

    Raises:
        RestorebenchError: there are none.
    """
    folders = sorted(path for path in folder.glob(f"{begin}*") if path.is_dir())
    if not folders:
        raise RestorebenchError(f"{folder}: holds no folder {begin}*")
    return [images.read(path).mean(axis=2) for place in folders for path in photographs.listed(place)]


def fitted(mask: Array, height: int, width: int, rng: np.random.Generator) -> Array:
    """Flip a mask at random and resize it to an image's size."""
    turned = mask[:, ::-1] if rng.random() < 0.5 else mask
    small = Image.fromarray(np.ascontiguousarray(turned, dtype=np.float32))
    return np.asarray(small.resize((width, height), Image.Resampling.BOX))[:, :, None]


def ways(folder: Path) -> Mapping[str, Way]:
    """Return the degradations by task."""
    kernels, kept, streaks, flakes = (
        masks(folder, begin) for begin in ("motion_kernels", "inpaint", "rain", "snow")
    )

    def drawn(held: Sequence[Array], clean: Array, rng: np.random.Generator) -> Array:
        return fitted(held[int(rng.integers(len(held)))], *clean.shape[:2], rng)

    def blurred(clean: Array, rng: np.random.Generator) -> Array:
        kernel = kernels[int(rng.integers(len(kernels)))]
        return scipy.ndimage.convolve(clean, (kernel / kernel.sum())[:, :, None], mode="mirror")

    def uncompleted(clean: Array, rng: np.random.Generator) -> Array:
        keep = drawn(kept, clean, rng) > 0.5
        return np.where(keep, clean, 1.0)

    def rainy(clean: Array, rng: np.random.Generator) -> Array:
        return clean + drawn(streaks, clean, rng)

    def snowy(clean: Array, rng: np.random.Generator) -> Array:
        cover = drawn(flakes, clean, rng)
        return clean * (1 - cover) + cover

    return {
        "motion-blurry": blurred,
        "jpeg-compressed": twice_compressed,
        "noisy": poisson,
        "rainy": rainy,
        "snowy": snowy,
        "uncompleted": uncompleted,
    }


def main() -> None:
    """Write OUT/<task>/{LQ,GT}/<stem>.png."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clean", type=Path)
    parser.add_argument("masks", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--crop", type=int, default=256, help="side of the centre that is kept, px")
    given = parser.parse_args()
    if given.out.exists():
        parser.error(f"{given.out} exists; name another folder")
    try:
        degradations = ways(given.masks)
        for path in photographs.listed(given.clean):
            clean = images.read(path)
            for task, way in degradations.items():
                degraded = way(clean, generator(0, pixel_digest(clean), "held out", task)).clip(0, 1)
                for side, image in (("LQ", degraded), ("GT", clean)):
                    target = given.out / task / side / f"{path.stem}.png"
                    target.parent.mkdir(parents=True, exist_ok=True)
                    images.write_png(target, centre_crop(np.asarray(image, np.float32), given.crop))
    except RestorebenchError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()

"""Generation of guidance for a folder of images: `python -m restorebench_textualdegrem.generate IMAGES OUTPUT`.

The guidance is for `guidance: folder` and for training. Images that already exist in the output are kept, so the
same command continues where it stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from pydantic import ValidationError

from restorebench import TEN, RestorebenchError, Runtime
from restorebench.toolbox import images, photographs, places
from restorebench.toolbox.counts import counted
from restorebench.toolbox.networks import DTYPES
from restorebench_textualdegrem.guidance_generation import load
from restorebench_textualdegrem.options import Generation


def write_guidance(source: Path, output: Path, settings: Generation, runtime: Runtime) -> int:
    """Generate `output/STEM.png` for each image in a folder that has none yet; return the number of new images.

    Raises:
        RestorebenchError: images or parts are missing or wrong, or the output cannot be written.
    """
    found = photographs.by_stem(source)
    wanted = {output / f"{stem}.png": path for stem, path in found.items()}
    missing = {target: path for target, path in wanted.items() if not target.is_file()}
    if not missing:
        return 0
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RestorebenchError(
            f"{output}: this folder cannot be created ({error.strerror}); name another"
        ) from error
    generator = load(settings, runtime, DTYPES[settings.precision])
    for target, path in missing.items():
        degraded = images.to_tensor([images.read(path)]).to(runtime.device)
        (drawn,) = images.from_tensor(generator(degraded))
        try:
            images.write_png(target, drawn)
        except OSError as error:
            raise RestorebenchError(
                f"{target}: cannot be written ({error.strerror}); free disk space, or name another folder"
            ) from error
    return len(missing)


def main(arguments: Sequence[str] | None = None) -> None:
    """Generate guidance as the arguments say.

    Raises:
        SystemExit: with one line, if an argument, an image or a part is wrong.
    """
    parser = argparse.ArgumentParser(
        prog="python -m restorebench_textualdegrem.generate",
        description="Generate OUTPUT/STEM.png for every image; existing files are kept.",
    )
    parser.add_argument("images", type=Path, help="folder of degraded images")
    parser.add_argument("output", type=Path, help="folder for guidance, such as GUIDANCE/TASK")
    for name, field in Generation.model_fields.items():
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, dest=name, default=argparse.SUPPRESS, help=field.description)
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--cache", type=Path, default=places.cache_folder(), help="folder of published parts")
    given = vars(parser.parse_args(arguments))
    source, output, device, cache = (given.pop(name) for name in ("images", "output", "device", "cache"))
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter if torch has no CUDA
        sys.exit(f"error: --device {device}: {str(error).splitlines()[0].partition('. ')[0]}; try cpu")
    runtime = Runtime(device, 1, cache, {}, places.offline(), TEN, lambda kind, name: None)
    try:
        count = write_guidance(source, output, Generation.model_validate(given), runtime)
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"--{str(part).replace('_', '-')}: " for part in first["loc"][:1])
        sys.exit(f"error: {where}{first['msg']}")
    except RestorebenchError as error:
        sys.exit(f"error: {error}")
    print(f"{counted(count, 'image')} in {output}")


if __name__ == "__main__":
    main()

"""Print how our scores and our speed compare with scikit-image: `python -m restorebench_metrics.parity`.

Scores and times come from one run, on one core. The image is a crop of scikit-image's own astronaut, compressed by
Pillow to JPEG quality 10.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

WANG = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
"""Settings with which scikit-image computes the SSIM of the paper; they are not its defaults."""

PUBLISHED = {
    # BasicSR's conventions re-implemented from their definition; MS-SSIM: pytorch-msssim 1.0, piq 0.8.
    "psnr@rgb": 25.966507,
    "psnr@y": 29.184839,
    "psnr@y-full": 27.862917,
    "ssim@rgb": 0.785662,
    "ssim@y": 0.857418,
    "ssim@airnet": 0.793145,
    "ms-ssim@rgb": 0.935223,
}
"""Scores by other libraries of the pair that `example` returns, noted down to six decimals."""


def example(side: int = 256) -> tuple[Any, Any]:
    """Return (restored, clean), (side, side, 3) uint8 arrays: the astronaut after and before JPEG 10."""
    import numpy as np
    from skimage import data

    astronaut = data.astronaut()  # 512 px; larger sides repeat it
    repeats = -(-(side + 100) // astronaut.shape[0])
    clean = np.tile(astronaut, (repeats, repeats, 1))[100 : 100 + side, 100 : 100 + side].copy()
    return jpeg(clean), clean


def jpeg(image: Any, quality: int = 10) -> Any:
    """Compress an (H, W, 3) uint8 array with Pillow's JPEG encoder, and return the decoded array."""
    import numpy as np
    from PIL import Image

    encoded = io.BytesIO()
    Image.fromarray(image).save(encoded, "JPEG", quality=quality)
    return np.array(Image.open(encoded))


def to_tensor(image: Any) -> Tensor:
    """Convert an (H, W, 3) uint8 array to a (1, 3, H, W) float32 tensor in [0, 1]."""
    import torch

    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255


def ours(name: str, restored: Any, clean: Any) -> float:
    """Score a pair of uint8 images by `metric@protocol`, as a run does."""
    from restorebench.toolbox.options import loaded
    from restorebench.toolbox.scoring import prepare
    from restorebench_metrics import restorebench_metrics

    metric, _, protocol_name = name.partition("@")
    card = next(card for card in restorebench_metrics() if card.name == metric)
    protocol = card.protocol(protocol_name)
    if protocol is None:
        raise ValueError(f"{metric} has no protocol {protocol_name!r}")
    score = loaded(card, {}, None, protocol)
    pair = [prepare(to_tensor(image), protocol) for image in (restored, clean)]
    return float(score(*pair))


def scikit_image(name: str, restored: Any, clean: Any) -> float | None:
    """Score the same pair with scikit-image and numpy alone; None if they have no such metric."""
    import numpy as np
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    metric, _, protocol = name.partition("@")
    if metric not in ("psnr", "ssim"):
        return None
    pair = [image.astype(np.float64) for image in (restored, clean)]
    if protocol == "y":
        pair = [(image / 255) @ [65.481, 128.553, 24.966] + 16 for image in pair]
    elif protocol == "y-full":
        pair = [image @ [0.299, 0.587, 0.114] for image in pair]
    if metric == "psnr":
        return float(peak_signal_noise_ratio(pair[1], pair[0], data_range=255))
    settings = {} if protocol == "airnet" else WANG
    channels = 2 if pair[0].ndim == 3 else None
    return float(structural_similarity(*pair, data_range=255, channel_axis=channels, **settings))


def speed(side: int, repeats: int) -> tuple[float, float, float]:
    """Return median milliseconds of PSNR plus SSIM (rgb): scikit-image's, ours, ours with preparation.

    scikit-image gets uint8 arrays. Ours gets prepared tensors, which all pixel metrics of a run share; for the
    third number, it gets float32 tensors that are first rounded to 8 bits. The three are timed in turns.
    """
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    from restorebench.toolbox.scoring import prepare
    from restorebench_metrics.protocols import RGB
    from restorebench_metrics.psnr import psnr
    from restorebench_metrics.ssim import ssim

    restored, clean = example(side)
    given = to_tensor(restored).contiguous(), to_tensor(clean).contiguous()
    pair = prepare(given[0], RGB), prepare(given[1], RGB)

    def reference() -> None:
        peak_signal_noise_ratio(clean, restored, data_range=255)
        structural_similarity(restored, clean, data_range=255, channel_axis=2, **WANG)

    def scored() -> None:
        psnr(*pair), ssim(*pair)

    def prepared_and_scored() -> None:
        both = prepare(given[0], RGB), prepare(given[1], RGB)
        psnr(*both), ssim(*both)

    contenders = (reference, scored, prepared_and_scored)
    times: list[list[float]] = [[_milliseconds(run) for run in contenders] for _ in range(repeats + 1)]
    first, second, third = (statistics.median(column) for column in zip(*times[1:], strict=True))
    return first, second, third


def _milliseconds(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return 1000 * (time.perf_counter() - start)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(prog="python -m restorebench_metrics.parity", description=__doc__)
    parser.add_argument("--sides", type=int, nargs="+", default=[256, 512, 1024], help="image sides in px")
    parser.add_argument("--repeats", type=int, default=15, help="timings per median")
    arguments = parser.parse_args()
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = "1"  # the libraries read it when they are first imported, below
    import torch

    torch.set_num_threads(1)
    restored, clean = example()
    print(f"{'metric':<12} {'ours':>12} {'scikit-image':>14} {'difference':>11} {'published':>11}")
    for name, published in PUBLISHED.items():
        score, reference = ours(name, restored, clean), scikit_image(name, restored, clean)
        beside = f"{'-':>14} {'-':>11}" if reference is None else f"{reference:14.9f} {score - reference:11.1e}"
        print(f"{name:<12} {score:12.9f} {beside} {published:11.6f}")
    print(f"\n{'px':>5} {'scikit-image':>14} {'ours':>10} {'ratio':>6} {'prepared too':>13} {'ratio':>6}")
    for side in arguments.sides:
        reference_ms, ours_ms, all_ms = speed(side, arguments.repeats)
        print(
            f"{side:>5} {reference_ms:11.2f} ms {ours_ms:7.2f} ms {reference_ms / ours_ms:6.2f} "
            f"{all_ms:10.2f} ms {reference_ms / all_ms:6.2f}"
        )


if __name__ == "__main__":
    main()

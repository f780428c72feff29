"""A convolution of 1 x 1 px that is also fast in one thread."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_LEAST_IMAGES = 16  # from so many on torch uses oneDNN by itself


class Pointwise(nn.Conv2d):
    """Mix the channels of (B, C, H, W) images in each pixel, with the tensors of an `nn.Conv2d` of 1 x 1 px.

    For less than 16 images in one thread on a CPU, torch leaves such convolutions to a plain matrix product,
    which took 2 to 4 times as long as oneDNN on channels-last images. So oneDNN is called there; sums are taken
    in another order, and the result is channels-last.
    """

    def __init__(self, channels: int, out: int, bias: bool = True) -> None:
        super().__init__(channels, out, 1, bias=bias)

    def forward(self, images: Tensor) -> Tensor:
        """Mix: (B, channels, H, W) -> (B, out, H, W)."""
        plain = images.dtype == self.weight.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
        if (
            plain
            and images.device.type == "cpu"
            and len(images) < _LEAST_IMAGES
            and torch.get_num_threads() == 1
            and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]  # of torch
        ):
            images = images.contiguous(memory_format=torch.channels_last)
            return torch.mkldnn_convolution(images, self.weight, self.bias, (0, 0), (1, 1), (1, 1), 1)
        return super().forward(images)

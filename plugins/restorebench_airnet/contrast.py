"""Momentum contrast: two patches of one image should be alike, and unlike a queue of other patches.

He et al., "Momentum Contrast" (CVPR 2020), as AirNet uses it: batches are not shuffled, and each encoder has its
own running statistics of batch normalisation.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorebench import RestorebenchError
from restorebench_airnet.encoder import Encoder

MOMENTUM, TEMPERATURE = 0.999, 0.07


class Contrast(NamedTuple):
    """logits: (N, 1 + K), the right key first. labels: (N,) zeros. guide: (N, width, H, W), of the queries."""

    logits: Tensor
    labels: Tensor
    guide: Tensor


class MomentumContrast(nn.Module):
    """A trained encoder (`encoder_q`), a momentum encoder that follows it (`encoder_k`), and a queue.

    The queue (4 * width, K) holds the last embeddings of the momentum encoder.
    """

    queue: Tensor
    queue_ptr: Tensor

    def __init__(self, width: int, length: int, channels_in: int = 3) -> None:
        super().__init__()
        self.register_buffer("queue", F.normalize(torch.randn(4 * width, length), dim=0))
        self.register_buffer("queue_ptr", torch.zeros(1, dtype=torch.long))
        self.encoder_q = Encoder(width, channels_in)
        self.encoder_k = Encoder(width, channels_in)
        self.encoder_k.load_state_dict(self.encoder_q.state_dict())
        self.encoder_k.requires_grad_(False)

    def forward(self, query: Tensor, key: Tensor) -> Contrast:
        """Compare two patches of each image, both (N, C, H, W); update the momentum encoder and the queue.

        Raises:
            RestorebenchError: the queue's length is no multiple of N.
        """
        length = self.queue.shape[1]
        if length % len(query):
            raise RestorebenchError(
                f"a batch of {len(query)} does not divide the queue of {length}; drop the batch"
            )
        encoding = self.encoder_q(query)
        seen = F.normalize(encoding.embedding, dim=1)
        with torch.no_grad():
            self._update_momentum_encoder()
            expected = F.normalize(self.encoder_k(key).embedding, dim=1)
        alike = (seen * expected).sum(dim=1, keepdim=True)
        # a copy, because the queue is overwritten before gradients are computed
        logits = torch.cat((alike, seen @ self.queue.clone()), dim=1) / TEMPERATURE
        self._enqueue(expected)
        return Contrast(logits, torch.zeros(len(query), dtype=torch.long, device=query.device), encoding.guide)

    def _update_momentum_encoder(self) -> None:
        """Move the momentum encoder's parameters towards the trained ones; this happens before it encodes."""
        for averaged, trained in zip(self.encoder_k.parameters(), self.encoder_q.parameters(), strict=True):
            averaged.copy_(averaged * MOMENTUM + trained * (1 - MOMENTUM))

    def _enqueue(self, keys: Tensor) -> None:
        """Write keys (N, 4 * width) over the oldest keys."""
        first = int(self.queue_ptr)
        self.queue[:, first : first + len(keys)] = keys.T
        self.queue_ptr[0] = (first + len(keys)) % self.queue.shape[1]

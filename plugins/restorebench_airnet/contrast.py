"""Momentum contrast: two patches of one image are alike, and unlike a queue of others.

He et al., "Momentum Contrast" (CVPR 2020), as AirNet uses it: no shuffling of batches, and running statistics of
batch normalisation are each encoder's own.
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
    """logits: (N, 1 + K), the right answer first. labels: (N,) zeros. guide: of the queries, (N, width, H, W)."""

    logits: Tensor
    labels: Tensor
    guide: Tensor


class MomentumContrast(nn.Module):
    """An encoder that learns, one that follows it, and a queue (4 * width, K) of what the follower saw last."""

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
        """Compare two patches of each image, both (N, C, H, W); move the follower and the queue on.

        Raises:
            RestorebenchError: N does not divide the queue's length.
        """
        length = self.queue.shape[1]
        if length % len(query):
            raise RestorebenchError(f"a batch of {len(query)} does not divide the queue of {length}: drop it")
        encoding = self.encoder_q(query)
        seen = F.normalize(encoding.embedding, dim=1)
        with torch.no_grad():
            self._follow()
            expected = F.normalize(self.encoder_k(key).embedding, dim=1)
        alike = (seen * expected).sum(dim=1, keepdim=True)
        # a copy: the queue moves on before anybody asks for gradients
        logits = torch.cat((alike, seen @ self.queue.clone()), dim=1) / TEMPERATURE
        self._enqueue(expected)
        return Contrast(logits, torch.zeros(len(query), dtype=torch.long, device=query.device), encoding.guide)

    def _follow(self) -> None:
        """Move the follower's parameters towards the learner's, which happens before it is asked."""
        for theirs, ours in zip(self.encoder_k.parameters(), self.encoder_q.parameters(), strict=True):
            theirs.copy_(theirs * MOMENTUM + ours * (1 - MOMENTUM))

    def _enqueue(self, keys: Tensor) -> None:
        """Write keys (N, 4 * width) over the oldest ones."""
        first = int(self.queue_ptr)
        self.queue[:, first : first + len(keys)] = keys.T
        self.queue_ptr[0] = (first + len(keys)) % self.queue.shape[1]

"""One training step: losses, gradients, queue, and both encoders after it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from restorebench_airnet import losses
from restorebench_airnet.encoder import Encoder
from restorebench_airnet.network import AirNet, Trained
from torch import Tensor

from tests.parity.airnet import by_rule
from tests.parity.comparing import Arrays, Fixtures, Row, distance, tensor


def step(fixtures: Fixtures, name: str) -> Iterator[Row]:
    """Compare everything after one forward and backward pass, and the loss of the first phase."""
    stored = fixtures.arrays(name)
    query, key, clean = (tensor(stored[each]) for each in ("query", "key", "clean"))
    network = _prepared(stored, len(query))
    encoder_alone = losses.contrast_loss(*network.E.E(query, key)[:2])
    yield Row(f"{name} cross-entropy, encoder alone", distance(encoder_alone, stored["ce"]), 1e-5)
    network = _prepared(stored, len(query))
    before = network.E.E.queue.clone()
    trained: Trained = network(query, key)
    cross_entropy = losses.contrast_loss(trained.logits, trained.labels)
    loss = losses.joint_loss(trained.restored, clean, trained.logits, trained.labels)
    loss.backward()
    ours = {
        "restored": (trained.restored, 1e-4),
        "logits": (trained.logits, 1e-5),
        "labels": (trained.labels, 0.0),
        "ce": (cross_entropy, 1e-5),
        "l1": (loss - losses.CONTRAST_WEIGHT * cross_entropy, 1e-5),
        "loss": (loss, 1e-5),
    }
    for item, (value, allowed) in ours.items():
        yield Row(f"{name} {item}", distance(value, stored[item]), allowed)
    yield from _queue(name, network, before, stored)
    yield from _encoders(name, network, stored)
    norms = fixtures.facts(f"{name}_grad_l2")
    gradients = {each: value.grad for each, value in network.named_parameters() if value.grad is not None}
    same = norms.keys() == gradients.keys()
    yield Row(f"{name} which {len(norms)} tensors get gradients", 0.0 if same else math.inf, 0.0)
    apart = [abs(float(gradients[each].norm()) / norm - 1) for each, norm in norms.items() if norm]
    yield Row(f"{name} norms of {len(apart)} gradients, relative", max(apart), 1e-4)


def _prepared(stored: Arrays, count: int) -> AirNet:
    """Return the network in training mode, with the queue at its last position, so that it must wrap around."""
    network = by_rule.whole(256 * count).train()
    network.E.E.queue_ptr[0] = int(stored["queue_ptr_before"])
    return network


def _queue(name: str, network: AirNet, before: Tensor, stored: Arrays) -> Iterator[Row]:
    """Compare the queue: which columns changed, their values, and the next position."""
    contrast = network.E.E
    changed = (contrast.queue != before).any(dim=0).nonzero().flatten()
    expected = tensor(stored["queue_changed_idx"])
    same = torch.equal(changed, expected)
    yield Row(f"{name} which columns of the queue change", 0.0 if same else math.inf, 0.0)
    # exact on the machine that made the fixtures; products may be rounded differently on another one
    yield Row(f"{name} new columns", distance(contrast.queue[:, expected], stored["queue_new_cols"]), 1e-6)
    yield Row(f"{name} next position in the queue", distance(contrast.queue_ptr, stored["queue_ptr_after"]), 0.0)


def _encoders(name: str, network: AirNet, stored: Arrays) -> Iterator[Row]:
    """Compare the weights of the momentum encoder and the running statistics of both encoders."""
    trained: Encoder = network.E.E.encoder_q
    momentum: Encoder = network.E.E.encoder_k
    ours: dict[str, Any] = {
        "encoder_k_E_pre_conv0_after": momentum.E_pre.backbone[0].weight,
        "encoder_k_mlp2_bias_after": momentum.mlp[2].bias,
    }
    for letter, encoder in (("q", trained), ("k", momentum)):
        norm: Any = encoder.E_pre.backbone[1]  # Any: a Sequential does not declare its items
        ours |= {f"bn_{letter}_mean_after": norm.running_mean, f"bn_{letter}_var_after": norm.running_var}
        if f"bn_{letter}_nbt_after" in stored:
            ours[f"bn_{letter}_nbt_after"] = norm.num_batches_tracked
    for item, value in ours.items():
        yield Row(f"{name} {item}", distance(value, stored[item]), 1e-6)

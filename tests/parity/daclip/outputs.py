"""Outputs of the networks: U-Nets, NAFNet and controller."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from restorebench_daclip.controller import Controller

from restorebench import TEN
from tests.parity.comparing import Row, distance, tensor
from tests.parity.daclip.fixtures import Fixtures, nafnet_of, unet_of
from tests.parity.rule_weights import noise


def unet_outputs(fixtures: Fixtures, name: str, allowed: float) -> Iterator[Row]:
    """Compare the outputs of a U-Net, also without the degradation context and at fractional times."""
    stored = fixtures.arrays(name)
    unet = fixtures.network(name, unet_of)
    cases = list(dict.fromkeys(key.split("/")[0] for key in stored))
    for case in cases:
        source = case if f"{case}/xt" in stored else cases[0]
        times = [12.5] if case.startswith("float_time") else _times(source)
        image = stored.get(f"{source}/image_context")
        text = None if case == "no_text" else stored.get(f"{source}/text_context")
        contexts = [None if each is None else tensor(each) for each in (image, text)]
        state, mu = tensor(stored[f"{source}/xt"]), tensor(stored[f"{source}/lq"])
        out = unet(state, mu, torch.tensor(times), unet.condition(*contexts))
        yield Row(f"{name} {case}", distance(out, stored[f"{case}/out"], 1e-4), allowed)


def nafnet_outputs(fixtures: Fixtures, name: str, allowed: float) -> Iterator[Row]:
    """Compare the outputs of a NAFNet."""
    stored = fixtures.arrays(name)
    nafnet = fixtures.network(name, nafnet_of)
    for case in dict.fromkeys(key.split("/")[0] for key in stored):
        out = nafnet(tensor(stored[f"{case}/xt"]), tensor(stored[f"{case}/lq"]), torch.tensor(_times(case)))
        yield Row(f"{name} {case}", distance(out, stored[f"{case}/out"], 1e-4), allowed)


def _times(case: str) -> list[float]:
    """Read the times from the name of a case such as B2_24x20_t1-99."""
    return [float(time) for time in case.rpartition("_t")[2].split("-")]


def controller_outputs(fixtures: Fixtures, name: str, allowed: float) -> Iterator[Row]:
    """Compare features, controls, cosines and probabilities; the order of the controls must matter."""
    stored = fixtures.arrays(name)
    controller: Controller = fixtures.network(name, Controller.of)
    size = controller.image_size
    count = len(stored["image_features"])
    images = tensor(stored["image"]) if "image" in stored else noise(f"{name}/image", (count, 3, size, size))
    features = controller.encode_image(images)
    prompts = [task.prompt for task in TEN]
    texts = controller.encode_text(prompts)
    cosines = F.normalize(features.degradation, dim=-1) @ F.normalize(texts, dim=-1).T
    yield Row(f"{name} tokens", float((controller.tokens(prompts) - tensor(stored["tokens"])).abs().max()), 0.0)
    ours = {
        "image_features": features.image,
        "degra_features": features.degradation,
        "plain_image_features": controller.encode_plain_image(images),
        "text_features": texts,
        "caption_features": controller.encode_tokens(tensor(stored["caption_tokens"])),
        "cosine": cosines,
    }
    for key, value in ours.items():
        yield Row(f"{name} {key}", distance(value, stored[key]), allowed)
    yield Row(f"{name} probs", distance((100 * cosines).softmax(-1), stored["probs"]), 2e-4)
    apart = distance(features.image, stored["wrong_order_image_features"])
    yield Row(f"{name} differs from the wrong order", 0.0 if apart > 0.1 else math.inf, 0.0)

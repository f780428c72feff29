"""Networks of both stages: the mapping of names, and the outputs with weights by rule."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import torch
from restorebench_diffbir import checkpoint, key_map, stage1, text
from restorebench_diffbir.networks import SCALING, Parts, Sizes, controlled
from restorebench_diffbir.rrdb import RRDBNet
from restorebench_diffbir.stage1 import Cleaner, SCUNetSizes, SwinIRSizes
from torch import Tensor

from tests.parity.comparing import Fixtures, Row
from tests.parity.diffbir import by_rule, mathematics
from tests.parity.diffbir.fixtures import absolute, relative, same, tensors

_RESIDUALS, _OUTPUTS = 2e-4, 5e-5
_THEIR_PARTS = {"unet": "unet", "controlnet": "control", "vae": "vae", "text": "text"}
TINY_SWINIR = SwinIRSizes(24, (2, 2), (2, 2))


def names(fixtures: Fixtures) -> Iterator[Row]:
    """Compare the mapping of every name with the stored one, and full-size networks with the mapped names."""
    manifest, known = fixtures.facts("manifest_controlldm_v2.1"), fixtures.facts("key_map")
    ours: dict[str, dict[str, list[int]]] = {kind: {} for kind in by_rule.PREFIXES}
    wrong = 0
    for key, (part, targets, how) in known.items():
        kind: Any = _THEIR_PARTS[part]
        value = torch.empty(manifest[key], device="meta")
        name = key.removeprefix(by_rule.PREFIXES[kind])
        found = {target: list(each.shape) for target, each in key_map.mapped(kind, {name: value})}
        expected = [] if how == "drop" else [targets] if isinstance(targets, str) else targets
        wrong += list(found) != expected
        ours[kind] |= found
    yield Row(f"names: {len(manifest)} of the manifest, {len(known)} of the map", wrong, 0.0)
    yield same("names: the map has all of the manifest", known.keys() == manifest.keys())
    for kind, build in checkpoint.BUILDERS.items():
        with torch.device("meta"):
            state = build(Sizes()).state_dict()
        theirs = {name.removeprefix("text_model."): list(value.shape) for name, value in state.items()}
        yield same(f"names: {len(theirs)} of the full-size {kind}", theirs == ours[kind])
    for cleaner, make in stage1.BUILDERS.items():
        own = {name: _fact(value) for name, value in make().state_dict().items()}
        yield same(f"names: {len(own)} of {cleaner}", own == fixtures.facts(f"manifest_{cleaner}"))


def _fact(value: Tensor) -> dict[str, Any]:
    return {"shape": list(value.shape), "dtype": str(value.dtype).removeprefix("torch.")}


def small_diffusion(fixtures: Fixtures) -> Iterator[Row]:
    """Compare the small U-Net under its control branch."""
    yield from _diffusion(fixtures, "tiny_control_unet", by_rule.TINY_UNET)


def full_diffusion(fixtures: Fixtures) -> Iterator[Row]:
    """Compare both at full size; this takes 5 GB and minutes."""
    yield from _diffusion(fixtures, "full_control_unet", Sizes())


def _diffusion(fixtures: Fixtures, name: str, sizes: Sizes) -> Iterator[Row]:
    stored = tensors(fixtures, name)
    manifest = _shapes(fixtures, sizes)
    unet, branch = (by_rule.part(kind, manifest, sizes) for kind in ("unet", "control"))
    parts = Parts(unet, branch, None, None)
    given = {"encoder_hidden_states": stored["context"], "return_dict": False}
    residuals, middle = branch(
        torch.cat([stored["x"], stored["hint"]], 1), stored["timesteps"], controlnet_cond=stored["hint"], **given
    )
    every = [*residuals, middle]
    for key in sorted(stored):
        if found := re.fullmatch(r"control\.(\d+)", key):
            yield absolute(f"{name} {key}", every[int(found[1])], stored[key], _RESIDUALS)
    if "control.absmean" in stored:
        means = torch.stack([each.abs().mean() for each in every])
        yield absolute(f"{name} control.absmean", means, stored["control.absmean"], _RESIDUALS)
    (plain,) = unet(stored["x"], stored["timesteps"], **given)
    yield absolute(f"{name} eps_no_control", plain, stored["eps_no_control"], _OUTPUTS)
    for key, strength in (("eps", 1.0), ("eps_strength_0.6", 0.6)):
        if key in stored:
            ours = []
            # here all images of a batch are at one step, so they are evaluated one by one
            for index, step in enumerate(stored["timesteps"].tolist()):
                state, seen, words = (stored[each][[index]] for each in ("x", "hint", "context"))
                ours.append(controlled(parts, state, step, seen, words, strength))
            yield absolute(f"{name} {key}", torch.cat(ours), stored[key], _OUTPUTS)


def _shapes(fixtures: Fixtures, sizes: Sizes) -> dict[str, list[int]]:
    """Return names and shapes of the control branch and the U-Net: those of small networks, or the published."""
    if sizes == Sizes():
        return fixtures.facts("manifest_controlldm_v2.1")
    manifest = fixtures.facts("manifest_tiny_controlldm")
    narrow = re.compile(r"attn2\.to_[kv]\.weight$")  # these take the text
    return {
        name: [*shape[:1], sizes.text_width] if narrow.search(name) else shape for name, shape in manifest.items()
    }


def autoencoder(fixtures: Fixtures) -> Iterator[Row]:
    """Compare the small autoencoder: moments, latent and decoded image."""
    stored = tensors(fixtures, "tiny_vae")
    vae = small_vae(fixtures)
    posterior = vae.encode(stored["img"]).latent_dist
    yield absolute("tiny_vae moments", posterior.parameters, stored["moments"], _OUTPUTS)
    yield absolute("tiny_vae latent", posterior.mode() * SCALING, stored["z_mode_scaled"], _OUTPUTS)
    yield absolute("tiny_vae decoded", vae.decode(stored["z"] / SCALING).sample, stored["decoded"], _OUTPUTS)


def guided_decoding(fixtures: Fixtures) -> Iterator[Row]:
    """Compare guided steps through the small autoencoder."""
    vae = small_vae(fixtures).requires_grad_(False)
    stored = tensors(fixtures, "guidance")
    yield from mathematics.guided_steps(stored, "vae", lambda latent: vae.decode(latent / SCALING).sample)


def small_vae(fixtures: Fixtures) -> Any:
    """Build the small autoencoder."""
    return by_rule.part("vae", fixtures.facts("manifest_tiny_controlldm"), by_rule.TINY)


def texts(fixtures: Fixtures) -> Iterator[Row]:
    """Compare the output of a small text tower for the default prompts."""
    stored = tensors(fixtures, "text_tiny")
    tower = by_rule.part("text", fixtures.facts("manifest_tiny_controlldm"), by_rule.TINY)
    yield absolute("text_tiny", text.encoded(tower, stored["tokens"]), stored["embedding"], _OUTPUTS)


def swinir(fixtures: Fixtures) -> Iterator[Row]:
    """Compare SwinIR, small and at its published size."""
    stored = tensors(fixtures, "swinir")
    for name, sizes in (("tiny", TINY_SWINIR), ("full", SwinIRSizes())):
        network = by_rule.fill(stage1.swinir(sizes), "swinir.")
        ours = Cleaner("swinir", network, least=1)(stored[f"{name}.x"])
        yield absolute(f"swinir {name}", ours, stored[f"{name}.y"], _OUTPUTS)


def bsrnet(fixtures: Fixtures) -> Iterator[Row]:
    """Compare BSRNet, small and at its published size."""
    stored = tensors(fixtures, "bsrnet")
    for name, network in (("tiny", RRDBNet(16, 2, 8)), ("full", RRDBNet())):
        filled = by_rule.fill(network, "bsrnet.")
        yield relative(f"bsrnet {name}", filled(stored[f"{name}.x"]), stored[f"{name}.y"], 1e-5)


def scunet(fixtures: Fixtures) -> Iterator[Row]:
    """Compare SCUNet, small and at its published size, on an image that has to be padded."""
    stored = tensors(fixtures, "scunet")
    for name, sizes in (("tiny", SCUNetSizes(depths=(2,) * 7)), ("full", SCUNetSizes())):
        network = by_rule.fill(stage1.scunet(sizes), "scunet.", lambda value: 0.5 if value.ndim >= 2 else 1.0)
        ours = Cleaner("scunet", network, least=1)(stored[f"{name}.x"])
        yield absolute(f"scunet {name}", ours, stored[f"{name}.y"], _OUTPUTS)

"""The guided networks: layout, weights, matched positions, and restored images."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from restorebench_textualdegrem.cross_attention import divided
from restorebench_textualdegrem.guidance import padded
from restorebench_textualdegrem.matching import TILE, match
from restorebench_textualdegrem.words import CleanMapper, Mapper

from tests.parity.comparing import Fixtures, Row, distance, hold_to_manifest, tensor
from tests.parity.textualdegrem.by_rule import NETWORKS, digest, fill

CASES = (
    "restormer_small_withbias_64x64",
    "restormer_small_withbias_72x56",
    "restormer_small_biasfree_64x64",
    "restormer_small_dual_pixel_64x64",
    "nafnet_small_128x128",
    "nafnet_small_140x100",
    "promptir_small_64x64",
    "restormer_full_withbias_64x64",
    "nafnet_full_128x128",
)
_RESTORED = 3e-5
"""The greatest difference of a restored image, relative to its norm: weights by rule give values of up to 18. A
convolution of 9 x 384 float32 products has an error of about sqrt(3456) roundings of 2^-24, which is 3.5e-6 of
its result. A hundred such layers with independent errors have ten times that error."""
_SCORE = 1e-4
"""The greatest difference of a correlation; a correlation is at most 1."""

_ATTENTIONS = 16


def layout(fixtures: Fixtures) -> Iterator[Row]:
    """Compare names, shapes and numbers of parameters of every network with its manifest."""
    facts = fixtures.facts("facts")["facts"]
    with torch.device("meta"):
        for name, build in NETWORKS.items():
            network: Any = build()
            hold_to_manifest(network, fixtures.facts(f"manifest_{name}"), name)
            count, known = _count(network), facts[name]
            yield Row(f"layout {name}: {count:,} parameters", abs(count - known["params"]), 0.0)
            if "params_masa" in known:
                guiding = sum(value.numel() for key, value in network.named_parameters() if key.startswith("masa"))
                yield Row(f"layout {name}, for guidance", abs(guiding - known["params_masa"]), 0.0)
        yield from _mappers(fixtures, facts)


def _mappers(fixtures: Fixtures, facts: dict[str, Any]) -> Iterator[Row]:
    """Compare both mappers, and the projections in the file of the first one."""
    mapper, clean = Mapper(), CleanMapper()
    hold_to_manifest(clean, fixtures.facts("manifest_clean_mapper"), "CleanMapper")
    yield Row("layout CleanMapper", abs(_count(clean) - facts["clean_mapper_params"]), 0.0)
    manifest = fixtures.facts("manifest_mapper")
    tensors = {key: torch.empty(value["shape"], device="meta") for key, value in manifest.items()}
    words, projections = divided(tensors)
    hold_to_manifest(mapper, {key: manifest[key] for key in words}, "Mapper")
    yield Row("layout Mapper, words", abs(_count(mapper) - facts["mapper_words_params"]), 0.0)
    total = sum(value.numel() for value in tensors.values())
    yield Row("layout Mapper, whole file", abs(total - facts["mapper_total_params"]), 0.0)
    yield Row("layout Mapper, projections", abs(len(projections) - 2 * _ATTENTIONS), 0.0)


def _count(network: torch.nn.Module) -> int:
    return sum(value.numel() for value in network.parameters())


def restorations(fixtures: Fixtures, name: str) -> Iterator[Row]:
    """Compare one restored image, the digest of the weights, and the matched positions."""
    kind, _, _ = name.rpartition("_")
    stored = fixtures.arrays(name)
    with torch.device("meta"):
        made: Any = NETWORKS[kind]()
    network = made.to_empty(device="cpu")
    fill(network)
    same = digest(network) == fixtures.facts("facts")["facts"][kind]["weights_digest"]
    yield Row(f"{name} digest of weights by rule", 0.0 if same else math.inf, 0.0)
    degraded, guidance = tensor(stored["inp"]), tensor(stored["ref"])
    multiple = TILE * network.masa_enc.downscale
    deepest = [network.masa_enc(padded(each, multiple))[-1] for each in (degraded, guidance)]
    found = match(*deepest)
    apart = distance(found.coarse_index.double(), stored["coarse_index"])
    yield Row(f"{name} coarse_index", apart, 0.0)
    yield Row(f"{name} fine_score", distance(found.fine_score[0], stored["fine_score"]), _SCORE)
    published = tensor(stored["out"])
    error = (network(degraded, guidance) - published).norm() / published.norm()
    yield Row(f"{name} restored, relative", float(error), _RESTORED)

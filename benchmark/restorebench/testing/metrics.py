"""Claims about metrics: order, batches and dtype, under each of their protocols."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restorebench.contract.cards import ScoringProtocol, Variant, resolve
from restorebench.contract.errors import ContractViolation
from restorebench.contract.values import Metric
from restorebench.testing.subject import Subject, images_of, largest_difference

if TYPE_CHECKING:
    from torch import Tensor


SCORE_TOLERANCE = 1e-9
"""For float64 scores; those of networks are float32 and get 1e-4."""


def scores_clean_images_best(subject: Subject) -> None:
    """Under every protocol, a clean image does not score below a slightly noisy one, which beats a noisier one."""
    for protocol in subject.card.protocols:
        metric = subject.load(subject.runtime, protocol)
        clean, slight, strong = (_prepared(subject, protocol, level) for level in (0.0, 0.02, 0.2))
        best, middle, worst = (_scores(subject, metric, images, clean) for images in (clean, slight, strong))
        sign = 1 if subject.card.higher_is_better else -1
        ordered = bool((sign * best >= sign * middle).all() and (sign * middle > sign * worst).all())
        subject.hold(
            ordered,
            f"with higher_is_better={subject.card.higher_is_better} under {protocol.name!r}, clean, slightly and "
            f"strongly noisy images must be ordered, got {best.tolist()}, {middle.tolist()}, {worst.tolist()}",
        )


def scores_each_image_alone(subject: Subject) -> None:
    """A pair gets the same score in a batch and alone."""
    tolerance = 1e-4 if subject.card.network else SCORE_TOLERANCE
    for protocol in subject.card.protocols:
        metric = subject.load(subject.runtime, protocol)
        clean, noisy = (_prepared(subject, protocol, level) for level in (0.0, 0.1))
        together = _scores(subject, metric, noisy, clean)
        for number in range(len(clean)):
            one = slice(number, number + 1)
            change = largest_difference(_scores(subject, metric, noisy[one], clean[one]), together[one])
            subject.hold(
                change <= tolerance,
                f"the score of pair {number} under {protocol.name!r} differs by {change:.2g} between batch and "
                f"single; at most {tolerance:g} is allowed",
            )


def offers_usable_variants(subject: Subject) -> None:
    """Variants name a protocol and departures, keep to a rarity, are numbers, and are the same for every pair."""
    if subject.card.variants is None:
        return
    from restorebench.toolbox.images import from_tensor

    side = max(48, subject.card.minimum_size)
    clean, noisy = (from_tensor(images_of(subject, side, side, range(2), noise)) for noise in (0.0, 0.1))
    copies = [image.copy() for image in (*clean, *noisy)]
    offered = resolve(subject.card.variants)
    found = [dict(offered(*pair, RAREST)) for pair in zip(noisy, clean, strict=True)]
    same = all((one == other).all() for one, other in zip((*clean, *noisy), copies, strict=True))
    subject.hold(same, "`variants` modified its images")
    subject.hold(found[0].keys() == found[1].keys(), "two pairs of one size must have the same variants")
    known = {protocol.name for protocol in subject.card.protocols}
    for variant, value in found[0].items():
        subject.hold(isinstance(variant, Variant), f"`variants` gave {variant!r}, expected a Variant")
        subject.hold(variant.protocol in known, f"variant {variant} is of no protocol of the metric")
        departs = bool(variant.preparation + variant.formula)
        subject.hold(departs, f"variant {variant} departs from its protocol in nothing")
        subject.hold(variant.rarity <= RAREST, f"variant {variant} is rarer than the asked {RAREST}")
        subject.hold(isinstance(value, float), f"variant {variant} scored {value!r}, expected a float")


RAREST = 1.5
"""The rarity up to which variants are checked."""


def _prepared(subject: Subject, protocol: ScoringProtocol, noise: float) -> Tensor:
    """Return two images, prepared for the protocol and at least as large as the metric's minimum."""
    from restorebench.toolbox import scoring

    side = max(48, subject.card.minimum_size) + 2 * protocol.crop_border + protocol.crop_multiple
    images = images_of(subject, side, side, range(2), noise=noise)
    return scoring.prepare(images, protocol, network=subject.card.network)


def _scores(subject: Subject, metric: Metric, restored: Tensor, clean: Tensor) -> Tensor:
    """Call a metric on copies, as a worker does, and check its scores against the contract."""
    import torch

    from restorebench.worker import scoring

    arguments = [restored.clone(), clean.clone()]
    if subject.card.needs_map is not None:
        marked = torch.zeros_like(clean[:, :1])
        marked[..., ::2] = 1
        arguments.append(marked)
    with torch.no_grad():
        scores = metric(*arguments)
    try:
        return scoring.held(scores, subject.card, len(clean))
    except ContractViolation as error:
        raise subject.violation(str(error)) from error


CLAIMS = (
    scores_clean_images_best,
    scores_each_image_alone,
    offers_usable_variants,
)

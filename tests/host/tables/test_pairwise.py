"""The comparison of pairs against a plain one, draw by draw, and what it must not do."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from restorebench.tables import pairwise
from restorebench.tables.pairwise import PairedRows, Stratum, all_pairs, compare, pairs_with
from restorebench.toolbox.digests import digest

DRAWS = 299


def stratum(rows=4, scenes=12, images=3, seed=0, name="s", shift=0.0):
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, images + 1, scenes).astype(float)
    sums = rng.normal(size=(rows, scenes)) * counts + shift * np.arange(rows)[:, None] * counts
    return Stratum(tuple(f"{name}{n:02}" for n in range(scenes)), counts, sums)


def plainly(family, draws):
    """Compute the adjusted p of every pair as the procedure is written: draw by draw, pair by pair."""

    def mean_and_error(part, first, second, scenes):
        differences = part.sums[first] - part.sums[second]
        images = sum(part.counts[s] for s in scenes)
        mean = sum(differences[s] for s in scenes) / images
        squares = sum((differences[s] - part.counts[s] * mean) ** 2 for s in scenes)
        return mean, np.sqrt(len(scenes) / (len(scenes) - 1) * squares) / images

    def all_parts(first, second, chosen):
        found = [mean_and_error(p, first, second, s) for p, s in zip(family.strata, chosen, strict=True)]
        mean = sum(w * m for w, (m, _) in zip(family.weights, found, strict=True))
        return mean, np.sqrt(sum((w * e) ** 2 for w, (_, e) in zip(family.weights, found, strict=True)))

    generators = [
        np.random.Generator(np.random.Philox(int(digest(sorted(part.scenes)), 16))) for part in family.strata
    ]
    whole = [range(len(part.scenes)) for part in family.strata]
    observed = [all_parts(*pair, whole) for pair in family.pairs]
    statistics = [abs(mean) / max(error, 1e-12) for mean, error in observed]
    drawn = []
    chosen_scenes = [
        generator.integers(len(part.scenes), size=(draws, len(part.scenes)))
        for generator, part in zip(generators, family.strata, strict=True)
    ]
    for draw in range(draws):
        chosen = [scenes[draw] for scenes in chosen_scenes]
        moved = [all_parts(*pair, chosen) for pair in family.pairs]
        drawn.append([abs(m - o) / max(e, 1e-12) for (m, e), (o, _) in zip(moved, observed, strict=True)])
    order = sorted(range(len(statistics)), key=lambda pair: -statistics[pair])
    p, least = {}, 0.0
    for step, pair in enumerate(order):
        reached = sum(max(each[other] for other in order[step:]) >= statistics[pair] for each in drawn)
        least = p[pair] = max(least, (1 + reached) / (draws + 1))
    return [mean for mean, _ in observed], [error for _, error in observed], [p[n] for n in range(len(order))]


@pytest.mark.parametrize(
    "strata",
    [
        (stratum(),),
        (stratum(scenes=6, images=1, shift=0.4),),
        (stratum(seed=1, shift=0.3), stratum(seed=2, scenes=7, name="t", shift=0.3)),
    ],
    ids=["scenes of one to three images", "six scenes", "two strata"],
)
@pytest.mark.parametrize("pairs", [all_pairs(4), pairs_with(1, 4)], ids=["all pairs", "against one"])
def test_agrees_with_the_procedure_carried_out_plainly(strata, pairs):
    family = PairedRows(strata, pairs, (0.75, 0.25)[: len(strata)] if len(strata) > 1 else (1.0,))
    (found,) = compare([family], draws=DRAWS)
    differences, errors, p = plainly(family, DRAWS)
    np.testing.assert_allclose(found.difference, differences, rtol=0, atol=1e-13)
    np.testing.assert_allclose(found.error, errors, rtol=1e-12)
    np.testing.assert_array_equal(found.p, p)


def test_the_number_of_a_scene_and_the_order_of_rows_do_not_matter():
    part = stratum(shift=0.3)
    turned = Stratum(part.scenes[::-1], part.counts[::-1], part.sums[:, ::-1])
    (straight,) = compare([PairedRows((part,), all_pairs(4))], draws=DRAWS)
    (other,) = compare([PairedRows((turned,), all_pairs(4)[:, ::-1])], draws=DRAWS)
    np.testing.assert_array_equal(straight.p, other.p)
    np.testing.assert_allclose(straight.difference, -other.difference, rtol=1e-12)


def test_more_images_of_the_same_scenes_are_no_more_evidence():
    part = stratum(shift=0.3)
    doubled = Stratum(part.scenes, 2 * part.counts, 2 * part.sums)
    (once,) = compare([PairedRows((part,), all_pairs(4))], draws=DRAWS)
    (twice,) = compare([PairedRows((doubled,), all_pairs(4))], draws=DRAWS)
    np.testing.assert_array_equal(once.p, twice.p)
    np.testing.assert_allclose(once.high, twice.high, rtol=1e-12)


def test_identical_rows_are_not_separated_and_have_no_interval():
    sums = np.tile(stratum().sums[:1], (3, 1))
    (found,) = compare(
        [PairedRows((Stratum(stratum().scenes, stratum().counts, sums),), all_pairs(3))], draws=DRAWS
    )
    assert found.p.tolist() == [1.0, 1.0, 1.0]
    assert found.low.tolist() == found.high.tolist() == [0.0, 0.0, 0.0]
    assert np.isinf(found.scenes_needed(12)).all()


def test_a_difference_that_is_the_same_in_every_scene_is_separated():
    part = stratum(rows=2)
    constant = Stratum(part.scenes, part.counts, np.stack([part.sums[0], part.sums[0] + 0.1 * part.counts]))
    (found,) = compare([PairedRows((constant,), all_pairs(2))], draws=DRAWS)
    assert found.separated.all()
    assert found.high[0] < 0


@pytest.mark.parametrize("scenes", [6, 11, 40])
def test_an_interval_excludes_zero_exactly_where_a_pair_is_separated(scenes):
    kinds = set()
    for seed in range(12):
        part = stratum(rows=6, scenes=scenes, seed=seed, shift=0.25)
        (found,) = compare([PairedRows((part,), all_pairs(6))], draws=DRAWS)
        np.testing.assert_array_equal((found.low > 0) | (found.high < 0), found.separated)
        kinds |= set(found.separated.tolist())
    assert kinds == {False, True} or scenes == 6


def test_families_over_the_same_scenes_have_the_figures_they_have_alone(monkeypatch):
    monkeypatch.setattr(pairwise, "_NUMBERS", 40 * 100)  # so that the draws come in several portions
    families = [PairedRows((stratum(seed=n, shift=0.2),), all_pairs(4)) for n in range(3)]
    families.append(PairedRows((stratum(scenes=9),), all_pairs(4)))
    families = [
        PairedRows((Stratum(f.strata[0].scenes, families[0].strata[0].counts, f.strata[0].sums),), f.pairs)
        if len(f.strata[0].scenes) == 12
        else f
        for f in families
    ]
    together = compare(families, draws=DRAWS)
    for family, found in zip(families, together, strict=True):
        (alone,) = compare([family], draws=DRAWS)
        np.testing.assert_array_equal(alone.p, found.p)


def test_five_scenes_are_refused():
    with pytest.raises(ValueError, match="at least 6 scenes, not 5"):
        compare([PairedRows((stratum(scenes=5),), all_pairs(4))])


@pytest.mark.parametrize(("gain", "count"), [(0.3, 100), (0.5, 20)])
def test_scenes_needed_is_the_number_of_the_paired_t_test(gain, count):
    """Of two rows, by the textbook: n = (t(1 - a/2) + t(0.8))^2 sd^2 / gain^2, with n - 1 degrees of freedom."""
    rng = np.random.default_rng(3)
    noise = rng.normal(size=count)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    part = Stratum(
        tuple(f"{n:03}" for n in range(count)), np.ones(count), np.stack([gain + noise, np.zeros(count)])
    )
    (found,) = compare([PairedRows((part,), all_pairs(2))])
    assert found.critical[0] == pytest.approx(stats.t.ppf(0.975, count - 1), abs=0.12)
    fitting = [n for n in range(6, 500) if n >= ((stats.t.ppf([0.975, 0.8], n - 1)).sum() / gain) ** 2]
    assert found.scenes_needed(count)[0] == max(fitting[0], count + 1)


@pytest.mark.parametrize("few", [1, 2, 3, 4])
@pytest.mark.parametrize("twins", [2, 4])
def test_rows_that_are_nearly_the_same_bar_no_other_pair(few, twins):
    """As where detectors that mostly agree tell one restorer: many draws miss the scenes where they differ."""
    rng = np.random.default_rng(0)
    names, base = tuple(f"{n:02}" for n in range(40)), rng.normal(25, 3, 40)
    rows = [base, base + 5 + rng.normal(0, 0.5, 40), *([base + 2 + rng.normal(0, 0.5, 40)] * twins)]
    sums = np.stack(rows)
    for row in range(3, 2 + twins):
        sums[row, few * (row - 3) : few * (row - 2)] += rng.normal(1, 0.2, few)
    pairs = all_pairs(2 + twins)
    (found,) = compare([PairedRows((Stratum(names, np.ones(40), sums),), pairs)], draws=999)
    between_twins = (pairs >= 2).all(axis=1)
    np.testing.assert_array_equal(found.separated, ~between_twins)
    assert (found.p[between_twins] > 0.5).all()
    alike = [tuple(pair) == (2, 3) for pair in pairs.tolist()]
    assert found.p[alike] == 1 and np.isnan(found.low[alike]), "it is not tested"


def test_many_pairs_are_compared_in_parts_and_no_less_strictly(monkeypatch):
    family = PairedRows((stratum(rows=6, shift=0.4, scenes=30),), all_pairs(6))
    (stepped,) = compare([family], draws=DRAWS)
    monkeypatch.setattr(pairwise, "_MOST_STEPS", 4)
    (parts,) = compare([family], draws=DRAWS)
    np.testing.assert_allclose(parts.difference, stepped.difference)
    assert (parts.p >= stepped.p).all()
    best = int(np.argmin(stepped.p))
    assert parts.p[best] == stepped.p[best]
    np.testing.assert_array_equal((parts.low > 0) | (parts.high < 0), parts.separated)
    assert parts.joint == stepped.joint


@pytest.mark.parametrize(("level", "draws"), [(0.95, 10), (95, 999), (0.0, 999), (1.0, 999)])
def test_a_level_that_the_draws_cannot_show_is_refused(level, draws):
    with pytest.raises(ValueError, match="needs more draws"):
        compare([PairedRows((stratum(),), all_pairs(4))], level=level, draws=draws)


def test_false_separations_of_null_boards_are_few():
    """Eight equal methods on twelve scenes, 300 boards: 5 % allowed, and two standard errors of that."""
    rng = np.random.default_rng(11)
    names = tuple(f"{n:02}" for n in range(12))
    boards = [
        PairedRows(
            (Stratum(names, np.ones(12), 3 * rng.normal(size=12) + rng.normal(size=(8, 12))),), all_pairs(8)
        )
        for _ in range(300)
    ]
    wrong = np.mean([found.separated.any() for found in compare(boards, draws=499)])
    assert wrong <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 300)

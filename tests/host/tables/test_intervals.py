from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from restorebench.tables import bootstrap, intervals
from restorebench.tables.intervals import average_interval, interval
from restorebench.toolbox.digests import digest


def names(count):
    return [f"scene{number}" for number in range(count)]


def test_one_image_per_scene_gives_the_ordinary_t_interval():
    values = np.random.default_rng(0).normal(25, 3, 12)
    expected = stats.t.interval(0.95, 11, values.mean(), stats.sem(values))
    assert interval(values, names(12)) == pytest.approx(expected, rel=1e-12)


def test_repeating_every_image_of_a_scene_does_not_narrow_the_interval():
    values = np.random.default_rng(1).normal(25, 3, 12)
    once = interval(values, names(12))
    thrice = interval(np.repeat(values, 3), np.repeat(names(12), 3))
    assert thrice == pytest.approx(once, rel=1e-12)


def test_there_is_no_interval_below_five_scenes():
    assert interval([20.0] * 40, ["a", "b", "c", "d"] * 10) is None
    assert interval([20.0, 21, 22, 23, 24], names(5)) is not None


def test_from_thirty_scenes_on_it_is_the_percentile_bootstrap():
    values = np.random.default_rng(2).exponential(5, 60)
    reference = stats.bootstrap(
        (values,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(3)
    ).confidence_interval
    found = interval(values, names(60))
    assert found == pytest.approx((reference.low, reference.high), abs=0.06)
    assert found == interval(values, names(60))


def test_a_photograph_shared_by_tasks_is_drawn_jointly():
    effect = np.random.default_rng(5).normal(0, 3, 20)
    joint = average_interval([(20 + effect, names(20)), (30 + effect, names(20))])
    apart = average_interval([(20 + effect, names(20)), (30 + effect, [f"x{n}" for n in names(20)])])
    assert joint[1] - joint[0] == pytest.approx(2 * stats.t.ppf(0.975, 19) * stats.sem(effect), rel=1e-12)
    assert (apart[1] - apart[0]) < 0.8 * (joint[1] - joint[0])


def test_an_average_needs_five_scenes_in_every_task():
    enough, few = ([1.0, 2, 3, 4, 5], names(5)), ([1.0, 2, 3], names(3))
    assert average_interval([enough, few]) is None
    assert average_interval([]) is None


def false_positives(count, trials, decide):
    """Return how often two equal methods are called different: the interval of their differences misses 0."""
    rng = np.random.default_rng(count)
    differences = rng.normal(0, 1, (trials, count))
    return np.mean([not low <= 0 <= high for low, high in (decide(row) for row in differences)])


@pytest.mark.parametrize(("count", "trials", "highest"), [(6, 4000, 0.06), (12, 4000, 0.06), (40, 500, 0.085)])
def test_two_equal_methods_are_rarely_called_different(count, trials, highest):
    rate = false_positives(count, trials, lambda row: interval(row, names(count)))
    assert 0.03 <= rate <= highest


def test_a_percentile_bootstrap_of_six_would_be_caught():
    def bootstrap(row):
        drawn = np.random.default_rng(0).choice(row, (1000, 6)).mean(axis=1)
        return np.percentile(drawn, [2.5, 97.5])

    assert false_positives(6, 1000, bootstrap) > 0.12


def test_tasks_of_different_photographs_add_their_own_squared_errors():
    rng = np.random.default_rng(6)
    few, many = rng.normal(20, 3, 6), rng.normal(30, 1, 25)
    low, high = average_interval([(few, names(6)), (many, [f"x{n}" for n in names(25)])])
    error = np.hypot(stats.sem(few), stats.sem(many)) / 2
    assert high - low == pytest.approx(2 * stats.t.ppf(0.975, 5) * error, rel=1e-12)


def test_scenes_of_unequal_size_follow_the_ratio_estimator():
    values, scenes = [1.0, 2, 3, 4, 5, 6, 7, 9], ["a", "a", "a", "b", "c", "d", "e", "e"]
    mean, total = np.mean(values), 0.0
    for name in "abcde":
        own = [value for value, scene in zip(values, scenes, strict=True) if scene == name]
        total += (len(own) * (np.mean(own) - mean) / len(values)) ** 2
    half = stats.t.ppf(0.975, 4) * np.sqrt(5 / 4 * total)
    assert interval(values, scenes) == pytest.approx((mean - half, mean + half), rel=1e-12)


@pytest.mark.parametrize(("scenes", "tasks"), [(60, 1), (150, 1), (101, 3)])
def test_it_takes_percentiles_of_draws_that_depend_on_the_names_of_the_scenes(scenes, tasks):
    rng = np.random.default_rng(scenes)
    named = sorted(names(scenes))
    images = [(rng.normal(25, 3, 3 * scenes), [*named, *rng.choice(named, 2 * scenes)]) for _ in range(tasks)]
    generator = np.random.Generator(np.random.Philox(int(digest(named), 16)))
    averages = []
    for picks in generator.integers(scenes, size=(bootstrap.DRAWS, scenes)).tolist():
        times = dict(zip(named, np.bincount(picks, minlength=scenes), strict=True))
        weights = [[times[scene] for scene in held] for _, held in images]
        averages.append(np.mean([np.average(v, weights=w) for (v, _), w in zip(images, weights, strict=True)]))
    assert average_interval(images) == pytest.approx(tuple(np.percentile(averages, [2.5, 97.5])), rel=1e-12)


def test_draws_in_portions_are_the_draws_all_at_once():
    scenes = ("b", "a", "c", "d")
    portions = [portion[scenes] for portion in bootstrap.in_portions([scenes, ("x", "y")], 50, 7)]
    (whole,) = bootstrap.in_portions([scenes], 50, 50)
    np.testing.assert_array_equal(np.concatenate(portions), whole[scenes])
    (turned,) = bootstrap.in_portions([scenes[::-1]], 50, 50)
    np.testing.assert_array_equal(turned[scenes[::-1]], whole[scenes][:, ::-1])


def test_from_two_hundred_scenes_on_it_is_a_t_interval_close_to_the_bootstrap():
    values = np.random.default_rng(7).exponential(5, 200)
    expected = stats.t.interval(0.95, 199, values.mean(), stats.sem(values))
    found = interval(values, names(200))
    assert found == pytest.approx(expected, rel=1e-12)
    reference = stats.bootstrap(
        (values,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(3)
    ).confidence_interval
    assert found == pytest.approx((reference.low, reference.high), abs=0.03 * (found[1] - found[0]))


def test_thousands_of_images_need_no_more_memory_than_hundreds():
    def peak_mib(count):
        tracemalloc.start()
        interval(np.arange(float(count)), names(count))
        peak = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
        return peak

    assert peak_mib(199) < 80
    assert peak_mib(3000) < 40


IMAGES = st.lists(st.tuples(st.floats(0, 100), st.integers(0, 40)), min_size=1, max_size=60)


@settings(max_examples=40, deadline=None)
@given(IMAGES, st.randoms(use_true_random=False))
def test_any_interval_is_finite_holds_the_mean_and_minds_no_order(images, draw):
    values, scenes = [value for value, _ in images], [f"s{scene}" for _, scene in images]
    found = interval(values, scenes)
    assert (found is None) == (len(set(scenes)) < 5)
    if found is None:
        return
    assert np.isfinite(found).all()
    assert found[0] - 1e-9 <= np.mean(values) <= found[1] + 1e-9 or len(set(scenes)) >= 30
    assert min(values) - 1e-9 <= found[0] <= found[1] <= max(values) + 1e-9 or len(set(scenes)) < 30
    draw.shuffle(images)
    again = interval([value for value, _ in images], [f"s{scene}" for _, scene in images])
    assert again == pytest.approx(found, abs=1e-9)


def clopper_pearson(true, count, level=0.95):
    """Find the ends by bisection of the binomial tail, summed term by term."""

    def tail(rate, least):
        return sum(math.comb(count, k) * rate**k * (1 - rate) ** (count - k) for k in range(least, count + 1))

    def solve(reached):
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if not reached(middle) else (low, middle)
        return low

    half = (1 - level) / 2
    return (
        solve(lambda rate: tail(rate, true) >= half) if true else 0.0,
        solve(lambda rate: 1 - tail(rate, true + 1) <= half) if true < count else 1.0,
    )


@pytest.mark.parametrize(("true", "count"), [(0, 12), (12, 12), (0, 6), (6, 6)])
def test_a_share_of_none_or_all_has_the_exact_binomial_interval_of_its_scenes(true, count):
    flags = [True] * true + [False] * (count - true)
    rate, *ends = intervals.share([(flags, [str(n) for n in range(count)])])
    assert rate == true / count
    assert ends == pytest.approx(clopper_pearson(true, count), abs=1e-9)


def test_images_of_one_scene_count_as_one_for_a_share():
    flags, scenes = [True, True, False, True, False, False, True, True], list("aabbccdd")
    once = intervals.share([(flags, scenes)])
    more = intervals.share([(flags * 5, scenes * 5)])
    assert more[1:] == pytest.approx(once[1:], abs=0.05), "five times the images of four scenes tell hardly more"
    independent = intervals.share([(flags, list("abcdefgh"))])
    assert once[1] < independent[1] and once[2] > independent[2]


def test_an_independent_share_has_nearly_the_exact_interval():
    """The variance of n - 1 in place of n makes it as wide as one image fewer."""
    flags = [n < 30 for n in range(100)]
    _, *ends = intervals.share([(flags, [str(n) for n in range(100)])])
    assert ends == pytest.approx(clopper_pearson(30, 100), abs=2e-3)


def test_a_share_over_tasks_is_the_mean_of_their_shares():
    rate, low, high = intervals.share([([True] * 4, list("abcd")), ([True, False] * 4, list("abcdefgh"))])
    assert rate == 0.75
    assert low < rate < high

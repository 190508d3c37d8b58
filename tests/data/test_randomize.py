"""Random records and random changes of records."""

import numpy as np
import pytest

from mpreg.data import Randomize

BITS = 12
RULES = {
    "bits": Randomize((BITS,), whole=True),
    "numbers": Randomize((BITS,), low=-1.0, high=2.0),
    "whole numbers": Randomize((BITS,), low=-2, high=3, whole=True, dtype=np.int64),
    "images": Randomize((3, 4), whole=True),
}


class TestRandomize:
    @pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
    def test_so_many_features_change_and_no_others(self, rule):
        rng = np.random.default_rng(0)
        x = rule.draw(500, rng)
        counts = rng.integers(0, BITS + 3, 500)
        changed = (rule.change(x, counts, rng) != x).reshape(500, -1).sum(axis=1)
        assert (changed <= counts).all()
        if (rule.whole & (rule.high - rule.low == 1)).all():  # flipped: a change never draws the old value
            np.testing.assert_array_equal(changed, np.minimum(counts, BITS))

    def test_every_feature_is_as_likely_to_change(self):
        rng = np.random.default_rng(0)
        changed = RULES["bits"].change(np.zeros((6000, BITS), np.float32), 3, rng)
        np.testing.assert_allclose(changed.mean(axis=0), 3 / BITS, atol=4 * np.sqrt(0.25 * 0.75 / 6000))

    def test_values_are_uniform_within_the_limits(self):
        rule = Randomize((3,), low=[18, 0, -1], high=[20, 1, 2.5], whole=[True, True, False])
        x = rule.draw(6000, np.random.default_rng(0))
        for column, values in ((0, [18, 19, 20]), (1, [0, 1])):
            seen, counts = np.unique(x[:, column], return_counts=True)
            np.testing.assert_array_equal(seen, values)
            np.testing.assert_allclose(counts / 6000, 1 / len(values), atol=0.03)
        assert x[:, 2].min() < -0.98 and x[:, 2].max() > 2.48
        assert np.mean(x[:, 2]) == pytest.approx(0.75, abs=0.06)

    def test_limits_of_a_table_are_its_columns_and_of_images_those_of_all_pixels(self):
        table = np.array([[1, 0.5], [4, 2.5], [2, 1.0]])
        rule = Randomize.like(table)
        np.testing.assert_array_equal([rule.low, rule.high], [[1, 0.5], [4, 2.5]])
        np.testing.assert_array_equal(rule.whole, [True, False])
        images = np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)
        rule = Randomize.like(images)
        assert (rule.low == 0).all() and (rule.high == 23).all() and rule.whole.all()
        assert rule.draw(5, np.random.default_rng(0)).dtype == np.uint8


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Randomize((3,), low=2), "low must not be above high"),
        (lambda: Randomize((3,), low=[0, 0]), "low must be one value or one a feature"),
        (lambda: Randomize((3,), high=np.inf), "high must be finite"),
        (lambda: Randomize(()), "each size in shape must be .* Received: each size in shape=None"),
        (lambda: Randomize.like(np.array([["a"], ["b"]])), "records must be one array of numbers"),
    ],
)
def test_wrong_calls(call, message):
    with pytest.raises(ValueError, match=message):
        call()

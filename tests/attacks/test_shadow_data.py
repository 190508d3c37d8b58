"""Synthetic and noisy records: SYNTHESIZE against a transcription that walks one search at a time."""

import math

import numpy as np
import pytest

from mpreg.data import Randomize
from mpreg.data.noisy import noisy
from mpreg.signals.synthesis import synthesize

CLASSES, BITS = 4, 12


class Target:
    """A softmax of random weights that counts the records it was asked about."""

    def __init__(self, features=BITS, *, scale=1.0, seed=0, logits=False):
        self.weights = scale * np.random.default_rng(seed).normal(size=(features, CLASSES))
        self.logits, self.asked, self.calls = logits, 0, 0

    def __call__(self, x):
        self.asked, self.calls = self.asked + len(x), self.calls + 1
        scores = (x.astype(np.float64) - 0.5) @ self.weights
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return scores if self.logits else powers / powers.sum(axis=1, keepdims=True)


def transcription(ask, labels, rule, *, confidence, changes, rejections, iterations, seed):
    """Algorithm 1 search by search, in plain numbers; the draws of all searches come from one generator."""
    rng = np.random.default_rng(seed)
    most = min(changes[0], math.ceil(np.prod(rule.shape) / 2))
    searches = [
        {"x": x, "best": None, "reached": 0.0, "k": most, "j": 0, "label": label}
        for x, label in zip(rule.draw(len(labels), rng), labels, strict=True)
    ]
    going, steps = searches, []
    for _ in range(iterations):
        if not going:
            break
        answers = ask(np.stack([search["x"] for search in going]))
        draws = iter(rng.random(len(going)))
        remaining = []
        for search, y in zip(going, answers, strict=True):
            own, draw = y[search["label"]], next(draws)
            if own >= search["reached"]:
                search.update(best=search["x"], reached=own, j=0)
                if (
                    own > confidence
                    and search["label"] == max(range(CLASSES), key=y.__getitem__)
                    and draw < own
                ):
                    continue
            else:
                search["j"] += 1
                if search["j"] > rejections:
                    search.update(k=max(changes[1], math.ceil(search["k"] / 2)), j=0)
            remaining.append(search)
        going = remaining
        steps.append(sorted({search["k"] for search in going}))
        if going:
            changed = rule.change(
                np.stack([search["best"] for search in going]),
                np.array([search["k"] for search in going]),
                rng,
            )
            for search, x in zip(going, changed, strict=True):
                search["x"] = x
    found = [search for search in searches if all(search is not other for other in going)]
    return np.stack([search["best"] for search in found]), [search["label"] for search in found], steps


RULES = {
    "bits": Randomize((BITS,), whole=True),
    "numbers": Randomize((BITS,), low=-1.0, high=2.0),
    "whole numbers": Randomize((BITS,), low=-2, high=3, whole=True, dtype=np.int64),
    "images": Randomize((3, 4), whole=True),
}


class TestSynthesize:
    @pytest.mark.filterwarnings("ignore:.* searches failed")
    @pytest.mark.parametrize("kind", ["bits", "numbers", "whole numbers"])
    @pytest.mark.parametrize("seed", range(3))
    def test_it_is_algorithm_1(self, kind, seed):
        labels = np.arange(20) % CLASSES
        options = {"confidence": 0.3, "changes": (5, 2), "rejections": 1, "iterations": 40, "seed": seed}
        x, y, steps = transcription(Target(seed=seed), labels, RULES[kind], **options)
        made = synthesize(Target(seed=seed), labels, RULES[kind], **options)
        np.testing.assert_array_equal(made.x, x)
        np.testing.assert_array_equal(made.y, y)
        if kind == "bits":  # halved, rounded up, and no lower than the least
            assert {5, 3, 2} == {changes for step in steps for changes in step}

    @pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
    def test_the_target_is_sure_of_every_record(self, rule):
        target = Target(seed=1)

        def ask(x):
            return target(x.reshape(len(x), -1))

        made = synthesize(ask, np.repeat(np.arange(CLASSES), 8), rule, confidence=0.6, changes=(6, 1), seed=2)
        answers = ask(made.x)
        np.testing.assert_array_equal(answers.argmax(axis=1), made.y)
        assert (answers.max(axis=1) > 0.6).all()
        assert made.x.shape == (32, *rule.shape) and made.x.dtype == rule.dtype
        assert (made.x >= rule.low).all() and (made.x <= rule.high).all()
        if rule.whole.all():
            np.testing.assert_array_equal(made.x, np.rint(made.x))

    def test_a_surer_answer_is_accepted_more_often(self):
        """With only two possible answers, a record is taken with the probability of its class."""
        rates = []
        for own in (0.3, 0.9):
            answer = np.r_[own, np.full(CLASSES - 1, (1 - own) / (CLASSES - 1))]
            made = synthesize(
                lambda x, answer=answer: np.tile(answer, (len(x), 1)), np.zeros(2000, int), RULES["bits"]
            )
            assert len(made.y) == 2000
            rates.append(2000 / made.queries)  # the mean of a geometric distribution is 1 / its probability
        np.testing.assert_allclose(rates, [0.3, 0.9], rtol=0.06)

    def test_the_queries_are_counted_and_one_call_serves_all_searches(self):
        target = Target()
        labels = np.repeat(np.arange(CLASSES), 25)
        made = synthesize(target, labels, RULES["bits"], iterations=300, changes=(6, 1))
        assert made.queries == target.asked
        assert target.calls <= 300
        assert made.queries < target.calls * len(labels)  # searches that are over are not asked about

    def test_logits_are_read_as_such(self):
        labels = np.arange(20) % CLASSES
        one, other = (synthesize(Target(logits=logits), labels, RULES["bits"]) for logits in (False, True))
        np.testing.assert_array_equal(one.x, other.x)

    def test_the_seed_decides(self):
        labels = np.arange(8) % CLASSES
        first, again, other = (synthesize(Target(), labels, RULES["bits"], seed=seed).x for seed in (1, 1, 2))
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()

    def test_failed_searches_are_counted_by_class(self):
        def never_three(x):
            answers = Target()(x)
            answers[:, 3] = 0.0
            return answers / answers.sum(axis=1, keepdims=True)

        with pytest.warns(UserWarning, match=r"6 of 26 searches failed .*, by class: 3 \(6\)"):
            made = synthesize(
                never_three, np.r_[np.arange(20) % 3, np.full(6, 3)], RULES["bits"], iterations=60
            )
        assert len(made.x) == len(made.y) == 20 and made.y.max() == 2
        with pytest.raises(ValueError, match="none of 6 searches found .* more than 0.2, in 360 queries"):
            synthesize(never_three, np.full(6, 3), RULES["bits"], iterations=60)


class TestNoisy:
    @pytest.mark.parametrize("dtype", [bool, np.uint8, np.float32])
    @pytest.mark.parametrize("flip", [0.0, 0.1, 0.2, 1.0])
    def test_a_share_of_the_bits_of_every_record_is_flipped(self, flip, dtype):
        x = (np.random.default_rng(0).random((50, 40)) < 0.3).astype(dtype)
        rough = noisy(x, flip=flip)
        assert rough.dtype == x.dtype
        np.testing.assert_array_equal((rough != x).sum(axis=1), round(40 * flip))

    def test_other_features_get_gaussian_noise(self):
        rng = np.random.default_rng(0)
        x = np.column_stack([rng.normal(size=5000), rng.integers(0, 2, 5000), rng.integers(20, 90, 5000)])
        rough = noisy(x, flip=0.5, seed=3)
        inside = (rough[:, 0] > x[:, 0].min()) & (rough[:, 0] < x[:, 0].max())
        assert np.std((rough - x)[inside, 0]) == pytest.approx(0.5 * x[:, 0].std(), rel=0.05)
        assert np.isin(rough[:, 1], (0, 1)).all()
        np.testing.assert_array_equal(rough[:, 2], np.rint(rough[:, 2]))
        assert rough[:, 2].min() >= 20 and rough[:, 2].max() < 90
        assert np.std((rough - x)[:, 2]) > 5

    def test_images_keep_their_shape_and_type(self):
        images = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3), dtype=np.uint8)
        rough = noisy(images, flip=0.2)
        assert rough.shape == images.shape and rough.dtype == np.uint8
        assert (rough != images).mean() > 0.8


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: synthesize(Target(), [0], RULES["bits"], confidence=1.0),
            "confidence must be at least 0 and below 1",
        ),
        (lambda: synthesize(Target(), [0], RULES["bits"], changes=5), "changes must be a pair.*changes=5"),
        (
            lambda: synthesize(Target(), [0], RULES["bits"], changes=(2, 4)),
            "the first of changes must be .* least 4",
        ),
        (
            lambda: synthesize(Target(), [0], RULES["bits"], rejections=-1),
            "rejections must be .*, at least 0",
        ),
        (lambda: synthesize(Target(), [0], RULES["bits"], iterations=0), "iterations must be .*, at least 1"),
        (
            lambda: synthesize(Target(), [0, 9], RULES["bits"]),
            "labels must be below the number of classes, 4",
        ),
        (lambda: noisy(np.zeros((3, 2)), flip=20), "flip must be a share, from 0 to 1. Received: flip=20"),
    ],
)
def test_wrong_calls(call, message):
    with pytest.raises(ValueError, match=message):
        call()

"""The three adversaries of ML-Leaks: one shadow model, another task's model, and random queries."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mpreg import metrics
from mpreg.attacks import Access, ShadowModels, cross_fit, draw_membership
from mpreg.attacks.random_threshold import RandomThresholdAttack
from mpreg.attacks.transfer import OneShadowAttack, TransferAttack
from mpreg.signals import read_both


def probabilities(records, classes, sureness, seed):
    """Softmax answers and labels; the surer, the higher one class is above the others."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, records)
    scores = rng.normal(size=(records, classes))
    scores[np.arange(records), labels] += sureness
    powers = np.exp(scores)
    return powers / powers.sum(axis=1, keepdims=True), labels


def sides(members=150, nonmembers=120, classes=5, sureness=(6.0, 2.0), seed=0):
    both = zip((members, nonmembers), sureness, (seed, seed + 100), strict=True)
    return tuple(probabilities(count, classes, sure, one) for count, sure, one in both)


def access(shadows=None, *, seed=3, **options):
    return Access(*read_both(*sides(**options)), shadows=shadows, seed=seed)


def accuracy(attack, found):
    scores = attack.prepare(found)
    verdicts = cross_fit(attack, found.members, found.nonmembers, scores=scores, seed=found.seed)
    return metrics.balanced_accuracy(verdicts.member_decisions, verdicts.nonmember_decisions)


def naive_top(answers, count=3):
    return np.log([sorted(row)[::-1][:count] for row in answers])


def naive_judge(known_in, known_out, judged):
    """A logistic regression on the highest log-probabilities, with odds as if half were members."""
    x = np.concatenate([known_in, known_out])
    y = np.repeat([1, 0], [len(known_in), len(known_out)])
    p = LogisticRegression().fit(x, y).predict_proba(judged)[:, 1]
    odds = p / (1 - p) * len(known_out) / len(known_in)
    return odds / (1 + odds)


class TestOneShadow:
    def shadows(self, found, seed=7):
        """Two shadow models, of which the second is nonsense: only the first may be looked at."""
        rng = np.random.default_rng(seed)
        membership = draw_membership(2, len(found), 150, seed=seed)
        sure, unsure = (probabilities(len(found), found.classes, s, seed)[0] for s in (6.0, 2.0))
        first = np.where(membership[0][:, None], sure, unsure)
        return ShadowModels(membership, np.stack([first, rng.permutation(sure)]), found.labels)

    def test_it_learns_from_one_shadow_model_and_judges_the_target(self):
        found = access()
        shadows = self.shadows(found)
        known, chosen = shadows.predictions[0], shadows.membership[0]
        expected = naive_judge(
            naive_top(known[chosen]), naive_top(known[~chosen]), naive_top(found.answers.probabilities)
        )
        found.shadows = shadows
        scores = OneShadowAttack(LogisticRegression()).score_all(found)
        np.testing.assert_allclose(scores, expected, rtol=1e-5)
        assert accuracy(OneShadowAttack(), found) > 0.8

    def test_labels_are_not_read(self):
        found = access()
        found.shadows = self.shadows(found)
        before = OneShadowAttack().score_all(found)
        relabelled = [
            (side.probabilities, (side.labels + 1) % 5) for side in (found.members, found.nonmembers)
        ]
        other = Access(*read_both(*relabelled), shadows=found.shadows, seed=found.seed)
        np.testing.assert_allclose(OneShadowAttack().score_all(other), before, rtol=1e-9)


class TestTransfer:
    def test_it_is_a_classifier_of_the_three_highest_probabilities(self):
        (known_in, _), (known_out, _) = sides(200, 90, classes=8, seed=40)
        attack = TransferAttack(known_in, known_out, classifier=LogisticRegression())
        found = access()
        attack.fit(found.members, found.nonmembers)
        expected = naive_judge(
            naive_top(known_in), naive_top(known_out), naive_top(found.answers.probabilities)
        )
        np.testing.assert_allclose(attack.score(found.answers), expected, rtol=1e-5)

    @pytest.mark.parametrize("classes", [(10, 4), (3, 20), (2, 6), (6, 2)])
    def test_classes_may_differ(self, classes):
        source, target = classes
        (known_in, _), (known_out, _) = sides(300, 300, classes=source, seed=9)
        found = access(classes=target)
        assert accuracy(TransferAttack(known_in, known_out), found) > 0.65

    def test_it_needs_nothing_and_learns_nothing_of_the_target(self):
        (known_in, _), (known_out, _) = sides(60, 60)
        attack = TransferAttack(known_in, known_out, name="from digits")
        assert attack.name == "from digits" and not attack.needs and not attack.learns
        found = access()
        scores = [
            attack.fit(*pair).score(found.answers)
            for pair in ((found.members, found.nonmembers), (found.nonmembers, found.members))
        ]
        np.testing.assert_array_equal(*scores)

    def test_coarse_answers_and_logits(self):
        (known_in, _), (known_out, _) = sides(60, 60, classes=4)
        hard = np.eye(4)[known_in.argmax(axis=1)]
        found = access()
        scores = TransferAttack(hard, known_out).fit(found.members, found.nonmembers).score(found.answers)
        assert np.isfinite(scores).all()
        logits = TransferAttack(np.log(known_in) + 3, np.log(known_out) + 3)
        np.testing.assert_allclose(logits.features, TransferAttack(known_in, known_out).features, atol=1e-9)


class TestRandomThreshold:
    def target(self, x):
        """Random bits get unsure answers."""
        sure = 0.6 + 0.3 * (x.mean(axis=1) > 0.9)
        return np.column_stack([sure, *[(1 - sure) / 4] * 4])

    def found(self, records, ask=None, **options):
        members, nonmembers = sides(**options)
        answers = read_both(members, nonmembers)
        return Access(*answers, inputs=(records, records), query=ask or self.target, seed=3)

    @pytest.mark.parametrize("percent", [0, 5, 10, 50, 100])
    def test_the_threshold_is_the_percentile_of_the_random_answers(self, percent):
        answered = np.random.default_rng(0).dirichlet(np.ones(5), 400)
        attack = RandomThresholdAttack(
            percent=percent, queries=400, draw=lambda count, rng: np.zeros((count, 2))
        )
        found = self.found(None, ask=lambda x: answered[: len(x)])
        limit = np.percentile(np.log(answered.max(axis=1)), 100 - percent)
        expected = np.log(found.answers.probabilities.max(axis=1))
        np.testing.assert_allclose(attack.score_all(found) + limit, expected, atol=1e-12)
        above = np.mean(np.log(answered.max(axis=1)) >= limit)
        assert above == pytest.approx(percent / 100, abs=1 / 400 + 1e-9)
        assert found.queries == 400
        assert attack.needs == {"model"} and RandomThresholdAttack().needs == {"model", "records", "numbers"}

    def test_members_surer_than_random_answers_are_found(self):
        records = (np.random.default_rng(0).random((270, 30)) < 0.5).astype(np.float32)
        found = self.found(records, sureness=(9.0, 0.0))
        assert accuracy(RandomThresholdAttack(percent=10, queries=200), found) > 0.8

    @pytest.mark.parametrize("structure", [tuple, dict])
    def test_random_records_are_like_the_judged_ones(self, structure):
        rng = np.random.default_rng(0)
        parts = {
            "bits": (rng.random((270, 4)) < 0.1).astype(np.uint8),
            "table": np.column_stack([rng.normal(50, 9, 270), rng.integers(1, 9, 270)]),
            "images": rng.integers(0, 256, (270, 3, 3, 1), dtype=np.uint8),
        }
        records = parts if structure is dict else tuple(parts.values())
        asked = []

        def ask(x):
            asked.append(x)
            return np.full((600, 5), 0.2)

        RandomThresholdAttack(queries=600).score_all(self.found(records, ask=ask))
        (drawn,) = asked
        assert type(drawn) is structure
        bits, table, images = (drawn[name] for name in parts) if structure is dict else drawn
        assert bits.dtype == np.uint8 and set(np.unique(bits)) == {0, 1}
        assert bits.mean() == pytest.approx(0.5, abs=0.05)
        assert (table >= parts["table"].min(axis=0)).all() and (table <= parts["table"].max(axis=0)).all()
        np.testing.assert_array_equal(table[:, 1], np.rint(table[:, 1]))
        assert images.shape == (600, 3, 3, 1) and images.min() < 10 and images.max() > 245

    def test_two_percentages_are_two_attacks(self):
        assert RandomThresholdAttack(percent=5).name != RandomThresholdAttack().name


GOOD = np.full((4, 3), 1 / 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: TransferAttack(None, GOOD), "members: predictions must be numbers"),
        (lambda: TransferAttack(GOOD, GOOD[:0]), "non-members is empty"),
        (lambda: TransferAttack(GOOD, GOOD * 0.5), "non-members: probabilities must sum to one"),
        (lambda: TransferAttack(GOOD, np.full((4, 2), 0.5)), "scored for 3 classes, non-members for 2"),
        (lambda: TransferAttack(GOOD, GOOD, classifier=5), "classifier must be .* Received: 5"),
        (lambda: OneShadowAttack("mlp"), "classifier must be .* Received: 'mlp'"),
        (lambda: RandomThresholdAttack(percent=110), "percent must be from 0 to 100. Received: percent=110"),
        (lambda: RandomThresholdAttack(queries=0), "queries must be a whole number, at least 1"),
        (
            lambda: RandomThresholdAttack(draw=3),
            "draw must be a function (count, rng) -> records. Received: 3",
        ),
        (
            lambda: RandomThresholdAttack().score_all(
                Access(*read_both(*sides()), inputs=(np.array([["a"]]), np.array([["b"]])), query=len)
            ),
            "records must be one array of numbers",
        ),
    ],
)
def test_wrong_calls(call, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(").replace(")", r"\)")):
        call()

"""The combined attack: what it reads, and that it is about as strong as the best single attack it stands on."""

import numpy as np
import pytest
from scipy import special

from mpreg import metrics, signals
from mpreg.attacks import CombinedAttack, LikelihoodRatioAttack, RelativeAttack, cross_fit, suite
from mpreg.attacks.access import Access
from mpreg.attacks.shadow.models import ShadowModels
from mpreg.signals import read_answers

CLASSES, MEMBERS, RECORDS, MODELS = 6, 150, 300, 12


def world(*, lift, seed=0):
    """Answers of a target and of shadow models: a record's logit is higher, by `lift`, where it was trained on."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, RECORDS)
    membership = np.array([rng.permutation(RECORDS) < RECORDS // 2 for _ in range(MODELS)])
    membership[0], membership[1] = np.arange(RECORDS) % 2 == 0, np.arange(RECORDS) % 2 == 1
    difficulty = 2 * rng.normal(size=RECORDS)

    def answers(trained):
        logits = rng.normal(size=(RECORDS, CLASSES))
        logits[np.arange(RECORDS), labels] += difficulty + lift * trained + 0.3 * rng.normal(size=RECORDS)
        return special.softmax(logits, axis=1)

    target = answers(np.arange(RECORDS) < MEMBERS)
    shadows = ShadowModels(membership, np.stack([answers(own) for own in membership]), labels)
    sides = [read_answers(target[rows], labels[rows]) for rows in (slice(MEMBERS), slice(MEMBERS, None))]
    return Access(*sides, shadows=shadows, seed=0)


def judged(attack, access):
    verdicts = cross_fit(attack, access.members, access.nonmembers, scores=attack.prepare(access))
    return metrics.auc(verdicts.member_scores, verdicts.nonmember_scores), verdicts


def test_it_is_about_as_strong_as_the_best_it_stands_on():
    access = world(lift=1.5)
    single = max(judged(attack, access)[0] for attack in (LikelihoodRatioAttack(), RelativeAttack()))
    combined, _ = judged(CombinedAttack(), access)
    assert single > 0.7 and combined > single - 0.02


def test_where_nothing_leaks_it_finds_nothing():
    areas = [judged(CombinedAttack(), world(lift=0.0, seed=seed))[0] for seed in range(8)]
    assert abs(np.mean(areas) - 0.5) < 0.04


def test_relative_scores_are_those_of_a_naive_loop():
    """Ratio to the mean of all shadow models, and to those without the record, at each temperature."""
    access = world(lift=1.0)
    rows = CombinedAttack().prepare(access)
    assert rows.shape == (RECORDS, 21) and np.isfinite(rows).all()
    shadows, membership = access.shadows.predictions, access.shadows.membership
    target = np.exp(access.answers.log_probabilities)

    def softened(p, record, temperature):
        q = p[record] ** (1 / temperature)
        return q[access.labels[record]] / q.sum()

    for record in range(0, RECORDS, 37):
        for at, temperature in enumerate((1.0, 2.0, 4.0)):
            own = softened(target, record, temperature)
            others = np.array([softened(shadow, record, temperature) for shadow in shadows])
            without = others[~membership[:, record]].mean()
            assert rows[record, 7 + 2 * at] == pytest.approx(np.log(own / others.mean()), abs=1e-6)
            assert rows[record, 8 + 2 * at] == pytest.approx(np.log(own) - np.log(without) / 3, abs=1e-6)


def test_softened_answers_at_a_temperature_of_one_are_the_answers():
    answers = world(lift=1.0).answers
    assert signals.softened_loss(1.0) is signals.loss
    logits = answers.log_probabilities / 3
    expected = special.log_softmax(logits, axis=1)[np.arange(RECORDS), answers.labels]
    np.testing.assert_allclose(signals.softened_loss(3.0)(answers), expected, atol=1e-12)


def test_saturated_answers_stay_finite():
    labels = np.arange(40) % CLASSES
    certain = np.eye(CLASSES)[labels]
    shadows = ShadowModels(np.arange(80).reshape(2, 40) % 2 == 0, np.stack([certain, certain]), labels)
    shadows.membership[1] = ~shadows.membership[0]
    sides = [read_answers(certain[rows], labels[rows]) for rows in (slice(20), slice(20, None))]
    access = Access(*sides, shadows=shadows, seed=0)
    assert np.isfinite(CombinedAttack().prepare(access)).all()
    judged(CombinedAttack(), access)


def test_the_strong_suite_has_it_and_coverage_is_checked():
    assert any(isinstance(attack, CombinedAttack) for attack in suite("strong"))
    access = world(lift=1.0)
    access.shadows.membership[:, 3] = False
    with pytest.raises(ValueError, match="trained on by none"):
        CombinedAttack().prepare(access)

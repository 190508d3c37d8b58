"""The combined attack: what it reads, and that it is about as strong as the best single attack it stands on."""

import numpy as np
import pytest
from scipy import special, stats

from mpreg import metrics, signals
from mpreg.attacks import (
    CombinedAttack,
    LabelOnlyAttack,
    LikelihoodRatioAttack,
    RelativeAttack,
    cross_fit,
    suite,
)
from mpreg.attacks.access import Access
from mpreg.attacks.bayesian_ratio import BayesianRatioAttack
from mpreg.attacks.likelihood_ratio import Normals
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
    assert rows.shape == (RECORDS, 29) and np.isfinite(rows).all()
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
            assert rows[record, 2 + at] == pytest.approx(np.log(own / others.mean()), abs=1e-5)
            assert rows[record, 13 + at] == pytest.approx(np.log(own) - np.log(without) / 3, abs=1e-5)


def naive_values(access, temperature):
    """Logit-scaled confidences (None) or softened log-probabilities of the labels: of the target and of the models."""

    def of(p):
        own = p[np.arange(RECORDS), access.labels]
        if temperature is None:
            return np.log(own) - np.log(1 - own)
        return np.log(own ** (1 / temperature)) - np.log((p ** (1 / temperature)).sum(axis=1))

    return of(np.exp(access.answers.log_probabilities)), np.stack([of(p) for p in access.shadows.predictions])


def naive_moments(values, chosen, prior):
    """Mean and variance of each record: its own, weighed with that within all records as so many more models."""
    groups = [values[chosen[:, record], record] for record in range(RECORDS)]
    squares = [np.sum((group - group.mean()) ** 2) for group in groups]
    within = sum(squares) / sum(len(group) - 1 for group in groups)
    return [
        (group.mean(), (own + prior * within) / (len(group) - 1 + prior), len(group))
        for group, own in zip(groups, squares, strict=True)
    ]


def test_ratios_with_own_variances_are_those_of_a_naive_loop():
    access = world(lift=1.0)
    rows, membership = CombinedAttack().prepare(access), access.shadows.membership
    for column, temperature in ((6, None), (7, 2.0), (8, 4.0)):
        target, shadows = naive_values(access, temperature)
        inside, outside = (naive_moments(shadows, chosen, 8.0) for chosen in (membership, ~membership))
        expected = [
            stats.norm.logpdf(own, near[0], near[1] ** 0.5) - stats.norm.logpdf(own, far[0], far[1] ** 0.5)
            for own, near, far in zip(target, inside, outside, strict=True)
        ]
        np.testing.assert_allclose(rows[:, column], expected, rtol=1e-4, atol=1e-4)


def test_the_prior_on_variances_gives_a_student_t():
    """The posterior predictive density, from SciPy's own t distribution."""
    access = world(lift=1.0)
    membership = access.shadows.membership
    target, shadows = naive_values(access, None)

    def log_density(chosen):
        return np.array(
            [
                stats.t.logpdf(own, count - 1 + 8.0, mean, np.sqrt(variance * (1 + 1 / count)))
                for own, (mean, variance, count) in zip(
                    target, naive_moments(shadows, chosen, 8.0), strict=True
                )
            ]
        )

    expected = log_density(membership) - log_density(~membership)
    np.testing.assert_allclose(BayesianRatioAttack().score_all(access), expected, rtol=1e-9, atol=1e-9)


def test_a_prior_lies_between_one_variance_for_all_and_one_for_each():
    access = world(lift=1.0)
    membership = access.shadows.membership
    shared, none, usual, much = (
        Normals(naive_values(access, None)[1], membership, **how).spread
        for how in ({"shared": True}, {"shared": False}, {"prior": 8.0}, {"prior": 1e9})
    )
    np.testing.assert_allclose(much, shared, rtol=1e-6)
    assert ((usual - shared) * (usual - none) <= 0).all() and np.abs(usual - shared).max() > 0.01


def test_softened_answers_at_a_temperature_of_one_are_the_answers():
    assert signals.softened_loss(1.0) is signals.loss


@pytest.mark.parametrize("temperature", (0.01, 0.5, 2.0, 3.0, 4.0))
def test_softened_answers_are_those_of_cooler_logits(temperature):
    answers = world(lift=1.0).answers
    logits = answers.log_probabilities / temperature
    expected = special.log_softmax(logits, axis=1)[np.arange(RECORDS), answers.labels]
    np.testing.assert_allclose(signals.softened_loss(temperature)(answers), expected, atol=1e-12)


@pytest.mark.parametrize("temperature", (0.01, 0.5, 1.0, 2.0, 3.0, 4.0))
def test_softened_answers_of_zeros_are_finite(temperature):
    answers = read_answers(np.zeros((2, 3)), np.array([0, 1]), coarse=True)
    assert np.isfinite(signals.softened_loss(temperature)(answers)).all()


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


def hidden(seed=0):
    """Answers that give away the class alone: what is left is how often altered copies are answered rightly."""
    labels = np.arange(RECORDS) % CLASSES
    robust = np.where(np.arange(RECORDS) < MEMBERS, 0.8, 0.6)
    rng = np.random.default_rng(seed)

    def query(x):
        right = rng.random(len(x)) < robust  # all records, in their order
        return np.eye(CLASSES)[np.where(right, labels, (labels + 1) % CLASSES)]

    x = rng.normal(size=(RECORDS, 2))
    membership = np.array([rng.permutation(RECORDS) < RECORDS // 2 for _ in range(MODELS)])
    membership[0], membership[1] = np.arange(RECORDS) % 2 == 0, np.arange(RECORDS) % 2 == 1
    shadows = ShadowModels(membership, np.stack([query(x) for _ in range(MODELS)]), labels)
    sides = [slice(MEMBERS), slice(MEMBERS, None)]
    answers = [read_answers(np.eye(CLASSES)[labels[rows]], labels[rows]) for rows in sides]
    return Access(*answers, inputs=tuple(x[rows] for rows in sides), query=query, shadows=shadows, seed=0)


def test_where_answers_are_hidden_altered_copies_tell():
    access = hidden()
    single, _ = judged(LabelOnlyAttack(), access)
    asked = access.queries
    combined, _ = judged(CombinedAttack(), access)
    assert access.queries == asked > 0  # both read the same copies
    assert single > 0.75 and combined > single - 0.02
    rows = CombinedAttack().prepare(access)
    copies = access.altered_copies
    assert any(np.allclose(column, copies.correct.mean(axis=1)) for column in rows.T)
    assert any(np.allclose(column, copies.confidence, atol=1e-4) for column in rows.T)
    assert np.isfinite(rows).all()

"""The shadow attack against a plain loop over classes, and what must hold of it."""

import copy

import keras
import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from threadpoolctl import threadpool_limits

from mpreg import metrics
from mpreg.attacks import Access, ShadowModels, ShadowTraining, cross_fit, draw_membership
from mpreg.attacks.shadow import attack as shadow
from mpreg.attacks.shadow.attack import ShadowAttack
from mpreg.attacks.shadow.network import NetworkClassifier, member_probability
from mpreg.data import Randomize
from mpreg.signals import read_both
from mpreg.signals.synthesis import synthesize

CLASSES = 3


def logits(labels, membership, rng, *, margin=(1.5, 4.0), classes=CLASSES):
    """Answers of a model that is surer of its members."""
    answers = rng.normal(size=(len(labels), classes))
    answers[np.arange(len(labels)), labels] += np.where(membership, margin[1], margin[0])
    return answers


def shadow_models(models=4, records=180, members=80, *, classes=CLASSES, seed=0, labels=None, **options):
    """`ShadowModels` over a pool whose membership was drawn without regard to the target's."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, records) if labels is None else labels
    membership = draw_membership(models, records, members, seed=seed)
    answers = [logits(labels, row, rng, classes=classes, **options) for row in membership]
    return ShadowModels(membership, np.stack(answers), labels, from_logits=True)


def access(
    shadows=None, labels=None, *, members=80, margin=(1.5, 4.0), seed=5, decimals=None, classes=CLASSES
):
    """What an attacker has on a target whose first records are its members."""
    labels = shadows.labels if labels is None else labels
    rng = np.random.default_rng(seed)
    answers = logits(labels, np.arange(len(labels)) < members, rng, margin=margin, classes=classes)
    answers = np.exp(answers) / np.exp(answers).sum(axis=1, keepdims=True)
    if decimals is not None:
        answers = keep_highest(answers, decimals)
    sides = ((answers[:members], labels[:members]), (answers[members:], labels[members:]))
    return Access(*read_both(*sides), shadows=shadows, seed=seed)


def keep_highest(answers, count):
    """The highest probabilities, to sum one; the others are zero."""
    kept = np.where(answers >= np.sort(answers, axis=1)[:, [-count]], answers, 0.0)
    return kept / kept.sum(axis=1, keepdims=True)


def accuracy(attack, found):
    verdicts = cross_fit(attack, found.members, found.nonmembers, scores=attack.prepare(found))
    return metrics.balanced_accuracy(verdicts.member_decisions, verdicts.nonmember_decisions)


def naive_scores(found, shadows, build):
    """A classifier a class on all pairs of shadow model and record; odds as if half of them were members."""
    scores = np.zeros(len(found))
    for label in range(found.classes):
        x, y = [], []
        for model in range(len(shadows)):
            for record in np.flatnonzero(shadows.labels == label):
                x.append(shadows.answers(model).log_probabilities[record])
                y.append(int(shadows.membership[model, record]))
        judged = found.labels == label
        p = build().fit(np.array(x), np.array(y)).predict_proba(found.answers.log_probabilities[judged])[:, 1]
        scores[judged] = 1 / (1 + (1 - p) / p * np.mean(y) / (1 - np.mean(y)))
    return scores


CLASSIFIERS = {
    "default": (
        None,
        lambda: HistGradientBoostingClassifier(
            max_iter=40, max_depth=3, max_bins=64, early_stopping=False, random_state=5
        ),
    ),
    "naive Bayes": (GaussianNB(), GaussianNB),
    "forest": (
        RandomForestClassifier(10, min_samples_leaf=5),
        lambda: RandomForestClassifier(10, min_samples_leaf=5, random_state=5),  # the seed of the access
    ),
}


class TestShadowAttack:
    @pytest.mark.parametrize("classifier", CLASSIFIERS)
    @pytest.mark.parametrize("members", [60, 120])
    def test_it_is_a_loop_over_classes(self, classifier, members):
        given, build = CLASSIFIERS[classifier]
        shadows = shadow_models(members=members)
        found = access(shadows)
        with np.errstate(divide="ignore"), threadpool_limits(1):
            expected = naive_scores(found, shadows, build)
        np.testing.assert_allclose(ShadowAttack(given).score_all(found), expected, rtol=1e-6, atol=1e-12)

    def test_what_shadow_models_leak_the_target_leaks(self):
        leaking, tight = (
            accuracy(ShadowAttack(), access(shadow_models(margin=m), margin=m)) for m in ((0, 6), (2, 2))
        )
        assert leaking > 0.9
        assert abs(tight - 0.5) < 0.1

    def test_half_is_the_threshold_however_many_members_shadow_models_have(self):
        called = []
        for members in (300, 900):
            found = access(shadow_models(records=1200, members=members), members=600)
            called.append(np.mean(ShadowAttack().score_all(found) >= 0.5))
        np.testing.assert_allclose(called, 0.5, atol=0.1)

    def test_the_target_s_membership_is_not_used(self):
        """Members and non-members that change names keep their scores."""
        shadows = shadow_models()
        found = access(shadows)
        other = Access(found.answers[:30], found.answers[30:], shadows=shadows, seed=found.seed)
        np.testing.assert_array_equal(ShadowAttack().score_all(found), ShadowAttack().score_all(other))
        assert not ShadowAttack.learns

    def test_a_class_without_a_side_is_judged_by_all_classes(self):
        labels = np.r_[np.arange(178) % 2, 2, 2]
        membership = draw_membership(4, 180, 80)
        membership[:, 178:] = False  # no shadow model saw a member of class 2
        rng = np.random.default_rng(0)
        answers = [logits(labels, row, rng) for row in membership]
        found = access(ShadowModels(membership, np.stack(answers), labels, from_logits=True), members=178)
        sure = np.array([[-5.0, -5.0, -0.01], [-0.9, -1.2, -1.2]])
        target = np.concatenate([found.answers.log_probabilities[:178], sure])
        sides = (
            (np.exp(target[:178]) / np.exp(target[:178]).sum(1, keepdims=True), labels[:178]),
            (np.exp(sure) / np.exp(sure).sum(1, keepdims=True), labels[178:]),
        )
        scores = ShadowAttack().score_all(Access(*read_both(*sides), shadows=found.shadows))
        assert scores[178] > 0.5 > scores[179]
        own = ShadowModels(membership[:, :178], np.stack(answers)[:, :178], labels[:178], from_logits=True)
        unseen = ShadowAttack(source=own).score_all(Access(*read_both(*sides)))  # no record of class 2 at all
        assert unseen[178] > 0.5 > unseen[179]

    @pytest.mark.parametrize("classes", [2, 3, 7])
    def test_all_classes_share_the_label_s_column_and_the_highest_others(self, classes):
        rng = np.random.default_rng(0)
        features, labels = rng.normal(size=(20, classes)), rng.integers(0, classes, 20)
        expected = []
        for row, label in zip(features.tolist(), labels, strict=True):
            own = row.pop(label)
            expected.append([own, *sorted(row, reverse=True)[:3]])
        np.testing.assert_array_equal(shadow._ranked(features, labels), expected)

    @pytest.mark.parametrize("classifier", CLASSIFIERS)
    def test_coarse_answers(self, classifier):
        shadows = shadow_models()
        coarse = ShadowModels(
            shadows.membership,
            np.stack([keep_highest(shadows.answers(i).probabilities, 1) for i in range(len(shadows))]),
            shadows.labels,
        )
        scores = ShadowAttack(CLASSIFIERS[classifier][0]).score_all(access(coarse, decimals=1))
        assert np.isfinite(scores).all()

    def test_own_records_serve_as_well(self):
        own = shadow_models(records=240, members=120, seed=8)
        labels = np.random.default_rng(1).integers(0, CLASSES, 400)
        found = access(labels=labels, members=200)
        attack = ShadowAttack(source=own)
        assert not attack.needs and ShadowAttack().needs == {"shadows"}
        assert accuracy(attack, found) > 0.75
        pooled = Access(found.members, found.nonmembers, shadows=own)
        np.testing.assert_array_equal(attack.score_all(found), ShadowAttack().score_all(pooled))

    def test_records_made_by_the_target_serve_too(self):
        """From bits that the target was sure of to shadow models, to an attack: no real record is known."""
        rng = np.random.default_rng(0)
        x, y = (rng.random((240, 16)) < 0.5).astype(np.float32), rng.integers(0, 2, 240)

        def train(x, y, seed):
            return RandomForestClassifier(20, random_state=seed).fit(x, y)

        target = train(x[:120], y[:120], 0)
        made = synthesize(target.predict_proba, np.arange(240) % 2, Randomize((16,), whole=True))
        membership = draw_membership(2, 240, 120)
        source = ShadowTraining(train, count=2).train(made.x, made.y, membership=membership)
        sides = (
            (target.predict_proba(part), labels) for part, labels in ((x[:120], y[:120]), (x[120:], y[120:]))
        )
        assert accuracy(ShadowAttack(source=source), Access(*read_both(*sides))) > 0.75

    def test_many_answers_are_sampled_from_all_shadow_models(self, monkeypatch):
        seen = []

        class Spy(BaseEstimator):
            classes_ = np.array([0, 1])

            def fit(self, x, y):
                seen.append(len(y))

            def predict_proba(self, x):
                return np.full((len(x), 2), 0.5)

        found = access(shadow_models(models=4))
        monkeypatch.setattr(shadow, "MAX_ANSWERS", 400)
        ShadowAttack(Spy()).score_all(found)
        assert sum(seen) == 400
        drawn = ShadowAttack().score_all(found)
        np.testing.assert_array_equal(drawn, ShadowAttack().score_all(found))
        monkeypatch.setattr(shadow, "MAX_ANSWERS", 4 * 180)
        everything = ShadowAttack().score_all(found)
        assert (drawn != everything).any()
        assert np.corrcoef(drawn, everything)[0, 1] > 0.9

    def test_a_network_may_be_the_attacker(self):
        keras.utils.set_random_seed(0)

        def build():
            network = keras.Sequential([keras.layers.Dense(8, "relu"), keras.layers.Dense(1, "sigmoid")])
            network.compile(keras.optimizers.Adam(0.02), "binary_crossentropy")
            return network

        assert isinstance(ShadowAttack(build).classifier, NetworkClassifier)
        margin = (0, 6)
        found = access(shadow_models(classes=2, margin=margin), margin=margin, classes=2)
        assert accuracy(ShadowAttack(NetworkClassifier(build, epochs=6)), found) > 0.85

    def test_a_softmax_of_two_is_read_like_a_sigmoid(self):
        class Network:
            def predict_on_batch(self, x):
                raise AssertionError("not asked in batches")

            def predict(self, x, batch_size, verbose):
                return np.column_stack([1 - x[:, 0], x[:, 0]])[:, -self.units :]

        x = np.random.default_rng(0).random((5, 2))
        for Network.units in (1, 2):
            np.testing.assert_array_equal(member_probability(Network(), x), x[:, 0])

    def test_cross_fitting_copies_no_shadow_models(self):
        attack = ShadowAttack(source=shadow_models())
        assert copy.deepcopy(attack).source is attack.source

    def test_the_classifier_given_is_not_fitted(self):
        given = LogisticRegression()
        ShadowAttack(given).score_all(access(shadow_models()))
        assert not hasattr(given, "coef_") and given.random_state is None


class Regressor(GaussianNB):
    def predict_proba(self, x):
        return np.full((len(x), 2), 3.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ShadowAttack(GaussianNB),
            "classifier must be a scikit-learn classifier .* function that returns",
        ),
        (lambda: ShadowAttack("mlp"), "classifier must be .* Received: 'mlp'"),
        (
            lambda: ShadowAttack(keras.Sequential([keras.layers.Dense(1)])),
            "classifier must be .* <Sequential",
        ),
        (
            lambda: ShadowAttack(source=[1]),
            "source must be mpreg.ShadowModels of your own records.* Received: \\[1\\]",
        ),
        (lambda: NetworkClassifier(None), "build_fn must be a function that returns a compiled network"),
        (lambda: NetworkClassifier(lambda: None, epochs=0), "epochs must be a whole number, at least 1"),
        (
            lambda: ShadowAttack(source=shadow_models(classes=4)).score_all(access(shadow_models())),
            "the shadow models answer for 4 classes, the target for 3",
        ),
        (
            lambda: ShadowAttack(Regressor()).score_all(access(shadow_models())),
            "an attack model must answer with the probability of membership.* values from 3 to 3",
        ),
    ],
)
def test_wrong_calls(call, message):
    with pytest.raises(ValueError, match=message):
        call()

"""The meter and models of other forms: several outputs, a named one; and which attack its figures are of."""

import keras
import numpy as np
import pytest
from keras import layers
from support import CLASSES, FEATURES, mlp, split_of

import mpreg
from mpreg import metrics, signals
from mpreg.callbacks import PrivacyMeter

SPARSE = "sparse_categorical_crossentropy"


@pytest.fixture(scope="module")
def split():
    return split_of(40, 40)


class Epochs(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.ended = 0

    def on_epoch_end(self, epoch, logs=None):
        self.ended += 1


def named(**heads):
    x = keras.Input((FEATURES,))
    return keras.Model(
        x, {name: layers.Dense(units, "softmax", name=name)(x) for name, units in heads.items()}
    )


def test_a_model_of_two_outputs_is_refused_before_it_is_trained(split):
    model, epochs = named(a=CLASSES, b=2), Epochs()
    model.compile("sgd", {"a": SPARSE, "b": SPARSE})
    x, y = split.members
    with pytest.raises(ValueError, match="one output of class scores"):
        model.fit(x, {"a": y, "b": y % 2}, verbose=0, callbacks=[epochs, PrivacyMeter(split)])
    assert epochs.ended == 0


def test_a_model_of_sequences_is_refused_before_it_is_trained(split):
    x = keras.Input((FEATURES,))
    model = keras.Model(x, layers.Reshape((2, CLASSES))(layers.Dense(2 * CLASSES)(x)))
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="outputs of shapes"):
        model.fit(split.members[0], np.zeros((40, 2, CLASSES)), verbose=0, callbacks=[PrivacyMeter(split)])


def test_one_named_output_is_the_output(split):
    model = named(a=CLASSES)
    model.compile("sgd", {"a": SPARSE})
    history = model.fit(split.members[0], {"a": split.members[1]}, verbose=0, callbacks=[PrivacyMeter(split)])
    assert 0 <= history.history["attack_accuracy"][0] <= 1
    assert mpreg.evaluate(model, split, attacks="fast").members == 40
    wrapped = mpreg.AdversarialRegularization(named(a=CLASSES), split.nonmembers, penalty=1.0)
    wrapped.compile("sgd", {"a": SPARSE})
    assert np.isfinite(wrapped.fit(split.members[0], {"a": split.members[1]}, verbose=0).history["loss"][0])


def test_figures_are_the_highest_of_any_attack(split):
    """As in the report: the most accurate attack need not be the one that finds most at few false alarms."""
    model = mlp(hidden=64)
    model.compile(keras.optimizers.Adam(0.05), SPARSE)
    model.fit(*split.members, epochs=60, verbose=0)
    meter = PrivacyMeter(split)
    meter.set_model(model)
    figures = meter.measure()
    answers = [signals.read_answers(model.predict(x, verbose=0), y) for x, y in meter._sides]
    found = list(mpreg.attacks.cross_fit_each(meter._attacks, *answers, folds=2, seed=0))
    scores = [(each.member_scores, each.nonmember_scores) for each in found]
    for fpr in metrics.FPRS:
        expected = max(metrics.tpr_at_fpr(*sides, fpr=fpr) for sides in scores)
        assert figures[f"attack_tpr_at_fpr_{fpr}"] == pytest.approx(expected)
    assert figures["attack_auc"] == pytest.approx(max(metrics.auc(*sides) for sides in scores))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda target, reference: mpreg.MixUpMMD(target, reference),
        lambda target, reference: mpreg.AdversarialRegularization(target, reference, penalty=1.0),
        lambda target, _: mpreg.DPSGD(target, noise_multiplier=1.0, l2_norm_clip=1.0),
    ],
    ids=["mixup", "game", "dpsgd"],
)
def test_sparse_features_are_refused_by_name(split, wrap):
    sparse = pytest.importorskip("scipy.sparse")
    x = sparse.csr_matrix(np.maximum(split.members[0], 0))
    target = keras.Sequential([keras.Input((FEATURES,), sparse=True), layers.Dense(CLASSES, "softmax")])
    model = wrap(target, split.nonmembers)
    model.compile("sgd", SPARSE)
    with pytest.raises(
        ValueError, match=r"features must be dense. Received: a csr_matrix. Call .toarray\(\)"
    ):
        model.fit(x, split.members[1], verbose=0)
    with pytest.raises(ValueError, match="members: features must be dense"):
        mpreg.MembershipSplit((x, split.members[1]), None, split.nonmembers)

"""What a wrapper exports is its clean classifier, as fitted and as loaded."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import mlp

import mpreg
from mpreg.training import Distillation, pack_labels

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(60, 6)).astype("float32"), np.arange(60) % 3
REFERENCE = X[:20], Y[:20]
PACKED = pack_labels(np.full((40, 3), 1 / 3), Y[20:], 3)


class Subclassed(keras.Model):
    """A target that knows its inputs by having been called alone."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(3, "softmax")

    def call(self, x):
        return self.dense(x)


WRAPPERS = {
    "AdversarialRegularization": lambda net: mpreg.AdversarialRegularization(net, REFERENCE, penalty=1.0),
    "DPSGD": lambda net: mpreg.DPSGD(net, noise_multiplier=1.0, l2_norm_clip=1.0),
    "LabelSmoothing": lambda net: mpreg.LabelSmoothing(net, smoothing=0.1),
    "MixUpMMD": lambda net: mpreg.MixUpMMD(net, REFERENCE, gap=0),
    "HAMP": lambda net: mpreg.HAMP(net, gamma=0.9, alpha=0.01),
    "RelaxLoss": lambda net: mpreg.RelaxLoss(net, alpha=0.5),
    "ConvexConcaveLoss": mpreg.ConvexConcaveLoss,
    "ConfidencePenalty": lambda net: mpreg.ConfidencePenalty(net, weight=0.1),
    "Distillation": Distillation,
    "two": lambda net: mpreg.LabelSmoothing(
        mpreg.AdversarialRegularization(net, REFERENCE, penalty=1.0), smoothing=0.1
    ),
}


def served(model, folder):
    """The answers of what a model exports, by TensorFlow alone."""
    model.export(folder, verbose=False)
    loaded = tf.saved_model.load(folder)  # held, because its functions do not hold its variables
    return loaded.serve(X).numpy()


def fitted(name, net):
    model = WRAPPERS[name](net)
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(X[20:], PACKED if name == "Distillation" else Y[20:], verbose=0)
    return model


@pytest.mark.parametrize("name", WRAPPERS)
def test_it_answers_as_predict_does_and_as_its_target_does(name, tmp_path):
    first = mlp()
    before = first.predict(X, verbose=0)
    model = fitted(name, first)
    answers = model.predict(X, verbose=0)
    assert (
        np.abs(answers - before).max() > 1e-4
    )  # trained, so that an export of the first weights would differ
    np.testing.assert_allclose(served(model, str(tmp_path / "fitted")), answers, atol=1e-6)
    np.testing.assert_allclose(served(model.target_model, str(tmp_path / "target")), answers, atol=1e-6)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(served(loaded, str(tmp_path / "loaded")), answers, atol=1e-6)


def test_a_subclassed_target(tmp_path):
    model = fitted("AdversarialRegularization", Subclassed())
    np.testing.assert_allclose(served(model, str(tmp_path / "x")), model.predict(X, verbose=0), atol=1e-6)


def test_nothing_of_the_defence_is_in_the_export(tmp_path):
    model = fitted("AdversarialRegularization", mlp())
    model.export(str(tmp_path / "x"), verbose=False)
    exported = tf.saved_model.load(str(tmp_path / "x"))
    assert len(exported.variables) == len(model.target_model.variables)

"""`check_defence` sees each promise broken, and nothing else."""

import re

import keras
import numpy as np
import pytest
from keras import ops

import mpreg
from mpreg.outputs import OutputDefence
from mpreg.testing import check_defence
from mpreg.training import TrainingDefence


@keras.saving.register_keras_serializable("strangers")
class Mine(TrainingDefence):
    """A training defence that does nothing, and keeps every promise."""

    def __init__(self, target, reference):
        super().__init__(target, [], name="mine")

    @classmethod
    def broken(cls, target, reference):
        return cls(target, reference)


def registered(kind):
    return keras.saving.register_keras_serializable("strangers")(kind)


@registered
class Retargeted(Mine):
    def __init__(self, target, reference):
        super().__init__(keras.models.clone_model(target), reference)


@registered
class Refusing(Mine):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if sample_weight is not None:
            raise ValueError("no weights, please")
        return super().compute_loss(x, y, y_pred, sample_weight, training)


@registered
class Flattering(Mine):
    def call(self, inputs, training=None):
        answers = super().call(inputs, training=training)
        return answers if training else ops.softmax(100.0 * answers)


@registered
class Unclean(Mine):
    def __init__(self, target, reference):
        super().__init__(mpreg.defend(target, mpreg.Temperature(2.0)), reference)


class Unregistered(Mine):
    pass


@registered
class Hoarding(Mine):
    def __init__(self, target, reference):
        super().__init__(target, reference)
        self.kept = self.add_weight(name="kept", shape=reference[0].shape, trainable=False)
        self.kept.assign(reference[0])

    @classmethod
    def from_config(cls, config):
        model = super().from_config(config)
        model.kept = model.add_weight(name="kept", shape=(48, 6), trainable=False)
        return model


@registered
class Scribbling(Mine):
    def __init__(self, target, reference):
        reference[0][0] += 1
        super().__init__(target, reference)


@registered
class Erratic(Mine):
    def train_step(self, data):
        logs = super().train_step(data)
        for weight in self.trainable_variables:
            weight.assign_add(np.random.default_rng().normal(size=weight.shape) * 1e-3)
        return logs


def promises_broken(make, **options):
    """The promises that an error lists."""
    with pytest.raises(AssertionError) as caught:
        check_defence(make, **options)
    head, *lines = str(caught.value).splitlines()
    assert re.search(rf" breaks {len(lines)} of \d+ promises:$", head)
    return lines


def test_a_defence_that_does_nothing_keeps_every_promise():
    check_defence(Mine, at_zero=Mine)


@pytest.mark.parametrize(
    ("kind", "promise"),
    [
        (Retargeted, "target_model is another than the target"),
        (Refusing, "It is fitted on arrays, on a tf.data.Dataset, with sample weights.* no weights, please"),
        (Flattering, "It predicts and is evaluated exactly as its target is"),
        (Unclean, "a plain Keras model.* names classes of mpreg"),
        (Unregistered, "Saved and reloaded.* Could not locate class 'Unregistered'"),
        (Hoarding, "Its file holds no record.* it holds 48 of the 48 records of reference"),
        (Scribbling, "It changes neither.* reference are not what they were"),
        (Erratic, "the same seeds, it gives the same weights"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_broken_promise_of_a_training_defence_is_told(kind, promise):
    assert any(re.search(promise, line) for line in promises_broken(kind))


def test_a_strength_of_zero_that_is_none_is_told():
    lines = promises_broken(
        lambda target, _: mpreg.LabelSmoothing(target, smoothing=0.1),
        at_zero=lambda target, _: mpreg.LabelSmoothing(target, smoothing=0.05),
    )
    assert len(lines) == 1 and lines[0].startswith("- At zero strength it is plain training.")


class Identity(OutputDefence):
    def call(self, inputs):
        return ops.cast(inputs, "float32")


@registered
class Kept(Identity):
    """An output defence that does nothing, and keeps every promise."""


@registered
class Swapping(Identity):
    def call(self, inputs):
        return ops.flip(ops.cast(inputs, "float32"), axis=-1)


@registered
class Halving(Identity):
    def call(self, inputs):
        return ops.cast(inputs, "float32") / 2


@registered
class Neighbourly(Identity):
    def call(self, inputs):
        inputs = ops.cast(inputs, "float32")
        return 0.9 * inputs + 0.1 * ops.softmax(ops.sum(inputs, axis=0, keepdims=True) + 0 * inputs)


@registered
class Forgetful(Identity):
    def __init__(self, power=1.0, **kwargs):
        super().__init__(**kwargs)
        self.power = power

    def call(self, inputs):
        raised = ops.cast(inputs, "float32") ** self.power
        return raised / ops.sum(raised, axis=-1, keepdims=True)

    def get_config(self):
        return {name: value for name, value in super().get_config().items() if name != "power"}


@registered
class Credulous(Identity):
    def __call__(self, inputs, *args, **kwargs):
        return keras.layers.Layer.__call__(self, inputs, *args, **kwargs)


@registered
class Overwriting(Identity):
    def __call__(self, inputs, *args, **kwargs):
        answers = super().__call__(inputs, *args, **kwargs)
        if isinstance(inputs, np.ndarray) and len(inputs):
            inputs[0] = 1 / 3
            inputs[1] = inputs[1][::-1]
        return answers


def test_an_output_defence_that_does_nothing_keeps_every_promise():
    check_defence(lambda *_: Kept(), at_zero=lambda *_: Kept())


@pytest.mark.parametrize(
    ("layer", "promise"),
    [
        (Swapping, "It changes no predicted label.* it changes [1-9]"),
        (Halving, "sum to one, unless it says that it is `coarse`.* but for 0.5"),
        (Neighbourly, "follows from that query alone"),
        (Overwriting, "It leaves the array that it is given as it was. the array has changed"),
        (Credulous, "raises a `ValueError`.* it takes"),
        (lambda: Forgetful(2.0), "Made again of its configuration"),
        (Identity, "also when that is saved and reloaded"),
    ],
    ids=["Swapping", "Halving", "Neighbourly", "Overwriting", "Credulous", "Forgetful", "Identity"],
)
def test_a_broken_promise_of_an_output_defence_is_told(layer, promise):
    assert any(re.search(promise, line) for line in promises_broken(lambda *_: layer()))


def test_an_output_defence_that_acts_at_zero_is_told():
    lines = promises_broken(lambda *_: mpreg.TopK(2), at_zero=lambda *_: mpreg.TopK(2))
    assert len(lines) == 1 and lines[0].startswith("- At zero strength it answers as the model does.")


def test_what_is_no_defence_is_refused():
    with pytest.raises(TypeError, match="make must return a training defence .* Received: 'none'"):
        check_defence(lambda target, reference: "none")

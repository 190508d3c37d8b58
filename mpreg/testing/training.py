"""What every training defence promises."""

import functools
import json
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from mpreg.testing.material import CLASSES, classifier, copy_of, records
from mpreg.testing.promises import expect
from mpreg.training.core.wrapping import Wrapper

MEMBERS, REFERENCE = records(), records(seed=1)
LOSS = "sparse_categorical_crossentropy"


@dataclass(frozen=True)
class Case:
    """A training defence to try: functions `(target, reference)` that make it, and that make it at zero strength."""

    make: object
    at_zero: object = None

    def fresh(self, **options):
        """A new one around a new target, compiled, with all random draws from the start."""
        keras.utils.set_random_seed(1)
        return compiled(self.make(classifier(), copy_of(REFERENCE)), **options)

    @functools.cached_property
    def fitted(self):
        """One that was fitted, for promises that need no other."""
        model = self.fresh()
        fit(model)
        return model


def compiled(model, loss=LOSS, **options):
    model.compile(keras.optimizers.SGD(0.1), loss, metrics=["accuracy"], **{"run_eagerly": True, **options})
    return model


def fit(model, data=MEMBERS, **options):
    return model.fit(*data, **{"batch_size": 24, "verbose": 0, "shuffle": False, **options}).history


def it_trains_the_target_and_nothing_else(case):
    """It trains the weights of its target, which stay finite, and the optimizer touches no others."""
    target = classifier()
    model = compiled(case.make(target, copy_of(REFERENCE)), run_eagerly=False, jit_compile=False)
    before = target.get_weights()
    history = fit(model, epochs=2)
    expect(model.target_model is target, "target_model is another than the target that was given")
    mine = [weight.path for weight in model.trainable_variables]
    expect(mine == [weight.path for weight in target.trainable_variables], f"it trains {mine}")
    expect(all(np.isfinite(weight).all() for weight in target.get_weights()), "weights are not finite")
    changed = any((one != other).any() for one, other in zip(before, target.get_weights(), strict=True))
    expect(changed, "after two epochs no weight of the target has changed")
    expect({"loss", "accuracy"} <= set(history), f"the logs hold {sorted(history)}")
    expect(np.isfinite([*history.values()]).all(), f"the logs are not finite: {history}")


def it_takes_every_form_of_data(case):
    """It is fitted on arrays, on a tf.data.Dataset, with sample weights, and on one-hot labels with their loss."""
    x, y = MEMBERS
    model = case.fresh()
    fit(model, sample_weight=np.linspace(0, 1, len(y)))
    model.fit(tf.data.Dataset.from_tensor_slices(MEMBERS).batch(24), shuffle=False, verbose=0)
    fit(case.fresh(loss="categorical_crossentropy"), (x, np.eye(CLASSES)[y]))


def it_is_evaluated_as_its_target(case):
    """It predicts and is evaluated exactly as its target is."""
    model = case.fitted
    plain = compiled(model.target_model)
    np.testing.assert_array_equal(model.predict(MEMBERS[0], verbose=0), plain.predict(MEMBERS[0], verbose=0))
    mine, targets = (each.evaluate(*REFERENCE, verbose=0, return_dict=True) for each in (model, plain))
    expect(
        set(mine) == set(targets), f"evaluate gives {sorted(mine)}, where the target gives {sorted(targets)}"
    )
    np.testing.assert_allclose([mine[name] for name in targets], [*targets.values()], rtol=1e-6)


def its_target_is_clean(case):
    """Its `target_model` is a plain Keras model, which loads where this package is not."""
    target = case.fitted.target_model
    expect(isinstance(target, keras.Model) and not isinstance(target, Wrapper), f"it is {target!r}")
    expect("mpreg" not in target.to_json(), "its configuration names classes of mpreg")


def saved_and_reloaded_it_is_the_same(case):
    """Saved and reloaded, it is of the same class and options, answers as before, and can be trained on."""
    model = case.fitted
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.keras")
        again = keras.saving.load_model(Path(folder) / "model.keras")
    expect(type(again) is type(model), f"it is a {type(again).__name__}")
    was, now = (json.dumps(each.get_config(), sort_keys=True) for each in (model, again))
    expect(now == was, f"its configuration is {now} where it was {was}")
    np.testing.assert_array_equal(again.predict(MEMBERS[0], verbose=0), model.predict(MEMBERS[0], verbose=0))
    if getattr(again, "consumes_reference", False):
        again.set_reference(REFERENCE)
    history = fit(again)
    expect(np.isfinite([*history.values()]).all(), f"trained on, the logs are not finite: {history}")


def its_file_holds_no_record(case):
    """Its file holds no record that it was trained with."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        case.fitted.save(path)
        with zipfile.ZipFile(path) as file:
            content = b"".join(file.read(name) for name in file.namelist())
    for (x, _), role in ((MEMBERS, "members"), (REFERENCE, "reference")):
        held = sum(row.tobytes() in content or str(float(row[0])).encode() in content for row in x)
        expect(not held, f"it holds {held} of the {len(x)} records of {role}")


def it_changes_no_data(case):
    """It changes neither members nor reference records."""
    members, reference = copy_of(MEMBERS), copy_of(REFERENCE)
    fit(compiled(case.make(classifier(), reference)), members)
    for given, kept, role in ((members, MEMBERS, "members"), (reference, REFERENCE, "reference")):
        same = all((one == other).all() for one, other in zip(given, kept, strict=True))
        expect(same, f"{role} are not what they were")


def it_follows_the_seed(case):
    """Trained twice from the same seeds, it gives the same weights."""
    again = case.fresh()
    fit(again)
    for one, other in zip(
        case.fitted.target_model.get_weights(), again.target_model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def at_zero_it_changes_nothing(case):
    """At zero strength it is plain training."""
    runs = []
    for wrap in (lambda target, reference: target, case.at_zero):
        model = Case(wrap).fitted
        runs.append(getattr(model, "target_model", model).get_weights())
    for plain, wrapped in zip(*runs, strict=True):
        np.testing.assert_allclose(wrapped, plain, rtol=1e-4, atol=1e-6)


PROMISES = (
    it_trains_the_target_and_nothing_else,
    it_takes_every_form_of_data,
    it_is_evaluated_as_its_target,
    its_target_is_clean,
    saved_and_reloaded_it_is_the_same,
    its_file_holds_no_record,
    it_changes_no_data,
    it_follows_the_seed,
)

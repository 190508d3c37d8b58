"""Bundles: a script written for `mia.estimators`, with the import changed, and what must hold of the parts."""

import keras
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from support import mlp, records

from mpreg.attacks.shadow.bundles import AttackModelBundle, ShadowModelBundle, prepare_attack_data

CLASSES = 3
EPOCHS = dict(epochs=12, batch_size=16, verbose=False)


def target_model_fn():
    model = mlp(hidden=32)
    model.compile(keras.optimizers.Adam(0.05), "categorical_crossentropy")
    return model


def attack_model_fn():
    network = keras.Sequential([keras.layers.Dense(8, "relu"), keras.layers.Dense(1, "sigmoid")])
    network.compile(keras.optimizers.Adam(0.02), "binary_crossentropy", metrics=["accuracy"])
    return network


def tree():
    return DecisionTreeClassifier(random_state=0)


def one_hot(y):
    return np.eye(CLASSES, dtype=np.float32)[y]


def memorized(count=120, classes=CLASSES):
    """A tree that knows its members by heart, and the records of either kind."""
    (x, y), others = records(count, classes=classes), records(count, classes=classes, seed=1)
    return tree().fit(x, y), (x, y), others


class TestScripts:
    @pytest.mark.slow
    def test_the_script_of_the_mia_library(self):
        keras.utils.set_random_seed(0)
        (x_train, y_train), (x_test, y_test) = (
            (x, one_hot(y)) for x, y in (records(80), records(200, seed=1))
        )
        target_model = target_model_fn()
        target_model.fit(x_train, y_train, **EPOCHS)

        smb = ShadowModelBundle(target_model_fn, shadow_dataset_size=80, num_models=2)
        X_shadow, y_shadow = smb.fit_transform(x_test, y_test, fit_kwargs=EPOCHS)
        amb = AttackModelBundle(attack_model_fn, num_classes=CLASSES)
        amb.fit(X_shadow, y_shadow, fit_kwargs=EPOCHS)
        data_in, data_out = (x_train, y_train), (x_test[:80], y_test[:80])
        attack_test_data, real_membership_labels = prepare_attack_data(target_model, data_in, data_out)
        attack_guesses = amb.predict(attack_test_data)
        attack_accuracy = np.mean(attack_guesses == real_membership_labels)

        assert X_shadow.shape == (2 * 160, 2 * CLASSES) and y_shadow.shape == (2 * 160,)
        assert len(amb.attack_models_) == CLASSES
        assert attack_accuracy > 0.65

    @pytest.mark.parametrize("form", [one_hot, np.asarray])
    def test_scikit_learn_throughout(self, form):
        target, members, others = memorized()
        own_x, own_y = records(300, seed=2)
        shadow_models = ShadowModelBundle(tree, shadow_dataset_size=120, num_models=2)
        attack_models = AttackModelBundle(LogisticRegression, num_classes=CLASSES)
        attack_models.fit(*shadow_models.fit_transform(own_x, form(own_y)))
        sides = ((x, form(y)) for x, y in (members, others))
        judged, _ = prepare_attack_data(target, *sides)
        found = attack_models.predict_proba(judged)
        assert len(np.unique(found)) > 2 and ((found > 0) & (found < 1)).all()  # probabilities, not decisions
        np.testing.assert_array_equal(attack_models.predict(judged), found >= 0.5)
        right = target.predict(others[0]) == others[1]
        np.testing.assert_array_equal(attack_models.predict(judged), np.r_[np.ones(120), right])


class TestShadowModelBundle:
    def test_every_shadow_model_has_members_and_as_many_others(self):
        x, y = records(100)
        seen = []

        class Model:
            def fit(self, x, y):
                self.known = {row.tobytes() for row in x}
                seen.append(self.known)
                return self

            def predict_proba(self, x):
                inside = np.array([float(row.tobytes() in self.known) for row in x])
                return np.column_stack([inside, 1 - inside, 0 * inside])

        data, membership = ShadowModelBundle(Model, shadow_dataset_size=40, num_models=3).fit_transform(x, y)
        assert data.dtype == membership.dtype == np.float32
        np.testing.assert_array_equal(data[:, 0], membership)
        assert [len(known) for known in seen] == [40, 40, 40] and seen[0] != seen[1]
        np.testing.assert_array_equal(membership.reshape(3, 2, 40), np.tile([[1], [0]], (3, 1, 40)))

    def test_the_seed_decides(self):
        x, y = records(60)
        first, again, other = (
            ShadowModelBundle(tree, shadow_dataset_size=20, num_models=1, seed=seed).fit_transform(x, y)[0]
            for seed in (1, 1, 2)
        )
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()

    def test_a_shadow_model_that_missed_a_class_has_all_columns(self):
        x, y = records(30)
        y = np.where(np.arange(30) < 29, y % 2, 2)  # a single record of class 2
        bundle = ShadowModelBundle(tree, shadow_dataset_size=5, num_models=6)
        data, _ = bundle.fit_transform(x, y)
        assert data.shape == (60, 4)
        assert min(len(model.classes_) for model in bundle.shadow_models_) < 3


class TestAttackModelBundle:
    def test_it_is_one_model_a_class(self):
        target, members, others = memorized()
        data, membership = prepare_attack_data(target, members, others)
        data[:, :CLASSES] += np.random.default_rng(0).normal(size=(240, CLASSES)) * 0.3
        bundle = AttackModelBundle(LogisticRegression, CLASSES).fit(data, membership)
        for label in range(CLASSES):
            rows = data[:, CLASSES] == label
            own = LogisticRegression().fit(data[rows, :CLASSES], membership[rows])
            expected = own.predict_proba(data[rows, :CLASSES])[:, 1]
            np.testing.assert_allclose(bundle.predict_proba(data)[rows], expected, rtol=1e-12)

    def test_labels_of_either_form_are_told_apart(self):
        target, members, others = memorized()
        integers, membership = prepare_attack_data(target, members, others)
        coded, _ = prepare_attack_data(target, *((x, one_hot(y)) for x, y in (members, others)))
        forms = [(integers, None), (coded, None), (integers, False), (coded, True)]
        results = [
            AttackModelBundle(tree, CLASSES, class_one_hot_coded=form)
            .fit(data, membership)
            .predict_proba(data)
            for data, form in forms
        ]
        for result in results[1:]:
            np.testing.assert_array_equal(result, results[0])

    def test_a_sigmoid_unit_stands_for_two_classes(self):
        x, y = records(20, classes=2)
        model = mlp(units=1, activation="sigmoid")
        data, membership = prepare_attack_data(model, (x[:12], y[:12]), (x[12:], y[12:]))
        p = model.predict(x, verbose=0)[:, 0]
        np.testing.assert_allclose(data, np.column_stack([1 - p, p, y]), atol=1e-6)
        np.testing.assert_array_equal(membership, np.arange(20) < 12)

    def test_it_says_what_it_is_to_scikit_learn(self):
        bundle = AttackModelBundle(tree, 3)
        assert bundle.get_params() == {"model_fn": tree, "num_classes": 3, "class_one_hot_coded": None}
        with pytest.raises(NotFittedError):
            bundle.predict(np.zeros((2, 4)))


def attack_data():
    data = np.column_stack([np.random.default_rng(0).random((12, 3)), np.arange(12) % 3])
    return data, np.arange(12) // 3 % 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ShadowModelBundle(tree(), 10), "model_fn must be a function that returns a fresh model"),
        (lambda: ShadowModelBundle(mlp(), 10), "model_fn must be a function that returns a fresh model"),
        (lambda: ShadowModelBundle(tree, 0), "shadow_dataset_size must be a whole number, at least 1"),
        (lambda: ShadowModelBundle(tree, 10, num_models=0), "num_models must be a whole number, at least 1"),
        (
            lambda: ShadowModelBundle(tree, 10).fit_transform(*records(19)),
            "needs 10 records to train on and as many others. Received: 19 records",
        ),
        (lambda: AttackModelBundle(tree, 1), "num_classes must be a whole number, at least 2"),
        (
            lambda: AttackModelBundle(tree, 4).fit(*attack_data()),
            "must hold 4 predictions .* shape \\(12, 4\\)",
        ),
        (
            lambda: AttackModelBundle(tree, 3, class_one_hot_coded=True).fit(*attack_data()),
            "must hold 3 predictions .*class_one_hot_coded=True",
        ),
        (
            lambda: AttackModelBundle(tree, 3).fit(attack_data()[0], np.arange(12) % 3 == 1),
            r"members \(1\) and non-members \(0\) of every class. Classes \[0, 1, 2\] lack one of them",
        ),
    ],
)
def test_wrong_calls(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_forests_vote():
    """The share of trees is the probability: a bundle of forests must not round it."""
    data, membership = attack_data()
    bundle = AttackModelBundle(lambda: RandomForestClassifier(7, random_state=0), 3).fit(data, membership)
    assert set(np.round(7 * bundle.predict_proba(data), 9) % 1) == {0.0}

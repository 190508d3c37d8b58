"""Models that take strings: split, defended, measured and attacked as any other, or refused by name."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import mpreg
from mpreg.attacks import LabelOnlyAttack, MovedQueriesAttack, RandomThresholdAttack
from mpreg.attacks.whitebox.gradient_norms import gradient_norms
from mpreg.callbacks import AdversarialTraining, PrivacyMeter
from mpreg.data import as_arrays, is_text, text_as_tensor
from mpreg.data.duplicates import digest_records

LOSS = "sparse_categorical_crossentropy"
RNG = np.random.default_rng(0)
TEXT = np.array(sorted({" ".join(RNG.choice(list("abcdefgh"), 6)) for _ in range(120)}))
LABELS = np.arange(len(TEXT)) % 3
SPLIT = mpreg.MembershipSplit.from_arrays(TEXT, LABELS, members=30, reference=30, seed=0)


def network(shape=(), seed=0):
    """A classifier with its vocabulary inside."""
    words = keras.layers.TextVectorization(output_sequence_length=6)
    words.adapt(list(TEXT))
    last = keras.layers.Dense(3, "softmax", kernel_initializer=keras.initializers.GlorotUniform(seed))
    embedding = keras.layers.Embedding(
        12, 4, embeddings_initializer=keras.initializers.RandomUniform(seed=seed)
    )
    layers = [
        keras.Input(shape, dtype="string"),
        words,
        embedding,
        keras.layers.GlobalAveragePooling1D(),
        last,
    ]
    return keras.Sequential(layers)


def game(shape=()):
    return mpreg.AdversarialRegularization(network(shape), SPLIT.reference, penalty=1.0)


def fitted(model, pair=SPLIT.members, callbacks=None):
    model.compile("sgd", LOSS)
    model.fit(*pair, verbose=0, callbacks=callbacks, shuffle=False)
    return model


@pytest.fixture(scope="module")
def model():
    return fitted(network())


FORMS = {"str": TEXT, "object": TEXT.astype(object), "list": TEXT.tolist(), "bytes": TEXT.astype("S")}


class TestSplit:
    @pytest.mark.parametrize("form", FORMS)
    def test_text_of_any_form_is_the_same_record(self, form):
        split = mpreg.MembershipSplit.from_arrays(FORMS[form], LABELS, members=30, reference=30, seed=0)
        for pair, other in ((split.members, SPLIT.members), (split.nonmembers, SPLIT.nonmembers)):
            np.testing.assert_array_equal(pair[0].astype(str), other[0].astype(str))
        np.testing.assert_array_equal(digest_records(as_arrays(FORMS[form])), digest_records(TEXT))

    def test_keras_itself_fits_what_a_split_holds(self, model):
        assert SPLIT.members[0].dtype == object  # it takes no others
        assert model.predict(SPLIT.nonmembers[0], verbose=0).shape == (len(SPLIT.nonmembers[1]), 3)

    def test_copies_are_found(self):
        with pytest.raises(ValueError, match=r"too: 1 \(nonmembers\[1\] equals members\[0\]\)"):
            mpreg.MembershipSplit((["one", "two"], [0, 1]), None, (["three", "one"], [0, 1]))

    def test_what_is_text(self):
        for array in (TEXT, TEXT.astype(object), TEXT.astype("S")):
            assert is_text(array)
            assert text_as_tensor(array).dtype == tf.string
        mixed = np.array(["a", 1.0], object)
        for other in (np.ones(3), mixed, np.array([], object)):
            assert not is_text(other) and text_as_tensor(other) is other


class TestAttacks:
    def test_answers_do_not_depend_on_the_form(self, model):
        expected = mpreg.signals.predict(model, tf.constant(TEXT))
        for x in (TEXT, TEXT.astype(object), TEXT.astype("S")):
            np.testing.assert_array_equal(mpreg.signals.predict(model, x), expected)

    def test_the_report_is_that_of_the_predictions(self, model):
        report = mpreg.evaluate(model, SPLIT)
        sides = [(model.predict(x, verbose=0), y) for x, y in (SPLIT.members, SPLIT.nonmembers)]
        by_predictions = mpreg.evaluate_predictions(*sides[0], *sides[1])
        assert report.to_dict()["attacks"] == by_predictions.to_dict()["attacks"]

    def test_shadow_models_trained_one_by_one(self, model):
        shadows = mpreg.ShadowTraining(lambda x, y, seed: fitted(network(seed=seed), (x, y)), count=4)
        report = mpreg.evaluate(model, SPLIT, attacks="strong", shadows=shadows)
        assert "likelihood ratio" in " ".join(report.attacks)
        notes = " ".join(report.notes)
        for name in ("label-only", "moved queries"):
            assert f"Attack {name!r} needs features that are numbers: left out." in notes

    def test_a_fleet_refuses_them_before_it_trains(self, model):
        with pytest.raises(ValueError, match="features must be numbers.* as mpreg.ShadowTraining does"):
            mpreg.evaluate(model, SPLIT, attacks="strong")

    @pytest.mark.parametrize("attack", [LabelOnlyAttack, MovedQueriesAttack, RandomThresholdAttack])
    def test_attacks_that_move_features_refuse_them_unless_they_are_told_how(self, attack, model):
        with pytest.raises(ValueError, match="needs features that are numbers.* Give the attack a function"):
            mpreg.evaluate(model, SPLIT, attacks=[attack()])

    @pytest.mark.parametrize("attack", [LabelOnlyAttack, MovedQueriesAttack])
    def test_told_how_they_work(self, attack, model):
        def upper(x):
            yield np.array([text.upper() for text in x], object)

        assert mpreg.evaluate(model, SPLIT, attacks=[attack(upper)]).attacks

    def test_gradient_norms(self, model):
        assert np.isfinite(gradient_norms(model, SPLIT, records=4).members).all()


class TestDefences:
    @pytest.mark.parametrize("shape", [(), (1,)])
    def test_the_game(self, shape):
        split = SPLIT
        if shape:
            column = TEXT[:, None]
            split = mpreg.MembershipSplit.from_arrays(column, LABELS, members=30, reference=30, seed=0)
        defended = mpreg.AdversarialRegularization(network(shape), split.reference, penalty=1.0)
        before = defended.get_weights()
        fitted(defended, split.members, [PrivacyMeter(split)])
        assert any((old != new).any() for old, new in zip(before, defended.get_weights(), strict=True))
        report = mpreg.evaluate(defended, split, attacks="fast")
        assert report.reference is not None

    def test_its_form_does_not_matter(self):
        x, y = SPLIT.members
        first, *others = (
            fitted(game(), (form, y)).get_weights()
            for form in (x, x.astype(str), x.astype("S"), tf.constant(x))
        )
        for other in others:
            for mine, others_weight in zip(first, other, strict=True):
                np.testing.assert_array_equal(mine, others_weight)

    def test_it_is_saved_and_exported(self, tmp_path):
        model = fitted(game())
        model.save(tmp_path / "model.keras")
        model.export(str(tmp_path / "served"), verbose=False)
        expected = mpreg.signals.predict(model, TEXT)
        loaded = keras.models.load_model(tmp_path / "model.keras")
        np.testing.assert_allclose(mpreg.signals.predict(loaded, TEXT), expected, atol=1e-6)
        served = tf.saved_model.load(str(tmp_path / "served"))
        np.testing.assert_allclose(served.serve(tf.constant(TEXT)), expected, atol=1e-6)

    def test_the_game_in_a_callback(self):
        fitted(network(), callbacks=[AdversarialTraining(SPLIT.reference, penalty=1.0)])

    @pytest.mark.parametrize(
        "defend",
        [
            lambda: mpreg.LabelSmoothing(network(), smoothing=0.1),
            lambda: mpreg.MixUpMMD(network(), SPLIT.reference, alpha=0),
        ],
    )
    def test_others(self, defend):
        assert mpreg.evaluate(fitted(defend()), SPLIT, attacks="fast").attacks

    def test_served_defences(self, model):
        assert mpreg.evaluate(mpreg.defend(model, mpreg.TopK(1)), SPLIT, attacks="fast").attacks

    @pytest.mark.parametrize(
        ("defend", "message"),
        [
            (lambda: mpreg.MixUpMMD(network(), mmd_weight=0), "MixUp blends features.* type string"),
            (
                lambda: mpreg.DPSGD(network(), noise_multiplier=1.0, l2_norm_clip=1.0),
                "inputs must be numbers.* Encode text ahead of the target",
            ),
        ],
    )
    def test_those_that_cannot_refuse_them_at_the_first_step(self, defend, message):
        with pytest.raises(ValueError, match=message):
            fitted(defend())

    def test_ensembles_refuse_them(self):
        with pytest.raises(ValueError, match="features must be numbers"):
            mpreg.SplitDistillation(lambda seed=0: network()).fit(*SPLIT.members, epochs=1)
        with pytest.raises(ValueError, match="only features that are numbers can be erased"):
            list(mpreg.ensembles.Erased()(SPLIT.members[0]))

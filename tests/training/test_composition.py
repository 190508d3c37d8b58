"""Training defences on one target: their parts fit together, in one order, without one fooling another."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from support import (
    CLASSES,
    FEATURES,
    LOSS,
    Spy,
    assert_same_weights,
    compiled,
    fit,
    linear_attacker,
    mlp,
    records,
    weights_of,
)

import mpreg
from mpreg.callbacks import AdversarialTraining
from mpreg.training import (
    HAMP,
    AdversarialRegularization,
    ConfidencePenalty,
    Distillation,
    LabelSmoothing,
    MixUpMMD,
    RelaxLoss,
    TrainingDefence,
    pack_labels,
)
from mpreg.training.core.part import DefencePart

EAGER = {"run_eagerly": True}
REFERENCE = records(seed=9)
pytestmark = pytest.mark.usefixtures("seeded")


def game(target, **options):
    options = {"penalty": 2.0, "warmup_epochs": 0, "reference_batch_size": 16, **options}
    options.setdefault("inference_network", linear_attacker())
    return AdversarialRegularization(target, REFERENCE, attack_optimizer=keras.optimizers.SGD(0.1), **options)


def mixing(target, **options):
    return MixUpMMD(target, mmd_weight=0, **options)


def matching(target, **options):
    return MixUpMMD(target, REFERENCE, **{"alpha": None, "gap": 0, **options})


def steps(model, count=2):
    """The losses of some training steps, without the machinery of fit."""
    return [model.train_on_batch(*records(), return_dict=True)["loss"] for _ in range(count)]


def kinds(model):
    return [type(part).__name__ for part in model.parts]


# Nothing charged is plain training.

IDLE = {
    "no part": lambda target: TrainingDefence(target, []),
    "a part that does nothing": lambda target: TrainingDefence(target, [DefencePart()]),
    "no penalty": lambda target: game(target, penalty=0.0),
    "a closed gate": lambda target: matching(target, gap=1.0),
    "no smoothing": lambda target: LabelSmoothing(target, smoothing=0),
    "no entropy": lambda target: ConfidencePenalty(target, weight=0),
    "all of them": lambda target: ConfidencePenalty(
        LabelSmoothing(matching(game(target, penalty=0.0), gap=1.0), smoothing=0), weight=0
    ),
}


def regularized():
    """Dropout, batch statistics, a weight regularizer and an added loss: all that a step must do once."""
    target = mlp(dropout=0.3, normalize=True)
    kernel_regularizer, activity_regularizer = keras.regularizers.L2(0.01), keras.regularizers.L2(0.1)
    last = layers.Dense(
        CLASSES,
        "softmax",
        kernel_initializer=keras.initializers.GlorotUniform(7),
        kernel_regularizer=kernel_regularizer,
        activity_regularizer=activity_regularizer,
    )
    return keras.Sequential([*target.layers[:-1], last])


@pytest.fixture(scope="module")
def plain():
    keras.utils.set_random_seed(1)
    model = compiled(keras.Sequential([keras.Input((FEATURES,)), *regularized().layers]))
    return model, steps(model)


@pytest.mark.parametrize("kind", IDLE)
def test_parts_that_charge_nothing_are_plain_training_bit_for_bit(plain, kind):
    expected, losses = plain
    target = keras.Sequential([keras.Input((FEATURES,)), *regularized().layers])
    assert steps(compiled(IDLE[kind](target))) == losses
    assert_same_weights(expected, target)


# Wrapping.


def test_a_wrapper_takes_over_the_parts_and_the_target_of_another():
    target = mlp()
    inner = MixUpMMD(target, REFERENCE)
    outer = game(inner)
    assert kinds(outer) == ["Mixing", "Discrepancy", "MembershipGame"]
    assert outer.target_model is inner.target_model is target
    assert outer.parts[0] is inner.parts[0]
    assert outer.consumes_reference and inner.consumes_reference
    assert not mixing(mlp()).consumes_reference


ORDERS = {
    "labels before mixing": (
        lambda target: LabelSmoothing(mixing(target), smoothing=0.2),
        lambda target: mixing(LabelSmoothing(target, smoothing=0.2)),
    ),
    "a loss replaced before penalties": (
        lambda target: RelaxLoss(game(target), alpha=0.9),
        lambda target: game(RelaxLoss(target, alpha=0.9)),
    ),
    "members as they are before the game": (
        lambda target: mixing(game(target)),
        lambda target: game(mixing(target)),
    ),
}


@pytest.mark.parametrize("case", ORDERS)
def test_the_order_of_the_wrappers_does_not_matter(case):
    targets = mlp(), mlp()
    for target, wrap in zip(targets, ORDERS[case], strict=True):
        steps(compiled(wrap(target)))
    assert_same_weights(*targets)
    alone = mlp()
    steps(compiled(alone))
    assert np.abs(weights_of(alone)[0] - weights_of(targets[0])[0]).max() > 1e-4


def test_penalties_add_up():
    """At rest, what two parts charge together is what each charges alone."""
    x, y = records()

    def charge(wrap):
        model = compiled(wrap(mlp()), 0.0)
        return model.train_on_batch(x, y, return_dict=True)["loss"]

    bonus = {"weight": 0.5}
    none, first, second = (
        charge(lambda t: t),
        charge(game),
        charge(lambda t: ConfidencePenalty(t, **bonus)),
    )
    both = charge(lambda t: ConfidencePenalty(game(t), **bonus))
    assert both - none == pytest.approx((first - none) + (second - none), rel=1e-4)
    assert abs(first - none) > 1e-4 and abs(second - none) > 1e-2


# The game is not fooled.


class Witness:
    """Notes what the inference network of a model is shown."""

    def __init__(self, model):
        self.game = next(part for part in model.parts if type(part).__name__ == "MembershipGame")
        self._learn = self.game._learn
        self.game._learn = self._see

    def _see(self, members, present, reference):
        self.answers, self.labels = (part.numpy() for part in members)
        self._learn(members, present, reference)


@pytest.mark.parametrize(
    "wrap",
    [
        mixing,
        lambda target: mixing(LabelSmoothing(target, smoothing=0.3)),
        lambda target: HAMP(target, gamma=0.5, alpha=0.1),
    ],
    ids=["mixing", "mixing of soft labels", "soft labels"],
)
def test_the_game_judges_the_members_as_they_are_with_their_true_labels(wrap):
    x, y = records()
    model = compiled(game(wrap(mlp())))
    expected = np.log(np.asarray(model(x)))
    witness = Witness(model)
    model.train_on_batch(x, y)
    np.testing.assert_allclose(witness.answers, expected, atol=1e-5)
    np.testing.assert_array_equal(witness.labels.argmax(axis=1), y)


def test_the_pass_over_clean_members_leaves_no_trace_in_the_target():
    """Under mixing the game scores the members apart; the batch statistics are those of the blends alone."""
    x, y = records()
    targets = [mlp(normalize=True) for _ in range(2)]
    for target, wrap in zip(targets, (mixing, lambda t: game(mixing(t), penalty=0.0)), strict=True):
        compiled(wrap(target)).train_on_batch(x, y)
    assert_same_weights(*targets)


# One program, saved and loaded.


def test_a_nested_defence_is_traced_once():
    seen = []
    target = keras.Sequential([keras.Input((FEATURES,)), Spy(seen), layers.Dense(CLASSES, "softmax")])
    model = compiled(MixUpMMD(target, REFERENCE, gap=0.5), run_eagerly=False, jit_compile=False)
    del seen[:]
    model.parts[1].charging.assign(1.0)
    fit(model, batch_size=48)
    batches = [shape for shape in seen if shape[0] == 48]
    assert batches
    model.parts[1].charging.assign(1.0)
    logs = fit(model, epochs=2, batch_size=48)
    # Neither a step nor a pass is traced anew; one record is shown aside, which tells how many classes there are.
    assert [shape for shape in seen if shape[0] == 48] == batches
    assert logs["mmd_charged"] == [1.0, 0.0] and logs["mmd"][0] > 0


def everything(target):
    return game(MixUpMMD(LabelSmoothing(target, smoothing=0.1), REFERENCE, gap=0.01))


@pytest.mark.slow
def test_a_compiled_step_leads_where_an_eager_one_does():
    targets = [mlp(normalize=True) for _ in range(3)]
    for target, way in zip(
        targets, ({"run_eagerly": True}, {"jit_compile": False}, {"jit_compile": True}), strict=True
    ):
        model = everything(target)
        model.parts[2].charging.assign(1.0)
        compiled(model, **{"run_eagerly": False, **way})
        fit(model, epochs=2)
    assert_same_weights(targets[0], targets[1], atol=1e-5)
    assert_same_weights(targets[0], targets[2], atol=1e-5)


def test_a_nested_defence_is_reloaded_and_goes_on_where_it_was(tmp_path):
    target = mlp(normalize=True)
    model = compiled(everything(target), keras.optimizers.SGD(0.1, momentum=0.9))
    steps(model)
    model.parts[2].charging.assign(1.0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again) is type(model) and kinds(again) == kinds(model)
    again.compile(again.optimizer, LOSS, **EAGER)
    with pytest.raises(ValueError, match="set_reference"):
        steps(again)
    again.set_reference(REFERENCE)
    again.set_weights(model.get_weights())  # the refused step drew blends before it was refused
    for each in (model, again):
        steps(each)
    assert_same_weights(model, again)
    assert type(target) is type(again.target_model)


# What evaluates, evaluates the target alone.


def test_evaluation_is_that_of_the_target():
    x, y = records()
    model = compiled(everything(mlp()))
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    assert set(logs) == {"loss"}
    target = compiled(model.target_model)
    assert logs["loss"] == pytest.approx(target.evaluate(x, y, verbose=0))
    np.testing.assert_array_equal(model.predict(x, verbose=0), target.predict(x, verbose=0))
    history = fit(model, validation_data=(x, y))
    assert {"val_loss", "loss", "mmd", "mmd_charged", "membership_gain"} <= set(history)
    assert [name for name in history if name.startswith("val_")] == ["val_loss"]


def test_records_of_weight_zero_take_no_part():
    x, y = records(16)
    padding = np.full((16, FEATURES), 9.0, "float32"), np.zeros(16, int)
    padded = [np.concatenate(pair) for pair in zip((x, y), padding, strict=True)]
    one_a_class = REFERENCE[0][:CLASSES], np.arange(CLASSES)  # every draw is the same
    logs = []
    for data, options in (((x, y), {}), (padded, {"sample_weight": np.repeat([1.0, 0.0], 16)})):
        model = MixUpMMD(mlp(), one_a_class, alpha=None, gap=0)
        model = compiled(ConfidencePenalty(model, weight=0.5), 0.0)
        history = fit(model, data=data, epochs=2, **options)
        logs.append({name: values[1] for name, values in history.items()})
    clean, dirty = logs
    assert dirty["mmd"] == pytest.approx(clean["mmd"], rel=1e-4) and clean["mmd"] > 5e-4
    halved = compiled(mlp()).evaluate(x, y, verbose=0) / 2  # Keras' own mean is over all rows
    assert dirty["loss"] == pytest.approx(clean["loss"] - halved, rel=1e-4)


class OwnStep(AdversarialRegularization):
    """A wrapper with a training step written out."""

    def train_step(self, data):
        x, y = data[:2]
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        slopes = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(slopes, self.trainable_variables)
        return {"loss": loss}


def test_a_step_of_the_users_own_is_charged_too_but_cannot_blend():
    def own(target):
        return OwnStep(target, REFERENCE, penalty=2.0, warmup_epochs=0, inference_network=linear_attacker())

    x, y = records()
    targets = mlp(), mlp()
    for target, wrap in zip(targets, (own, lambda t: game(t, reference_batch_size=32)), strict=True):
        model = compiled(wrap(target))
        model.game.attack_optimizer.learning_rate = 0.0  # Adam and SGD alike
        model.train_on_batch(x, y)
    assert_same_weights(*targets, atol=1e-7)
    with pytest.raises(ValueError, match="super.*OwnStep"):
        compiled(own(mixing(mlp()))).train_on_batch(x, y)


# Refusals.

REFUSED = {
    "two games": (lambda: game(game(mlp())), "MembershipGame already"),
    "two mixings": (lambda: mixing(mixing(mlp())), "Mixing already"),
    "two kinds of labels": (
        lambda: HAMP(LabelSmoothing(mlp(), smoothing=0.1), gamma=0.5, alpha=0.0),
        "HighEntropyLabels and SmoothedLabels cannot be combined, as both decide the labels",
    ),
    "two bonuses": (
        lambda: HAMP(ConfidencePenalty(mlp(), weight=0.1), gamma=0.5, alpha=0.1),
        "EntropyBonus already",
    ),
    "a teacher and a level": (lambda: Distillation(RelaxLoss(mlp(), alpha=1.0)), "Distilling and Relaxation"),
    "a level and blends": (lambda: RelaxLoss(mixing(mlp()), alpha=1.0), "mixture"),
    "blends and a level": (lambda: mixing(RelaxLoss(mlp(), alpha=1.0)), "mixture"),
    "a private target": (
        lambda: game(mpreg.DPSGD(mlp(), noise_multiplier=1.0, l2_norm_clip=1.0)),
        "DPSGD.train_step",
    ),
    "no reference to set": (lambda: mixing(mlp()).set_reference(REFERENCE), "no part of this MixUpMMD"),
    "no model": (lambda: TrainingDefence("resnet", []), "'resnet'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_combined_is_refused_with_the_reason(case):
    make, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        make()


PRIVATE = {
    "mixes records": mixing,
    "takes steps of its own between two epochs": matching,
    "inference network": game,
    "loss of whole batches": lambda target: RelaxLoss(target, alpha=1.0),
    "teacher": Distillation,
    "a training step of its own": lambda target: LabelSmoothing(target, smoothing=0.1),
}


@pytest.mark.parametrize("reason", PRIVATE)
def test_private_training_refuses_every_part_by_its_own_reason(reason):
    with pytest.raises(ValueError, match=reason) as caught:
        mpreg.DPSGD(PRIVATE[reason](mlp()), noise_multiplier=1.0, l2_norm_clip=1.0)
    assert "target_model" in str(caught.value)


def test_the_callback_sends_a_training_defence_to_the_wrapper():
    model = compiled(mixing(mlp()))
    with pytest.raises(ValueError, match="wrap the model.*MixUpMMD"):
        fit(model, AdversarialTraining(REFERENCE, penalty=1.0))


@pytest.mark.parametrize(
    "loss",
    ["mse", keras.losses.CategoricalCrossentropy(label_smoothing=0.1), lambda y, p: keras.ops.mean(p)],
    ids=["mse", "smoothed", "own"],
)
def test_distributions_need_a_plain_cross_entropy(loss):
    x, y = records()
    model = mixing(mlp(), from_logits=False)
    model.compile("sgd", loss, **EAGER)
    with pytest.raises(ValueError, match="plain .sparse. categorical or binary cross-entropy"):
        model.train_on_batch(x, np.eye(CLASSES, dtype="float32")[y])


def test_loss_weights_are_refused_where_they_would_be_passed_over():
    model = compiled(mixing(mlp()), loss_weights=[2.0])
    with pytest.raises(ValueError, match="loss_weights"):
        model.train_on_batch(*records())


# Parts of the user's.


class HalfLoss(DefencePart):
    """Charges half of the loss."""

    def penalize(self, batch, loss):
        return 0.5 * loss


def test_a_part_of_the_users_own_joins_in():
    x, y = records()
    losses = [
        compiled(model, 0.0).train_on_batch(x, y) for model in (mlp(), TrainingDefence(mlp(), [HalfLoss()]))
    ]
    assert losses[1] == pytest.approx(0.5 * losses[0])


def test_the_game_during_distillation_sees_true_labels():
    x, y = records()
    teacher = np.full((len(y), CLASSES), 1 / CLASSES)
    model = compiled(Distillation(game(mixing(mlp()))))
    witness = Witness(model)
    model.train_on_batch(x, pack_labels(teacher, y, CLASSES))
    np.testing.assert_array_equal(witness.labels.argmax(axis=1), y)

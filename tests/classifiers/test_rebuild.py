"""Models rebuilt with weight decay or dropout: same predictions, another training, plain Keras."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from support import FEATURES, assert_same_weights, mlp, records, weights_of

import mpreg
from mpreg import networks

REBUILDS = {
    "l2": lambda model: mpreg.with_l2(model, 0.01),
    "dropout": lambda model: mpreg.with_dropout(model, 0.5),
}
rebuilds = pytest.mark.parametrize("rebuild", REBUILDS.values(), ids=REBUILDS)


@keras.saving.register_keras_serializable("test_rebuild")
class Scale(layers.Layer):
    """A layer of a user's that takes no regularizer."""

    def build(self, shape):
        self.factors = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x):
        return x * self.factors


class Forgetful(layers.Layer):
    """A layer whose configuration leaves its width out."""

    def __init__(self, table, **options):
        super().__init__(**options)
        self.width = len(table)

    def build(self, shape):
        self.table = self.add_weight(shape=(self.width,))

    def call(self, x):
        return x + keras.ops.sum(self.table)


def stacked():
    """Everything that a Sequential model has trouble with: normalization, a dropout, a nested model."""
    inner = keras.Sequential([keras.Input((8,)), layers.Dense(5, "tanh")], name="inner")
    stack = [layers.Dense(8, "relu"), layers.BatchNormalization(), inner, layers.Dropout(0.2, seed=1)]
    return keras.Sequential([keras.Input((FEATURES,)), *stack, layers.Dense(3, "softmax")], name="stacked")


def branched():
    """Two named inputs, a layer shared inside and outside of a nested model, a skip connection."""
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    shared = layers.Dense(4, "relu", name="shared")
    inside = keras.Input((4,))
    nested = keras.Model(inside, layers.Add()([inside, shared(inside)]), name="nested")
    x = layers.Concatenate()([shared(left), nested(right)])
    x = layers.Add()([layers.Dense(4)(x), keras.ops.relu(shared(right))])
    return keras.Model({"left": left, "right": right}, layers.Dense(3, name="scores")(x), name="branched")


def sequences():
    """Layers with kernels of every kind."""
    inputs = keras.Input((6,), dtype="int32")
    x = layers.Embedding(9, 4)(inputs)
    x = layers.MultiHeadAttention(2, 3)(x, x)
    x = layers.Bidirectional(layers.LSTM(2, return_sequences=True, dropout=0.1))(x)
    x = layers.LayerNormalization()(x)
    x = layers.TimeDistributed(layers.Dense(4, "relu"))(x)
    x = layers.SeparableConv1D(4, 3)(x)
    return keras.Model(inputs, layers.Dense(3)(layers.GRU(3)(x)))


MODELS = {
    "stacked": (stacked, lambda rng: rng.normal(size=(7, FEATURES)).astype("float32")),
    "branched": (
        branched,
        lambda rng: {k: rng.normal(size=(7, 4)).astype("float32") for k in ("left", "right")},
    ),
    "sequences": (sequences, lambda rng: rng.integers(0, 9, (7, 6))),
    "resnet20": (
        lambda: networks.resnet20(input_shape=(8, 8, 3), classes=3, weight_decay=0.1),
        lambda rng: rng.normal(size=(2, 8, 8, 3)).astype("float32"),
    ),
    "densenet": (
        lambda: networks.densenet_bc(input_shape=(8, 8, 3), classes=3, depth=10, dropout=0.2),
        lambda rng: rng.normal(size=(2, 8, 8, 3)).astype("float32"),
    ),
}


@pytest.fixture(scope="module")
def model_and_inputs():
    made = {}

    def make(name):
        if name not in made:
            build, draw = MODELS[name]
            model, rng = build(), np.random.default_rng(0)
            model.set_weights([value + rng.uniform(0.1, 0.3, value.shape) for value in model.get_weights()])
            made[name] = model, draw(rng)
        return made[name]

    return make


@pytest.fixture(scope="module")
def rebuilt_model(model_and_inputs):
    """The rebuilt form of one of `MODELS`, made once."""
    made = {}

    def make(name, rebuild):
        if (name, rebuild) not in made:
            made[name, rebuild] = rebuild(model_and_inputs(name)[0])
        return made[name, rebuild]

    return make


def dropouts(model):
    """Rates of a model's dropout layers by name, in order, nested models included."""
    layers_in_order = [layer for layer in model._flatten_layers() if type(layer) is layers.Dropout]
    return {layer.name: layer.rate for layer in layers_in_order}


def kernels(model):
    """The weights to penalize, told from the others by name alone."""
    words = ("kernel", "embeddings")
    return [weight for weight in model.weights if any(word in weight.path.split("/")[-1] for word in words)]


@rebuilds
@pytest.mark.parametrize("name", MODELS)
def test_a_rebuilt_model_predicts_alike_and_keeps_its_names(model_and_inputs, rebuilt_model, rebuild, name):
    model, x = model_and_inputs(name)
    rebuilt = rebuilt_model(name, rebuild)
    before, own = weights_of(model), weights_of(rebuilt)
    np.testing.assert_array_equal(rebuilt(x, training=False), model(x, training=False))
    assert type(rebuilt) is type(model)
    assert rebuilt.name == model.name
    added = set(dropouts(rebuilt)) - set(dropouts(model))
    assert [layer.name for layer in rebuilt.layers if layer.name not in added] == [
        y.name for y in model.layers
    ]
    assert not {id(weight) for weight in rebuilt.weights} & {id(weight) for weight in model.weights}
    rebuilt.set_weights([0 * value for value in rebuilt.get_weights()])
    for mine, others in zip(weights_of(model), before, strict=True):
        np.testing.assert_array_equal(mine, others)
    rebuilt.set_weights(own)


@pytest.mark.parametrize("name", MODELS)
def test_the_penalty_is_l2_times_the_sum_of_squares_of_all_kernels(model_and_inputs, rebuilt_model, name):
    model, _ = model_and_inputs(name)
    rebuilt = rebuilt_model(name, REBUILDS["l2"])
    expected = 0.01 * sum(np.sum(np.square(kernel.numpy(), dtype="float64")) for kernel in kernels(model))
    np.testing.assert_allclose(float(sum(rebuilt.losses)), expected, rtol=1e-5)
    assert len(rebuilt.losses) == len(kernels(model))  # a shared one once


def test_the_gradient_of_the_penalty_is_twice_l2_times_the_weights():
    x, y = records()
    model = mlp()
    gradients = []
    for trained in (model, mpreg.with_l2(model, 0.25)):
        trained.compile("sgd", "sparse_categorical_crossentropy")
        with tf.GradientTape() as tape:
            loss = trained.compute_loss(x, tf.constant(y), trained(x, training=True), None)
        gradients.append(tape.gradient(loss, [weight.value for weight in trained.trainable_weights]))
    for weight, plain, decayed in zip(model.trainable_weights, *gradients, strict=True):
        extra = 0.5 * weight.numpy() if weight.name == "kernel" else 0.0
        np.testing.assert_allclose(decayed, plain + extra, rtol=1e-4, atol=1e-6)


def test_the_last_penalty_counts_and_zero_is_plain_training():
    model = mpreg.with_l2(mpreg.with_l2(mlp(), 0.5), 0.1)
    expected = 0.1 * sum(np.sum(np.square(kernel.numpy())) for kernel in kernels(model))
    np.testing.assert_allclose(float(sum(model.losses)), expected, rtol=1e-6)
    plain = mlp(dropout=0.5)
    zero = mpreg.with_l2(mpreg.with_l2(plain, 0.5), 0)
    assert zero.losses == []
    x, y = records()
    for trained in (plain, zero):  # random states are copied too, so the masks are the same
        trained.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
        trained.fit(x, y, epochs=2, shuffle=False, verbose=0)
    assert_same_weights(plain, zero)


@pytest.mark.slow
def test_weight_decay_shrinks_the_weights_that_training_finds():
    x, y = records()
    norms = []
    for l2 in (0.0, 0.1):
        model = mpreg.with_l2(mlp(), l2)
        model.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
        model.fit(x, y, epochs=15, shuffle=False, verbose=0)
        norms.append(sum(np.sum(np.square(kernel)) for kernel in kernels(model)))
    assert norms[1] < norms[0] / 2


def test_dropout_lies_in_front_of_the_fully_connected_layers_that_get_hidden_values():
    x = keras.Input((12, 12, 1))
    y = layers.Conv2D(2, 3, activation="relu")(x)
    y = layers.Dropout(0.1, name="of_features")(y)
    y = layers.Conv2D(2, 3)(y)
    y = layers.Flatten()(layers.MaxPooling2D(2)(y))
    y = layers.ReLU()(layers.BatchNormalization()(layers.Dense(8, name="hidden")(y)))
    model = keras.Model(x, layers.Softmax()(layers.Dense(3, name="scores")(y)))
    rebuilt = mpreg.with_dropout(model, 0.5)
    assert dropouts(rebuilt) == {"of_features": 0.1, "hidden_dropout": 0.5, "scores_dropout": 0.5}
    names = [layer.name for layer in rebuilt.layers]
    assert names.index("scores_dropout") == names.index("scores") - 1
    assert names.index("hidden_dropout") == names.index("hidden") - 1


def test_inputs_are_dropped_on_demand_only():
    model = keras.Sequential(
        [keras.Input((4, 1)), layers.Flatten(), layers.Dense(5, name="first"), layers.Dense(3, name="last")]
    )
    functional = keras.Model(model.inputs, model.outputs)
    for each in (model, functional):
        assert list(dropouts(mpreg.with_dropout(each, 0.5))) == ["last_dropout"]
        both = mpreg.with_dropout(each, 0.5, inputs=True)
        assert list(dropouts(both)) == ["first_dropout", "last_dropout"]


def test_a_dropout_on_the_way_keeps_its_place_and_takes_the_new_rate():
    stack = [
        layers.Dense(4, "relu"),
        layers.Dropout(0.9, name="own"),
        layers.BatchNormalization(),
        layers.Dense(3),
    ]
    sequential = keras.Sequential([keras.Input((4,)), *stack])
    for model in (sequential, keras.Model(sequential.inputs, sequential.outputs)):
        once = mpreg.with_dropout(model, 0.5)
        assert dropouts(once) == {"own": 0.5}
        assert dropouts(mpreg.with_dropout(once, 0.3)) == {"own": 0.3}
        assert dropouts(model) == {"own": 0.9}
        off = mpreg.with_dropout(once, 0)
        assert list(dropouts(off).values()) == [0]
        assert max(dropouts(mpreg.with_dropout(off, 0.3)).values()) == 0.3


def test_dropout_acts_in_training_only_at_its_rate():
    ones = keras.initializers.Ones()
    stack = [layers.Dense(2000, kernel_initializer=ones), layers.Dense(1, kernel_initializer=ones)]
    model = mpreg.with_dropout(keras.Sequential([keras.Input((1,)), *stack]), 0.25)
    x = np.ones((20, 1), "float32")
    np.testing.assert_array_equal(model(x, training=False), np.full((20, 1), 2000.0))
    thinned = model(x, training=True).numpy() / 2000  # kept values count 1 / 0.75
    assert abs(thinned.mean() - 1) < 0.02  # its standard error is 0.003
    assert 0.005 < thinned.std() < 0.03  # sqrt(0.25 / 0.75 / 2000) = 0.013


def test_masks_follow_the_seed_and_differ_between_layers():
    model = keras.Sequential([keras.Input((4,)), *[layers.Dense(64) for _ in range(3)]])
    x = np.ones((3, 4), "float32")
    first, again, other = (mpreg.with_dropout(model, 0.5, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first(x, training=True), again(x, training=True))
    assert not np.array_equal(
        other(x, training=True), mpreg.with_dropout(model, 0.5, seed=1)(x, training=True)
    )
    seeds = [layer.seed for layer in first.layers if isinstance(layer, layers.Dropout)]
    assert len(set(seeds)) == len(seeds) == 2


@rebuilds
def test_shared_layers_stay_shared(model_and_inputs, rebuild):
    model, _ = model_and_inputs("branched")
    rebuilt = rebuild(model)
    assert rebuilt.get_layer("shared") is rebuilt.get_layer("nested").get_layer("shared")
    assert len(rebuilt.weights) == len(model.weights)
    assert list(rebuilt.input) == ["left", "right"]


def test_a_nested_head_gets_dropout_on_hidden_values_but_not_on_inputs():
    def head():
        return keras.Sequential([keras.Input((4,)), layers.Dense(3, name="scores")], name="head")

    inputs = keras.Input((4,))
    behind = keras.Model(inputs, head()(layers.Dense(4, "relu")(inputs)))
    assert dropouts(mpreg.with_dropout(behind, 0.5)) == {"scores_dropout": 0.5}
    first = keras.Model(inputs, layers.Dense(3, name="last")(head()(inputs)))
    assert dropouts(mpreg.with_dropout(first, 0.5)) == {"last_dropout": 0.5}


@rebuilds
def test_frozen_layers_stay_frozen(rebuild):
    model = stacked()
    model.layers[0].trainable = False
    model.get_layer("inner").trainable = False
    model.get_layer("inner").layers[0].trainable = True
    rebuilt = rebuild(model)
    for old in model._flatten_layers():
        (new,) = [layer for layer in rebuilt._flatten_layers() if layer.name == old.name]
        assert new.trainable == old.trainable, old.name
    model.trainable = False
    assert rebuild(model).trainable_weights == []


@rebuilds
def test_state_outside_of_weights_is_kept(rebuild):
    scaled = layers.Normalization()
    scaled.adapt(np.random.default_rng(0).normal(3, 2, (50, 4)))
    lookup = layers.StringLookup(output_mode="one_hot", num_oov_indices=1)
    lookup.adapt(["red", "green", "blue"])
    number, word = keras.Input((4,)), keras.Input((1,), dtype="string")
    x = layers.Concatenate()([scaled(number), lookup(word)])
    model = keras.Model([number, word], layers.Dense(3)(layers.Dense(4)(x)))
    x = [tf.random.stateless_normal((3, 4), [0, 1]), tf.constant([["red"], ["blue"], ["none"]])]
    np.testing.assert_array_equal(rebuild(model)(x), model(x))


@rebuilds
def test_a_compiled_model_stays_compiled_with_an_optimizer_that_took_no_step(rebuild):
    x, y = records()
    model = mlp()
    assert not rebuild(model).compiled
    model.compile(
        keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=True
    )
    model.fit(x, y, verbose=0)
    rebuilt = rebuild(model)
    assert rebuilt.optimizer is not model.optimizer
    assert rebuilt.optimizer.get_config() == model.optimizer.get_config()
    assert int(rebuilt.optimizer.iterations) == 0
    logs = rebuilt.fit(x, y, verbose=0).history
    assert set(logs) == {"loss", "accuracy"}
    assert int(model.optimizer.iterations) == 2


@rebuilds
def test_a_loss_that_keras_cannot_copy_leaves_the_model_uncompiled_with_a_warning(rebuild):
    model = mlp()
    model.compile("sgd", lambda y, p: keras.losses.sparse_categorical_crossentropy(y, p))
    with pytest.warns(UserWarning, match="the rebuilt model is not compiled"):
        rebuilt = rebuild(model)
    assert not rebuilt.compiled
    assert_same_weights(rebuilt, model)


def test_a_rebuilt_model_is_a_target_of_adversarial_regularization():
    x, y = records()
    target = mpreg.with_dropout(mpreg.with_l2(mlp(), 0.01), 0.5)
    model = mpreg.AdversarialRegularization(target, records(seed=1), penalty=1.0, reference_batch_size=8)
    model.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
    first = weights_of(target)
    logs = model.fit(x, y, epochs=2, verbose=0).history
    assert np.isfinite(logs["loss"]).all()
    assert all(not np.array_equal(a, b) for a, b in zip(first, weights_of(target), strict=True))
    plain = keras.losses.sparse_categorical_crossentropy(y, target(x)).numpy().mean()
    paid = model.evaluate(x, y, verbose=0)
    np.testing.assert_allclose(paid, plain + float(sum(target.losses)), rtol=1e-5)


def test_a_saved_model_needs_keras_only(tmp_path, model_and_inputs):
    model, x = model_and_inputs("stacked")
    rebuilt = mpreg.with_dropout(mpreg.with_l2(model, 0.01), 0.5)
    rebuilt.save(tmp_path / "rebuilt.keras")
    np.savez(tmp_path / "rebuilt.npz", x=x, y=model(x), penalty=float(sum(rebuilt.losses)))
    code = """
import sys, keras, numpy as np
model, saved = keras.saving.load_model("rebuilt.keras"), np.load("rebuilt.npz")
np.testing.assert_allclose(model(saved["x"]), saved["y"], rtol=1e-5, atol=1e-6)
np.testing.assert_allclose(float(sum(model.losses)), saved["penalty"], rtol=1e-5)
assert [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)] == [0.5]
assert "mpreg" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=120, capture_output=True)


@pytest.mark.parametrize(
    ("name", "rebuild"), [("sequences", "l2"), ("sequences", "dropout"), ("resnet20", "l2")]
)
def test_a_saved_functional_model_loads(tmp_path, rebuild, model_and_inputs, rebuilt_model, name):
    model, x = model_and_inputs(name)
    rebuilt = rebuilt_model(name, REBUILDS[rebuild])
    rebuilt.save(tmp_path / "rebuilt.keras")
    loaded = keras.saving.load_model(tmp_path / "rebuilt.keras")
    np.testing.assert_array_equal(loaded(x), model(x))
    assert len(loaded.losses) == len(rebuilt.losses)
    assert list(dropouts(loaded).values()) == list(dropouts(rebuilt).values())


def test_mixed_precision_is_kept():
    policy = "mixed_float16"
    stack = [layers.Dense(4, "relu", dtype=policy), layers.Dense(3, dtype="float32", name="last")]
    model = keras.Sequential([keras.Input((4,)), *stack])
    rebuilt = mpreg.with_dropout(model, 0.5, inputs=True)
    assert [layer.dtype_policy.name for layer in rebuilt.layers] == [policy, policy, "float32", "float32"]


def test_layers_of_the_user_without_a_penalty_are_named():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(4), Scale(name="mine"), layers.Dense(2)])
    with pytest.warns(UserWarning, match="keep weights without a penalty: mine"):
        rebuilt = mpreg.with_l2(model, 0.1)
    assert len(rebuilt.losses) == 2


def behind_input(*stack):
    return keras.Sequential([keras.Input((4,)), *stack], name="wrong")


class Own(keras.Model):
    def call(self, x):
        return x


def tied():
    inputs = keras.Input((5, 4))
    shared = layers.Dense(4)
    x = layers.Dense(3)(layers.Add()([shared(inputs), layers.TimeDistributed(shared)(inputs)]))
    return keras.Model(inputs, x, name="wrong")


@rebuilds
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: "model.keras", "model must be a keras.Model. Received: 'model.keras'"),
        (
            lambda: Own(name="own"),
            "only Sequential and functional models can be rebuilt: .* 'own' of class Own",
        ),
        (lambda: behind_input(Own(name="own"), layers.Dense(2)), "only Sequential .* 'own' of class Own"),
        (lambda: keras.Sequential([layers.Dense(2)]), "the model is not built, .* keras.Input"),
        (lambda: behind_input(layers.Lambda(abs, name="lam"), layers.Dense(2)), "a Lambda layer .* 'lam'"),
        (
            lambda: behind_input(Forgetful(np.ones(3), name="bad"), layers.Dense(2)),
            "layer 'bad' of class Forgetful cannot be rebuilt from its configuration: ",
        ),
        (tied, "layers that share a variable cannot be rebuilt: .* 'wrong' with 4 variables, of which 6"),
    ],
)
def test_what_cannot_be_rebuilt_is_an_error_that_names_it(rebuild, make, message):
    with pytest.raises(ValueError, match=message):
        rebuild(make())


@pytest.mark.parametrize("l2", [-1e-9, float("nan"), float("inf"), "1e-3", None, True])
def test_l2_must_be_a_finite_number_of_at_least_0(l2):
    with pytest.raises(ValueError, match=f"l2 must be a finite number of at least 0. Received: l2={l2!r}"):
        mpreg.with_l2(mlp(), l2)


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5, float("nan"), "0.5", None, True])
def test_rate_must_be_a_share(rate):
    with pytest.raises(
        ValueError, match=rf"rate must be a share in \[0, 1\), 0 for none. Received: rate={rate!r}"
    ):
        mpreg.with_dropout(mlp(), rate)


def test_a_model_without_a_place_for_it_is_an_error():
    with pytest.raises(ValueError, match="no layer of the model has a kernel to penalize. Received: 'wrong'"):
        mpreg.with_l2(behind_input(layers.ReLU()), 0.1)
    with pytest.raises(
        ValueError, match="no hidden values .* inputs=True drops its inputs. Received: 'wrong'"
    ):
        mpreg.with_dropout(behind_input(layers.Dense(3)), 0.1)
    with pytest.raises(ValueError, match="seed must be a whole number, at least 0. Received: seed=-1"):
        mpreg.with_dropout(mlp(), 0.1, seed=-1)


def test_a_penalty_of_another_kind_is_not_taken_away():
    model = behind_input(layers.Dense(3, kernel_regularizer="l1", name="sparse"))
    with pytest.raises(ValueError, match="layer 'sparse' has a penalty that with_l2 would take away: .*L1"):
        mpreg.with_l2(model, 0.1)
    mpreg.with_l2(behind_input(layers.Dense(3, kernel_regularizer=keras.regularizers.L1L2(0, 0.1))), 0.1)

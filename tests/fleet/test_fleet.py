"""The fleet: each replica is trained as its own `fit` would train it, however it is trained."""

import joblib
import keras
import numpy as np
import pytest
from keras import layers
from support import CLASSES, FEATURES, assert_same_weights, records

from mpreg.fleet import Fleet, checkpoint, training
from mpreg.fleet.adam import can_fuse
from mpreg.fleet.schedule import Schedule, epoch_order, lay_out
from mpreg.fleet.waves import stack_sizes

EPOCHS, BATCH = 2, 8


def build_fn(*, optimizer=None, extra=(), units=CLASSES, loss="sparse_categorical_crossentropy", **dense):
    """A compiled classifier whose weights follow the global seed."""
    stack = [keras.Input((FEATURES,)), layers.Dense(8, "tanh", **dense), *extra]
    model = keras.Sequential([*stack, layers.Dense(units, "softmax" if units > 1 else "sigmoid")])
    model.compile(optimizer or keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True), loss)
    return model


def normalized():
    rate = keras.optimizers.schedules.ExponentialDecay(0.02, 2, 0.8)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=0.1, clipnorm=0.1)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    regularizer = keras.regularizers.L2(0.1)
    extra = [layers.BatchNormalization(momentum=0.7)]
    return build_fn(optimizer=optimizer, extra=extra, kernel_regularizer=regularizer)


def summing():
    loss = keras.losses.SparseCategoricalCrossentropy(reduction="sum")
    return build_fn(optimizer=keras.optimizers.Lamb(0.01), loss=loss, extra=[layers.Dropout(0.4)])


def dropping():
    return build_fn(extra=[layers.Dropout(0.4)])


def recurrent():
    return build_fn(extra=[layers.Reshape((4, 2)), layers.SimpleRNN(3)])


def convolving():
    stack = [
        layers.Reshape((4, 2, 1)),
        layers.Conv2D(3, 2, padding="same"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
    ]
    return build_fn(extra=stack)


def draw(*sizes, count=48, seed=0):
    """Which of the records each replica trains on, so many each."""
    rng = np.random.default_rng(seed)
    membership = np.zeros((len(sizes), count), bool)
    for own, size in zip(membership, sizes, strict=True):
        own[rng.choice(count, size, replace=False)] = True
    return membership


def trained(build, membership, *, seed=0, epochs=EPOCHS, memory=2**31, **options):
    x, y = records()
    fleet = Fleet(build, len(membership), seed=seed, memory=memory)
    return fleet.fit(x, y, membership=membership, epochs=epochs, batch_size=BATCH, verbose=0, **options)


def fitted_alone(build, own, replica, *, seed=0):
    """A replica trained by Keras' own `fit`, on its records in the fleet's order; and its losses."""
    x, y = records()
    keras.utils.set_random_seed(seed + replica)
    model, losses = build(), []
    model.run_eagerly = True  # few steps: tracing them would take longer
    for epoch in range(EPOCHS):
        order = epoch_order(np.flatnonzero(own), seed=seed, replica=replica, epoch=epoch)
        history = model.fit(x[order], y[order], batch_size=BATCH, shuffle=False, verbose=0)
        losses += history.history["loss"]
    return model, losses


def adam(rate=0.05, **options):
    return lambda: build_fn(optimizer=keras.optimizers.Adam(rate, **options), extra=[layers.Dropout(0.4)])


@pytest.mark.parametrize(
    ("build", "sizes", "in_place"),
    [
        (adam(), (21, 21), True),
        (adam(beta_1=0.8, beta_2=0.99, epsilon=1e-3), (16, 16), True),
        (adam(), (5, 21), False),
    ],
    ids=["usual", "other rates", "unequal sizes"],
)
def test_adams_steps_are_taken_in_place_where_all_take_as_many(build, sizes, in_place, monkeypatch):
    monkeypatch.setattr("mpreg.fleet.fleet.cores", lambda: 1)  # one stack of both
    taken, step = [], training.FusedAdam.step
    monkeypatch.setattr(training.FusedAdam, "step", lambda *given: taken.append(step(*given)) or taken[-1])
    membership = draw(*sizes)
    fleet = trained(build, membership)
    assert bool(taken) == in_place
    for replica, own in enumerate(membership):
        alone, losses = fitted_alone(build, own, replica)
        assert_same_weights(fleet.model(replica), alone, atol=6e-7)
        np.testing.assert_allclose(fleet.losses[replica], losses, atol=1e-6)


def constrained():
    return build_fn(optimizer="adam", kernel_constraint="non_neg")


OTHER_STEPS = {
    "other squares": adam(amsgrad=True),
    "decay": adam(weight_decay=0.1),
    "clipping": adam(clipnorm=0.1),
    "scaling": adam(loss_scale_factor=2.0),
    "schedule": adam(keras.optimizers.schedules.ExponentialDecay(0.02, 2, 0.8)),
    "1 minus a rate that float32 does not hold": adam(beta_2=0.99999),
    "subclass": lambda: build_fn(optimizer=keras.optimizers.AdamW()),
    "constraint": constrained,
}


@pytest.mark.parametrize("name", OTHER_STEPS)
def test_steps_that_are_more_than_adams_are_left_to_keras(name):
    plain, other = adam()(), OTHER_STEPS[name]()
    assert can_fuse(plain.optimizer, plain.trainable_variables)
    assert not can_fuse(other.optimizer, other.trainable_variables)


@pytest.fixture(scope="module")
def plain():
    """A fleet of three on unequal parts, one of more batches than the others, and the parts."""
    membership = draw(5, 12, 7)
    return trained(build_fn, membership), membership


@pytest.mark.parametrize(
    ("build", "sizes", "how"),
    [
        (normalized, (21, 21), "one program, waves of 2"),
        (summing, (5, 9), "one program, waves of 2"),
        (convolving, (9, 9), "one by one: Conv2D is slower together"),
        (recurrent, (5, 9), "one by one: SimpleRNN cannot be vectorized"),
    ],
    ids=["normalization", "dropout, summed loss", "convolution", "recurrent"],
)
def test_replicas_equal_models_fitted_alone(build, sizes, how):
    membership = draw(*sizes)
    fleet = trained(build, membership, seed=5)
    assert fleet.how == how
    answers = fleet.predict(records()[0], batch_size=10)
    for replica, own in enumerate(membership):
        alone, _ = fitted_alone(build, own, replica, seed=5)
        assert_same_weights(fleet.model(replica), alone, atol=2e-6)
        np.testing.assert_allclose(answers[replica], alone(records()[0]), atol=2e-6)


def test_losses_are_the_mean_over_the_batches_and_labels_may_be_one_hot():
    x, y = records()
    membership = draw(16, 16)
    fleet = Fleet(lambda: build_fn(loss="categorical_crossentropy"), 2)
    fleet.fit(x, np.eye(CLASSES)[y], membership=membership, epochs=EPOCHS, batch_size=BATCH)
    assert fleet.losses.shape == (2, EPOCHS)
    alone, losses = fitted_alone(build_fn, membership[1], 1)
    np.testing.assert_allclose(fleet.losses[1], losses, atol=1e-5)
    assert_same_weights(fleet.model(1), alone, atol=1e-6)


def test_replicas_have_weights_and_dropout_of_their_own_where_initializers_have_a_seed():
    def seeded():
        kernel = keras.initializers.GlorotUniform(1)
        return build_fn(extra=[layers.Dropout(0.5)], kernel_initializer=kernel)

    fleet = trained(seeded, np.repeat(draw(8), 2, axis=0), epochs=1)
    first, second = (fleet.model(replica).get_weights() for replica in (0, 1))
    assert not np.allclose(first[-2], second[-2], atol=1e-3)  # of the last layer, which has no seed
    states = fleet._trained.weights[1]
    assert not np.array_equal(states[0][0], states[0][1])


@pytest.fixture(scope="module")
def again(plain, tmp_path_factory):
    """The plain fleet trained once more, its checkpoint, and the caller's random numbers before and after."""
    path = tmp_path_factory.mktemp("fleet") / "fleet.npz"
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    fleet = trained(build_fn, plain[1], checkpoint=path)
    return fleet, path, (state, np.random.get_state()[1].copy())  # noqa: NPY002


def test_the_same_seed_gives_the_same_fleet_and_another_another(plain, again):
    fleet, membership = plain
    for replica in range(3):
        assert_same_weights(fleet.model(replica), again[0].model(replica))
    other = trained(build_fn, membership, seed=1)
    assert not np.allclose(fleet.model(1).get_weights()[0], other.model(1).get_weights()[0], atol=1e-3)


def test_waves_change_nothing_but_the_memory(plain):
    fleet, membership = plain
    small = trained(build_fn, membership, memory=1)
    assert (fleet.how, small.how) == ("one program, waves of 3", "one program, waves of 1")
    x = records()[0]
    np.testing.assert_allclose(small.predict(x), fleet.predict(x), atol=1e-6)


def test_a_compiled_program_trains_the_same(plain, monkeypatch):
    fleet, membership = plain
    monkeypatch.setattr(training, "WORTH_COMPILING", 0)
    compiled = trained(build_fn, membership)
    np.testing.assert_allclose(compiled.predict(records()[0]), fleet.predict(records()[0]), atol=1e-5)


def test_the_callers_random_numbers_and_data_are_left_alone(again):
    np.testing.assert_array_equal(*again[2])
    x, y = records()
    before = x.copy(), y.copy()
    Fleet(build_fn, 1).fit(x, y, membership=draw(8), epochs=1, batch_size=BATCH)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(y, before[1])


def test_one_output_and_several_inputs():
    def build():
        inputs = {name: keras.Input((FEATURES,), name=name) for name in ("left", "right")}
        hidden = layers.Concatenate()([layers.Dense(4, "relu")(value) for value in inputs.values()])
        model = keras.Model(inputs, layers.Dense(1, "sigmoid")(hidden))
        model.compile("sgd", "binary_crossentropy")
        return model

    x, y = records(classes=2)
    both = {"left": x, "right": x[::-1]}
    fleet = Fleet(build, 2).fit(both, y, membership=draw(8, 8), epochs=2, batch_size=BATCH)
    answers = fleet.predict(both, batch_size=7)
    assert answers.shape == (2, 48, 1) and answers.dtype == np.float32
    np.testing.assert_allclose(answers[1], fleet.model(1)(both), atol=1e-6)


def test_replicas_answer_only_to_what_they_are_asked(plain):
    """Whatever the number of records that each is asked about, in batches that do not fit, and in waves."""
    fleet, membership = plain
    (x, _), asked = records(), ~membership
    asked[1] = False
    answers = fleet.predict(x, asked=asked, batch_size=10)
    np.testing.assert_allclose(answers[asked], fleet.predict(x)[asked], atol=1e-6)
    assert not answers[~asked].any() and not fleet.predict(x, asked=asked & False).any()
    for wrong in (asked[:2], asked.astype(int)):
        with pytest.raises(ValueError, match=r"asked must tell .* shape \(3, 48\). Received: shape"):
            fleet.predict(x, asked=wrong)


class Stop(Exception):
    """Ends a training in the middle."""


def test_a_stopped_fleet_goes_on_as_if_it_had_not_stopped(plain, tmp_path, monkeypatch):
    """Stopped within the first wave, gone on, stopped in a later wave, gone on."""
    _, membership = plain
    path = tmp_path / "fleet.npz"
    monkeypatch.setattr(checkpoint, "SECONDS_BETWEEN", 0)
    whole = trained(dropping, membership, memory=1)
    run, left = training.Program.epoch, [0]

    def limited(self, *arguments):
        if left[0] == 0:
            raise Stop
        left[0] -= 1
        return run(self, *arguments)

    monkeypatch.setattr(training.Program, "epoch", limited)
    for left[0] in (1, EPOCHS):
        with pytest.raises(Stop):
            trained(dropping, membership, memory=1, checkpoint=path)
    left[0] = 3 * EPOCHS - 1 - EPOCHS  # no epoch is trained twice
    resumed = trained(dropping, membership, memory=1, checkpoint=path)
    assert left == [0]
    for replica in range(3):
        assert_same_weights(resumed.model(replica), whole.model(replica))
    np.testing.assert_array_equal(resumed.losses, whole.losses)
    trained(dropping, membership, memory=1, checkpoint=path)  # all is there: no epoch is left
    assert [file.name for file in tmp_path.iterdir()] == ["fleet.npz"]


def test_a_checkpoint_of_another_fleet_is_refused(plain, again, tmp_path):
    _, membership = plain
    _, path, _ = again
    with pytest.raises(ValueError, match="another fleet: epochs, seed differ"):
        trained(build_fn, membership, epochs=1, seed=1, checkpoint=path)
    with pytest.raises(ValueError, match="another fleet: membership differ"):
        trained(build_fn, membership[::-1], checkpoint=path)
    spoilt = tmp_path / "fleet.npz"
    spoilt.write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="is not a checkpoint of a fleet"):
        trained(build_fn, membership, checkpoint=spoilt)
    with pytest.raises(ValueError, match="folder of the checkpoint does not exist"):
        trained(build_fn, membership, checkpoint=tmp_path / "no" / "fleet.npz")


OTHERS = {
    "activation": lambda: rebuilt(layers.Dense(8, "relu")),
    "regularizer": lambda: rebuilt(layers.Dense(8, "tanh", kernel_regularizer="l2")),
    "dropout": lambda: rebuilt(layers.Dense(8, "tanh"), layers.Dropout(0.5)),
    "loss": lambda: rebuilt(
        layers.Dense(8, "tanh"), loss=keras.losses.SparseCategoricalCrossentropy(ignore_class=1)
    ),
    "rate": lambda: rebuilt(layers.Dense(8, "tanh"), rate=0.2),
    "dtype": lambda: rebuilt(layers.Dense(8, "tanh", dtype="mixed_bfloat16")),
}


def rebuilt(*hidden, loss="sparse_categorical_crossentropy", rate=0.1):
    model = keras.Sequential([keras.Input((FEATURES,)), *hidden, layers.Dense(CLASSES, "softmax")])
    model.compile(keras.optimizers.SGD(rate), loss)
    return model


def pretrained():
    """The same configuration, from weights of its own."""
    model = rebuilt(layers.Dense(8, "tanh"))
    model.set_weights([weight + 0.1 for weight in model.get_weights()])
    return model


def test_a_checkpoint_of_another_model_is_refused_whatever_differs(tmp_path):
    """Equal shapes are not equal models: configuration, compile options and first weights count too."""
    membership, path = draw(8), tmp_path / "fleet.npz"

    def train(build):
        return trained(build, membership, epochs=1, checkpoint=path)

    train(lambda: rebuilt(layers.Dense(8, "tanh")))
    train(lambda: rebuilt(layers.Dense(8, "tanh")))  # names that Keras counts up make no other model
    for build in OTHERS.values():
        with pytest.raises(ValueError, match="another fleet: .*model differ"):
            train(build)
    for build in (pretrained, lambda: rebuilt(layers.Dense(8, "tanh", kernel_initializer="he_normal"))):
        with pytest.raises(ValueError, match="another fleet: .*first weights"):
            train(build)


@pytest.mark.parametrize("build", [build_fn, summing], ids=["mean", "sum"])
def test_losses_of_unequal_replicas_are_those_of_their_own_fits(build):
    """Each replica's loss is a mean over its own records, as Keras' history has it, however many others have."""
    membership = draw(5, 12, 19)
    fleet = trained(build, membership)
    for replica, own in enumerate(membership):
        np.testing.assert_allclose(fleet.losses[replica], fitted_alone(build, own, replica)[1], rtol=1e-5)


def check_in_processes(plain, name, tmp_path):
    """Trains the plain fleet as joblib is set up; it must come out the same."""
    fleet, membership = plain
    path = tmp_path / "fleet.npz"
    spread = trained(build_fn, membership, checkpoint=path)
    assert spread.how == f"processes: {name}, one program, waves of 1"
    np.testing.assert_allclose(spread.predict(records()[0]), fleet.predict(records()[0]), atol=1e-6)
    np.testing.assert_allclose(spread.losses, fleet.losses, atol=1e-5)
    assert path.exists()


def test_replicas_spread_over_processes(plain, tmp_path):
    with joblib.parallel_config("loky", n_jobs=2):
        check_in_processes(plain, "loky", tmp_path)


def test_replicas_spread_over_a_dask_cluster(plain, tmp_path):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config("dask"),
    ):
        check_in_processes(plain, "dask", tmp_path)


def test_forked_processes_are_refused_and_threads_train_here(plain):
    _, membership = plain
    with (
        joblib.parallel_config("multiprocessing", n_jobs=2),
        pytest.raises(ValueError, match="forked processes. Choose another backend"),
    ):
        trained(build_fn, membership)
    with joblib.parallel_config("threading", n_jobs=2):
        assert trained(build_fn, membership, epochs=1).how == "one program, waves of 3"


@pytest.mark.parametrize("sizes", [(16, 16), (19, 19), (5, 5), (3, 17, 9), (8, 16), (5, 7)])
def test_an_epoch_takes_each_record_once(sizes):
    schedule = Schedule.of(sizes, 8)
    orders = [100 * replica + np.arange(size) for replica, size in enumerate(sizes)]
    whole, ends, counts = lay_out(schedule, orders)
    assert schedule.steps == -(-max(sizes) // 8) and schedule.ragged == (len(set(sizes)) > 1)
    for replica, order in enumerate(orders):
        taken = [*whole[:, replica].flat, *ends[:, replica][counts[:, replica] > 0]]
        assert taken == order.tolist()
        assert set(ends[:, replica].flat) <= set(order.tolist())


def test_orders_differ_by_epoch_replica_and_seed():
    rows = np.arange(50)
    at = {"seed": 1, "replica": 2, "epoch": 3}
    order = epoch_order(rows, **at)
    np.testing.assert_array_equal(np.sort(order), rows)
    np.testing.assert_array_equal(order, epoch_order(rows, **at))
    for name in at:
        assert not np.array_equal(order, epoch_order(rows, **{**at, name: 7}))


@pytest.mark.parametrize("threads", [1, 2, 8])
@pytest.mark.parametrize("capacity", [0, 1, 3, 16, 1000])
@pytest.mark.parametrize("replicas", [1, 5, 16])
def test_stacks_keep_within_memory_and_threads(replicas, capacity, threads):
    size, stacks = stack_sizes(replicas, capacity, threads)
    assert 1 <= stacks <= threads and size >= 1
    assert (size - 1) * stacks < max(1, min(capacity, replicas))
    assert size * stacks >= min(replicas, max(1, capacity)) / 2


BAD_MODELS = {
    "must return a Keras model. Received: 'no model'": lambda: "no model",
    "must return a compiled model": lambda: keras.Sequential([keras.Input((FEATURES,)), layers.Dense(3)]),
    "moving averages": lambda: build_fn(optimizer=keras.optimizers.SGD(use_ema=True)),
    "wraps other optimizers": lambda: build_fn(
        optimizer=keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())
    ),
    "labels must be below the number of classes, 2": lambda: build_fn(units=2),
}


@pytest.mark.parametrize("message", BAD_MODELS)
def test_models_that_a_fleet_cannot_train(message):
    with pytest.raises((ValueError, TypeError), match=message):
        trained(BAD_MODELS[message], draw(8, 8))


def test_models_must_be_new_and_alike():
    model, widths = build_fn(), iter(range(3, 9))
    with pytest.raises(ValueError, match="must build a new model each time"):
        trained(lambda: model, draw(8, 8))
    with pytest.raises(ValueError, match="models of the same shapes each time"):
        trained(lambda: build_fn(units=next(widths)), draw(8, 8))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"membership": draw(8)}, r"shape \(2, 48\). Received: shape \(1, 48\), type bool"),
        ({"membership": draw(8, 8).astype(int)}, "a bool array .* type int64"),
        ({"membership": draw(8, 0)}, "1 replicas have none, the first is replica 1"),
        ({"x": records()[0] * np.nan}, "NaN or infinite"),
        ({"x": records()[0].astype(str)}, "features must be numbers"),
        ({"y": records()[1] + 1}, "labels must be below the number of classes, 3"),
        ({"epochs": 0}, "epochs must be a whole number, at least 1"),
        ({"batch_size": 0}, "batch_size must be a whole number, at least 1"),
    ],
)
def test_what_is_refused_at_the_door(change, message):
    x, y = records()
    given = {"x": x, "y": y, "membership": draw(8, 8), "epochs": 1, **change}
    with pytest.raises(ValueError, match=message):
        Fleet(build_fn, 2).fit(**given)


def test_a_dataset_is_refused():
    import tensorflow as tf

    with pytest.raises(ValueError, match="a fleet takes arrays"):
        Fleet(build_fn, 1).fit(
            tf.data.Dataset.from_tensor_slices(records()), None, membership=draw(8), epochs=1
        )


def test_a_fleet_is_checked_before_it_is_trained(plain):
    with pytest.raises(ValueError, match="n must be a whole number, at least 1. Received: n=0"):
        Fleet(build_fn, 0)
    with pytest.raises(TypeError, match="build_fn must be a function"):
        Fleet(build_fn(), 2)
    with pytest.raises(RuntimeError, match="not trained yet: call fit first"):
        Fleet(build_fn, 2).predict(records()[0])
    with pytest.raises(ValueError, match="i must be below the number of replicas, 3. Received: i=3"):
        plain[0].model(3)

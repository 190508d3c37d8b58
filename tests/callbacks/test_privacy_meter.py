"""PrivacyMeter: what it measures, when, at what cost, and the Keras callbacks that live on it."""

import csv
import gc
import os
import re
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from support import CLASSES, FEATURES, Spy, compiled, mlp, records, split_of
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2

import mpreg
from mpreg.attacks import GapAttack, ThresholdAttack
from mpreg.callbacks import PrivacyMeter

FIGURES = {
    "train_accuracy",
    "test_accuracy",
    "attack_accuracy",
    "attack_accuracy_low",
    "attack_accuracy_high",
    "attack_auc",
    "attack_advantage",
    "attack_tpr_at_fpr_0",
    "attack_tpr_at_fpr_0.001",
    "attack_tpr_at_fpr_0.01",
    "attack_records",
    "privacy_meter_cost",
}


def fit(model, split, *callbacks, epochs=1, **options):
    x, y = split.members
    return model.fit(x, y, epochs=epochs, verbose=0, batch_size=len(y), callbacks=list(callbacks), **options)


def answering(x, y, others, other_y, sharp):
    """A model that knows its members by heart and gives everyone else the answer of a coin."""
    table = np.full((len(x) + len(others), CLASSES), 1 / CLASSES, "float32")
    table[np.arange(len(x)), y] = sharp
    table[: len(x)] /= table[: len(x)].sum(axis=1, keepdims=True)
    inputs = keras.Input((1,), dtype="int32")
    lookup = layers.Embedding(len(table), CLASSES, weights=[table], trainable=False)
    scale = layers.Rescaling(1.0)
    return keras.Model(inputs, layers.Flatten()(scale(lookup(inputs))))


def test_the_figures_are_those_of_the_model():
    """All members right and sure, non-members a coin: the strongest attack must find every one."""
    _, y = records(40)
    _, other = records(40, seed=1)
    rows = np.arange(80).reshape(-1, 1)
    model = answering(rows[:40], y, rows[40:], other, sharp=9.0)
    split = mpreg.MembershipSplit((rows[:40], y), None, (rows[40:], other))
    meter = PrivacyMeter(split)
    meter.set_model(model)
    figures = meter.measure()
    assert figures["train_accuracy"] == 1.0
    assert figures["test_accuracy"] == pytest.approx(
        np.mean(other == 0)
    )  # all equal: the first class is named
    for name in ("attack_accuracy", "attack_auc", "attack_advantage", "attack_tpr_at_fpr_0.01"):
        assert figures[name] == 1.0
    assert figures["attack_records"] == 40


def test_a_model_that_knows_nothing_shows_no_attack():
    model = mlp()
    model.set_weights([0 * w for w in model.get_weights()])
    meter = PrivacyMeter(split_of())
    meter.set_model(model)
    figures = meter.measure()
    gap = figures["train_accuracy"] - figures["test_accuracy"]
    assert figures["attack_accuracy"] == pytest.approx(max(0.5, 0.5 + gap / 2), abs=0.1)


def test_the_headline_is_never_below_the_gap_attack():
    model = compiled(mlp(hidden=64))
    history = fit(model, split_of(), PrivacyMeter(split_of()), epochs=3).history
    gap = np.subtract(history["train_accuracy"], history["test_accuracy"])
    assert np.all(np.array(history["attack_accuracy"]) >= 0.5 + gap / 2 - 1e-9)


def gap_attacks(count):
    """Attacks that learn nothing, so that the number of attacks alone widens the interval."""
    attacks = [GapAttack() for _ in range(count)]
    for number, attack in enumerate(attacks):
        attack.name = f"gap {number}"
    return attacks


@pytest.mark.parametrize("attacks", ["fast", gap_attacks(1), gap_attacks(4), [ThresholdAttack("loss")]])
def test_the_interval_is_that_of_evaluate(monkeypatch, attacks):
    """With as many folds and all records, the meter measures what `mpreg.evaluate` does."""
    monkeypatch.setattr("mpreg.callbacks.privacy_meter.FOLDS", 5)
    split, model = split_of(), mlp(hidden=64)
    fit(compiled(model), split, epochs=3)
    meter = PrivacyMeter(split, attacks=attacks)
    meter.set_model(model)
    figures = meter.measure()
    expected = mpreg.evaluate(model, split, attacks=attacks).attack_accuracy
    found = [figures[f"attack_accuracy{end}"] for end in ("", "_low", "_high")]
    assert found == pytest.approx([expected, *expected.interval])


def test_it_agrees_with_keras_about_accuracy():
    split = split_of()
    model = compiled(metrics=["accuracy"])
    history = fit(model, split, PrivacyMeter(split), validation_data=split.nonmembers).history
    assert set(history) >= FIGURES
    assert history["test_accuracy"] == pytest.approx(history["val_accuracy"])
    assert history["train_accuracy"][-1] == pytest.approx(model.evaluate(*split.members, verbose=0)[1])


def test_the_first_epoch_and_every_so_many_are_measured_and_repeated_in_between():
    split = split_of()
    meter = PrivacyMeter(split, every=3)
    history = fit(compiled(), split, meter, epochs=7).history
    assert len(meter.costs) == 3  # epochs 1, 3 and 6
    measured = np.array(history["privacy_meter_cost"]) > 0
    np.testing.assert_array_equal(measured, [True, False, True, False, False, True, False])
    for name in FIGURES - {"privacy_meter_cost"}:
        values = history[name]
        assert values[1] == values[0] and values[3] == values[4] == values[2] and values[6] == values[5]
    again = fit(compiled(), split, meter, epochs=1).history  # another model: nothing is left of the first
    assert again["privacy_meter_cost"][0] > 0


def test_measuring_leaves_the_model_alone():
    split = split_of()
    plain, watched = (compiled(mlp(dropout=0.5, normalize=True)) for _ in range(2))
    fit(plain, split, epochs=2, shuffle=False)
    fit(watched, split, PrivacyMeter(split), epochs=2, shuffle=False)
    for mine, others in zip(plain.get_weights(), watched.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, others)


def test_the_same_seed_gives_the_same_subset_and_figures():
    split = split_of(300, 400)
    figures = []
    for seed in (0, 0, 1):
        meter = PrivacyMeter(split, records=50, seed=seed)
        meter.set_model(mlp())
        figures.append(meter.measure())
        assert meter.records == (50, 50)
    assert figures[0] == figures[1] != figures[2]


@pytest.mark.parametrize(("members", "judged"), [(40, 40), (400, 250), (4000, 400)])
def test_a_tenth_of_the_members_is_judged_but_at_least_250(members, judged):
    assert PrivacyMeter(split_of(members, members)).records == (judged, judged)


def test_the_forward_pass_is_traced_once():
    seen = []
    model = keras.Sequential([keras.Input((FEATURES,)), Spy(seen), layers.Dense(CLASSES, "softmax")])
    meter = PrivacyMeter(split_of(700, 600), records=700)  # two batches on either side, the last ones partial
    meter.set_model(model)
    del seen[:]
    for _ in range(3):
        meter.measure()
    assert len(seen) == 1


@pytest.mark.parametrize("units", [1, 2, CLASSES])
@pytest.mark.parametrize("logits", [False, True])
def test_it_reads_every_kind_of_answer(units, logits):
    activation = None if logits else ("sigmoid" if units == 1 else "softmax")
    split = mpreg.MembershipSplit(
        records(40, classes=max(units, 2)), None, records(60, classes=max(units, 2), seed=1)
    )
    meter = PrivacyMeter(split)
    model = mlp(units=units, activation=activation)
    meter.set_model(model)
    x, y = split.members
    answers = model.predict(x, verbose=0)
    named = (answers[:, 0] > (0 if logits else 0.5)).astype(int) if units == 1 else answers.argmax(axis=1)
    assert meter.measure()["train_accuracy"] == pytest.approx(np.mean(named == y))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_it_reads_answers_of_low_precision(policy):
    keras.config.set_dtype_policy(policy)
    try:
        meter = PrivacyMeter(split_of())
        meter.set_model(mlp())
        figures = meter.measure()
    finally:
        keras.config.set_dtype_policy("float32")
    assert np.isfinite(list(figures.values())).all()


def test_one_hot_labels_and_several_inputs():
    def pair(count, seed):
        x, y = records(count, seed=seed)
        return {"left": x, "right": x[:, :2]}, np.eye(CLASSES)[y]

    split = mpreg.MembershipSplit(pair(40, 0), None, pair(60, 1))
    inputs = {"left": keras.Input((FEATURES,), name="left"), "right": keras.Input((2,), name="right")}
    joined = layers.Concatenate()([inputs["left"], inputs["right"]])
    meter = PrivacyMeter(split)
    meter.set_model(keras.Model(inputs, layers.Dense(CLASSES, "softmax")(joined)))
    assert 0 <= meter.measure()["test_accuracy"] <= 1


class NoTrainingMode(keras.Model):
    def __init__(self):
        super().__init__()
        self.answer = layers.Dense(CLASSES, "softmax")

    def call(self, x):
        return self.answer(x)


def test_a_model_whose_call_has_no_training_mode():
    split = split_of()
    assert set(fit(compiled(NoTrainingMode()), split, PrivacyMeter(split)).history) >= FIGURES


def test_nan_answers_give_nan_figures_and_do_not_stop_training():
    split = split_of()
    model = compiled()
    model.set_weights([w * np.nan for w in model.get_weights()])
    history = fit(model, split, PrivacyMeter(split), epochs=2).history
    assert np.isnan(history["attack_accuracy"]).all()
    assert history["attack_records"] == [40, 40]


def test_a_wrapper_is_measured_as_its_target():
    split = split_of()
    target = mlp()
    wrapper = mpreg.AdversarialRegularization(target, records(seed=5), penalty=1.0)
    figures = []
    for model in (target, wrapper):
        meter = PrivacyMeter(split)
        meter.set_model(model)
        figures.append(meter.measure())
    assert figures[0] == figures[1]


# Cost.


def test_the_cost_is_its_share_of_the_epoch(monkeypatch):
    clock = iter(
        [0.0, 10.0, 15.0, 100.0, 120.0, 121.0, 200.0, 240.0, 246.0]
    )  # epoch begins, measures, is done
    monkeypatch.setattr("mpreg.callbacks.privacy_meter.time.perf_counter", lambda: next(clock))
    meter = PrivacyMeter(split_of())
    assert meter.cost == 0.0
    meter.set_model(mlp())
    meter.on_train_begin()
    logs = [{} for _ in range(3)]
    for epoch in range(3):
        meter.on_epoch_begin(epoch)
        meter.on_epoch_end(epoch, logs[epoch])
    assert [entry["privacy_meter_cost"] for entry in logs] == [0.5, 0.05, 0.15]
    assert meter.cost == pytest.approx(0.1)  # the first compiles, and is left out


# The Keras callbacks after it.


def test_csv_logger_has_every_column_in_every_row(tmp_path):
    split = split_of()
    path = tmp_path / "log.csv"
    fit(compiled(), split, PrivacyMeter(split, every=2), keras.callbacks.CSVLogger(path), epochs=4)
    rows = list(csv.DictReader(path.open()))
    assert len(rows) == 4
    for row in rows:
        assert set(row) >= FIGURES
        assert all(0 <= float(row[name]) <= 1 for name in FIGURES - {"attack_records", "privacy_meter_cost"})
    assert [float(row["privacy_meter_cost"]) > 0 for row in rows] == [True, True, False, True]


class Script(keras.callbacks.Callback):
    """Puts known figures where the meter's would be."""

    def __init__(self, meter, values):
        super().__init__()
        self.values = iter(values)
        meter.measure = lambda: {**dict.fromkeys(FIGURES, 0.0), "attack_accuracy": next(self.values)}


def test_early_stopping_stops_by_the_attack_and_is_never_short_of_a_figure():
    split = split_of()
    meter = PrivacyMeter(split, every=2)
    Script(meter, [0.9, 0.8, 0.7, 0.8, 0.8, 0.8, 0.8])  # measured in epochs 0, 1, 3, 5, ...: best in epoch 3
    stop = keras.callbacks.EarlyStopping("attack_accuracy", mode="min", patience=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = fit(compiled(), split, meter, stop, epochs=12).history
    assert len(history["loss"]) == 7


def test_model_checkpoint_keeps_the_epoch_that_leaks_least(tmp_path):
    split = split_of()
    meter = PrivacyMeter(split)
    Script(meter, [0.9, 0.6, 0.7])
    kept = []
    watch = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: kept.append(model.get_weights()))
    model = compiled()
    path = tmp_path / "best.keras"
    save = keras.callbacks.ModelCheckpoint(path, monitor="attack_accuracy", mode="min", save_best_only=True)
    fit(model, split, meter, save, watch, epochs=3)
    best = keras.saving.load_model(path)
    for mine, others in zip(best.get_weights(), kept[1], strict=True):
        np.testing.assert_array_equal(mine, others)


# TensorBoard.


def read(folder):
    """Tag -> list of (step, array), and tag -> plugin, of the event files in a folder."""
    found = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    values = {
        tag: [(event.step, tf.make_ndarray(event.tensor_proto)) for event in found.Tensors(tag)]
        for tag in found.Tags()["tensors"]
    }
    return values, {tag: found.SummaryMetadata(tag).plugin_data.plugin_name for tag in values}


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """Two fits of one meter beside Keras' own callback: the history of the first, and what is in the run."""
    folder = tmp_path_factory.mktemp("logs")
    split, model = split_of(), compiled(metrics=["accuracy"])
    meter = PrivacyMeter(split, every=2, log_dir=folder)
    board = keras.callbacks.TensorBoard(folder, write_graph=False)
    history = fit(model, split, meter, board, epochs=4, validation_data=split.nonmembers).history
    first = read(folder / "privacy")
    fit(model, split, meter, epochs=6, initial_epoch=4)
    return folder, history, first


def test_tensorboard_shows_the_figures(logged):
    folder, history, (values, plugins) = logged
    theirs, _ = read(folder / "train")
    steps, figures = zip(*theirs["epoch_attack_auc"], strict=True)
    assert steps == (0, 1, 2, 3)
    np.testing.assert_allclose(figures, history["attack_auc"], rtol=1e-6)
    assert {tag for tag, plugin in plugins.items() if plugin == "scalars"} == FIGURES
    for name in FIGURES:
        steps, figures = zip(*values[name], strict=True)
        assert steps == (0, 1, 3)  # only what was measured
        np.testing.assert_allclose(figures, np.array(history[name])[[0, 1, 3]], rtol=1e-6)


def test_it_has_a_run_of_its_own_beside_those_of_keras(logged):
    folder, _, _ = logged
    assert {path.name for path in folder.iterdir()} == {"train", "validation", "privacy"}


def test_the_layout_shows_scalars_that_are_there(logged):
    _, _, (values, plugins) = logged
    (tag,) = (tag for tag, plugin in plugins.items() if plugin == "custom_scalars")
    shown = layout_pb2.Layout.FromString(values[tag][0][1].item())
    charts = [chart for category in shown.category for chart in category.chart]
    for pattern in (pattern for chart in charts for pattern in chart.multiline.tag):
        assert any(re.fullmatch(pattern, name) for name in FIGURES), pattern
    for series in (series for chart in charts for series in chart.margin.series):
        assert {series.value, series.lower, series.upper} <= FIGURES


def test_histograms_count_every_record_at_every_measurement(logged):
    _, history, (values, plugins) = logged
    tags = {tag for tag, plugin in plugins.items() if plugin == "histograms"}
    assert len(tags) == 4
    for tag in tags:
        counted = {step: int(table[:, 2].sum()) for step, table in values[tag]}
        assert counted == dict.fromkeys((0, 1, 3), 40 if tag.endswith("/members") else 60)
    assert set(history["attack_records"]) == {40}


def test_precision_and_recall_each_measurement_and_the_roc_once(logged):
    _, _, (values, plugins) = logged
    (curve,) = (tag for tag, plugin in plugins.items() if plugin == "pr_curves")
    assert [step for step, _ in values[curve]] == [0, 1, 3]
    assert all(table[0, 0] == table[0, -1] + table[3, -1] == 40 for _, table in values[curve])
    pictures = {tag for tag, plugin in plugins.items() if plugin == "images"}
    assert pictures == {"ROC/linear", "ROC/log-log"}
    for tag in pictures:
        ((step, picture),) = values[tag]
        assert step == 3 and picture[2].startswith(b"\x89PNG")


def test_a_second_fit_goes_on_in_the_same_run(logged):
    folder, _, (before, _) = logged
    values, _ = read(folder / "privacy")
    assert set(values) == set(before)
    assert [step for step, _ in values["attack_auc"]] == [0, 1, 3, 4, 5]
    assert [step for step, _ in values["ROC/linear"]] == [3, 5]


def test_an_interrupted_fit_leaves_no_file_open_once_the_next_has_ended(tmp_path):
    split, model = split_of(), compiled()
    meter = PrivacyMeter(split, log_dir=tmp_path)

    def interrupt(epoch, logs):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(model, split, meter, keras.callbacks.LambdaCallback(on_epoch_end=interrupt))
    assert len(open_files(tmp_path)) == 1
    fit(model, split, meter, epochs=2, initial_epoch=1)
    assert open_files(tmp_path) == []
    values, _ = read(tmp_path / "privacy")
    assert [step for step, _ in values["attack_auc"]] == [0, 1]
    with pytest.raises(KeyboardInterrupt):
        fit(model, split, meter, keras.callbacks.LambdaCallback(on_epoch_end=interrupt))
    del meter
    gc.collect()
    assert open_files(tmp_path) == []


def open_files(folder):
    """Files in a folder that this process holds open."""
    held = (os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd"))
    return sorted(path for path in held if path.startswith(str(folder)))


def test_nan_answers_are_logged_too(tmp_path):
    split, model = split_of(), compiled()
    model.set_weights([w * np.nan for w in model.get_weights()])
    fit(model, split, PrivacyMeter(split, log_dir=tmp_path))
    values, plugins = read(tmp_path / "privacy")
    assert np.isnan(values["attack_accuracy"][0][1])
    assert set(plugins.values()) == {"scalars", "custom_scalars"}


def test_nothing_is_written_unless_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    split = split_of()
    fit(compiled(), split, PrivacyMeter(split))
    assert list(tmp_path.iterdir()) == []


# The door.


@pytest.mark.parametrize(
    ("options", "quoted"),
    [
        ({"every": 0}, "every=0"),
        ({"every": 1.5}, "every=1.5"),
        ({"every": True}, "every=True"),
        ({"records": 3}, "records=3"),
        ({"attacks": "weak"}, "'weak'"),
        ({"attacks": []}, "empty"),
    ],
)
def test_bad_options_are_quoted(options, quoted):
    with pytest.raises(ValueError, match=quoted):
        PrivacyMeter(split_of(), **options)


@pytest.mark.parametrize("log_dir", [5, True, ["logs"]])
def test_a_folder_that_is_no_path_is_quoted(log_dir):
    with pytest.raises(TypeError, match=re.escape(f"log_dir={log_dir!r}")):
        PrivacyMeter(split_of(), log_dir=log_dir)

"""What a `.keras` file's layers would take is known, and refused where it is absurd, before they take it."""

import json
import random
import zipfile
from collections import Counter

import keras
import numpy as np
import pytest
from keras import layers

import mpreg
from mpreg.audit.saved_model import load_model
from mpreg.classifiers import declared
from mpreg.classifiers.declared import check_declared

ABSURD = 10**10


def shared():
    twice, one, other = layers.Dense(5), keras.Input((5,)), keras.Input((5,))
    return keras.Model([one, other], layers.Dense(3)(twice(twice(one)) + twice(other)))


def nested():
    inner, given = keras.Sequential([keras.Input((8,)), layers.Dense(8)]), keras.Input((8,))
    return keras.Model(given, layers.Dense(2)(inner(inner(given))))


def built_late():
    model = keras.Sequential([layers.Dense(20), layers.Dense(3)])
    model(np.ones((2, 5)))
    return model


def dense(*, dtype=None, quantized=None, lora=None):
    first = layers.Dense(32, dtype=dtype)
    model = keras.Sequential([keras.Input((32,)), first, layers.Dense(3, dtype=dtype)])
    if quantized:
        model.quantize(quantized, filters="dense")
    if lora:
        first.enable_lora(lora)
    return model


def normalized():
    scaling = layers.Normalization(mean=np.zeros(4), variance=np.ones(4))
    return keras.Sequential([keras.Input((4,)), scaling, layers.SpectralNormalization(layers.Dense(2))])


def pictures():
    stack = [
        layers.Conv2D(4, 3),
        layers.BatchNormalization(),
        layers.Dropout(0.3),
        layers.SeparableConv2D(2, 3),
    ]
    return keras.Sequential([keras.Input((8, 8, 3)), *stack, layers.Flatten(), layers.Dense(3)])


def texts():
    stack = [
        layers.Embedding(50, 4),
        layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
        layers.GRU(2),
    ]
    return keras.Sequential([keras.Input((8,)), *stack, layers.Dense(3)])


MODELS = {
    "shared layers": shared,
    "a model in a model": nested,
    "built by its first call": built_late,
    "never built": lambda: keras.Sequential([layers.Dense(ABSURD)]),
    "half precision": lambda: dense(dtype="bfloat16"),
    "8 bits": lambda: dense(quantized="int8"),
    "4 bits": lambda: dense(quantized="int4"),
    "LoRA on 8 bits": lambda: dense(quantized="int8", lora=16),
    "normalized": normalized,
    "pictures": pictures,
    "texts": texts,
    "an output defence": lambda: mpreg.defend(dense(), mpreg.Rounding(1), from_logits=True),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built")
def test_it_declares_what_it_has_once_loaded(name, tmp_path):
    path = tmp_path / "model.keras"
    MODELS[name]().save(path)
    asked = []
    check = declared._declared
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(declared, "_declared", lambda config: asked.extend(check(config)) or asked)
        check_declared(path, 1 << 30)
    asked, has = Counter(asked), keras.saving.load_model(path).variables  # with the states of what draws
    has = Counter((tuple(each.shape), np.asarray(each).itemsize) for each in has)
    assert not has - asked
    if name != "texts":  # where Bidirectional makes two layers of one, which Keras builds too when it loads
        assert asked == has


def with_config(path, change):
    """Writes a `.keras` file of a small trained classifier, its config changed."""
    model = dense()
    model.compile("adam", "mse")
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(held["config.json"])
    change(config["config"]["layers"])
    held["config.json"] = json.dumps(config)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in held.items():
            archive.writestr(name, content)


def widened(units, *, says_shapes=True):
    def change(stack):
        stack[1]["config"]["units"] = units
        for layer in stack:
            if not says_shapes:
                layer.pop("build_config", None)

    return change


def embedding(stack):
    stack[1] = {"module": "keras.layers", "class_name": "Embedding", "registered_name": None}
    stack[1]["config"] = {"name": "dense", "input_dim": ABSURD, "output_dim": 8}


@pytest.mark.parametrize(
    "change",
    [widened(ABSURD), widened(ABSURD, says_shapes=False), embedding],
    ids=["units", "unsaid", "table"],
)
def test_a_layer_beyond_all_memory_is_refused_with_its_size(change, tmp_path):
    path = tmp_path / "absurd.keras"
    with_config(path, change)
    most = 8 << 30
    with pytest.raises(
        ValueError, match=r"weights, [\d,]+ bytes, the largest of shape .*10000000000.*more than 8,589"
    ):
        check_declared(path, most)
    with pytest.raises(ValueError, match="absurd.keras is refused: its layers declare .*weights"):
        load_model(path)


def test_weights_that_the_file_does_not_hold_are_refused(tmp_path):
    path = tmp_path / "hollow.keras"
    with_config(path, widened(100_000, says_shapes=False))
    with pytest.raises(ValueError, match=r"declare 3,600,003 weights, .*but it holds [\d,]+ bytes"):
        check_declared(path, 1 << 40)
    with pytest.raises(ValueError, match="is refused"):
        load_model(path)


def test_a_stack_refuses_it_too(tmp_path):
    with_config(tmp_path / "0.keras", widened(ABSURD))
    manifest = {"format": 1, "classes": 3, "consumes_reference": False, "seed": 0}
    manifest["parts"] = [{"kind": "keras", "from_logits": False}]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("stacking.json", json.dumps(manifest))
        archive.write(tmp_path / "0.keras", "0.keras")
    with pytest.raises(ValueError, match="its layers declare"):
        mpreg.Stacking.load(tmp_path / "a.zip")


def test_nothing_of_it_stays(tmp_path):
    """Neither a draw of Python's nor a weight that Keras would fill in later, at the end of another scope."""
    path = tmp_path / "absurd.keras"
    with_config(path, widened(ABSURD))
    before = random.getstate()
    with pytest.raises(ValueError):
        check_declared(path, 1 << 30)
    assert random.getstate() == before
    with keras.StatelessScope():  # its end fills in what is without values: no memory would do
        pass


def test_a_config_that_cannot_be_built_is_left_to_the_loader(tmp_path):
    path = tmp_path / "odd.keras"
    with_config(path, lambda stack: stack[1].update(class_name="Nonesuch"))
    check_declared(path, 1 << 30)
    with pytest.raises(ValueError, match="Nonesuch"):
        load_model(path)

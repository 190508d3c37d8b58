"""DP-SGD by kind of layer, beside plain training of the same model: embedding, attention, recurrent.

    python benchmarks/dpsgd_layers.py
    python benchmarks/dpsgd_layers.py --quick --json dpsgd_layers.json

`benchmarks/dpsgd.py` has the dense and the convolutional network. Small models on random sequences of 32 steps, batch
64, SGD. The ways of training take short turns, each is set against the plain turn of the same round, and the median
over the rounds counts. Tracing is left out.
"""

import dataclasses
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow reads it when it is imported

import keras
import numpy as np
from fits import Size, time_fit
from keras import layers
from rounds import (
    asked_size,
    machine,
    open_console,
    open_parser,
    print_setting,
    print_times_plain,
    take_turns,
    write_json,
)

import mpreg

BATCH, STEPS, FEATURES, WORDS, CLASSES = 64, 32, 32, 2_000, 10
PLAIN, OURS, NOISELESS = "plain fit", "DPSGD", "DPSGD, clipping alone"


def main(argv=None):
    """Runs the benchmark; returns the process's exit status."""
    options = open_parser(__doc__, quick="3 short rounds, for a first impression", rounds=11).parse_args(argv)
    size = asked_size(options, quick=Size(rounds=3, batches=3), full=Size(rounds=11, batches=15))
    result = {
        "machine": machine("tensorflow", "keras"),
        "size": dataclasses.asdict(size),
        "seconds_per_batch": {
            name: take_turns(lambda make=make: open_ways(make, size.batches), size.rounds)
            for name, make in MODELS.items()
        },
    }
    print_result(result)
    write_json(options.json, result)
    return 0


def embedding():
    """Word vectors, averaged."""
    words = keras.Input((STEPS,), dtype="int32")
    return _classifier(words, layers.GlobalAveragePooling1D()(layers.Embedding(WORDS, 64)(words)))


def attention():
    """A transformer's block on vectors: attention and a dense pair, each added and normalized."""
    x = keras.Input((STEPS, FEATURES))
    heads = layers.MultiHeadAttention(num_heads=4, key_dim=16)
    hidden = layers.LayerNormalization()(x + heads(x, x))
    widened = layers.Dense(FEATURES)(layers.Dense(4 * FEATURES, "gelu")(hidden))
    hidden = layers.LayerNormalization()(hidden + widened)
    return _classifier(x, layers.GlobalAveragePooling1D()(hidden))


def recurrent(layer):
    """A function that makes a model of one recurrent layer of 64 units."""

    def make():
        x = keras.Input((STEPS, FEATURES))
        return _classifier(x, layer(x))

    return make


def _classifier(given, hidden):
    return keras.Model(given, layers.Dense(CLASSES, "softmax")(hidden))


MODELS = {
    "embedding": embedding,
    "attention": attention,
    "LSTM": recurrent(lambda x: layers.LSTM(64)(x)),
    "GRU": recurrent(lambda x: layers.GRU(64)(x)),
    "bidirectional LSTM": recurrent(lambda x: layers.Bidirectional(layers.LSTM(32))(x)),
}


def open_ways(make, batches):
    """By name, a function that trains for a turn and returns its seconds per batch, warm from the start."""
    models = {
        PLAIN: make(),
        OURS: mpreg.DPSGD(make(), noise_multiplier=1.0, l2_norm_clip=1.0),
        NOISELESS: mpreg.DPSGD(make(), noise_multiplier=0.0, l2_norm_clip=1.0),
    }
    turn = random_sequences(models[PLAIN], (batches + 1) * BATCH)
    for model in models.values():
        model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        time_fit(model, turn, batch_size=BATCH)
    return {
        name: lambda model=model: time_fit(model, turn, batch_size=BATCH) for name, model in models.items()
    }


def random_sequences(model, count):
    """Random words or vectors, as the model takes them, and labels that follow no rule."""
    rng = np.random.default_rng(0)
    shape = (count, *model.input_shape[1:])
    words = model.inputs[0].dtype == "int32"
    x = rng.integers(0, WORDS, shape, np.int32) if words else rng.standard_normal(shape, np.float32)
    return x, rng.integers(0, CLASSES, count)


def print_result(result):
    """The tables, the machine and how to read them, on standard output."""
    console = open_console()
    for title, seconds in result["seconds_per_batch"].items():
        print_times_plain(console, title, seconds, PLAIN)
    size = result["size"]
    print_setting(
        console,
        f"{STEPS} steps, batch {BATCH}; medians over {size['rounds']} rounds of {size['batches']} batches.",
        result["machine"],
    )


if __name__ == "__main__":
    sys.exit(main())

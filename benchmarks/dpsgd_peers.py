"""Peers of `benchmarks/dpsgd.py`, in an interpreter of their own: Opacus, and tensorflow-privacy on Keras 2.

`benchmarks/dpsgd.py --peer PYTHON` starts it and asks for one turn at a time. It needs nothing of mpreg. First it
writes a line of JSON with what it can time, then, for each name on standard input, one with seconds per batch.
"""

import itertools
import json
import os
import sys
import time

os.environ["OMP_WAIT_POLICY"] = "passive"  # threads that wait must not take time from whose turn it is
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

OPTIONS = {"noise_multiplier": 1.0}


def main(model, batch, batches):
    """Opens what is installed and takes a turn whenever it is asked to."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not get among the answers
    ways, versions = {}, {}
    for open_peer in (open_opacus, open_tensorflow_privacy):
        try:
            version, more = open_peer(model, int(batch), int(batches))
        except ImportError:
            continue
        versions.update(version)
        ways.update(more)
    print(json.dumps({"ways": list(ways), "versions": versions}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(ways[line.strip()]()), file=answers, flush=True)


def open_opacus(model, batch, batches):
    """Versions, and plain PyTorch and Opacus' two ways of clipping."""
    import opacus
    import torch

    torch.set_num_threads(os.cpu_count())
    x, y = map(torch.from_numpy, records(model, batch * batches))
    x = x.permute(0, 3, 1, 2).contiguous() if x.ndim == 4 else x
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=batch)

    def open_way(mode):
        network = torch_network(model, torch.nn)
        optimizer, criterion = torch.optim.SGD(network.parameters(), 0.1), torch.nn.CrossEntropyLoss()
        if mode:
            made = opacus.PrivacyEngine().make_private(
                module=network,
                optimizer=optimizer,
                criterion=criterion,
                data_loader=loader,
                max_grad_norm=1.0,
                poisson_sampling=False,
                grad_sample_mode=mode,
                **OPTIONS,
            )
            network, optimizer = made[0], made[1]
            criterion = made[2] if mode == "ghost" else criterion

        def train(at):
            optimizer.zero_grad()
            rows = slice(at * batch, (at + 1) * batch)
            criterion(network(x[rows]), y[rows]).backward()
            optimizer.step()

        def turn():
            return timed(lambda: [train(at) for at in range(batches)], batches)

        turn()
        return turn

    modes = {"plain PyTorch": None, "Opacus, ghost": "ghost", "Opacus, hooks": "hooks"}
    versions = {"PyTorch": torch.__version__, "Opacus": opacus.__version__}
    return versions, {name: open_way(mode) for name, mode in modes.items()}


def torch_network(model, nn):
    """The network of `benchmarks/dpsgd.py`, before its softmax."""
    if model == "small CNN":
        convolutions = [
            part
            for pair in itertools.pairwise((3, 16, 32, 64))
            for part in (nn.Conv2d(*pair, 3, stride=2, padding=1), nn.ReLU())
        ]
        return nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(1024, 10))
    hidden = [
        part
        for pair in itertools.pairwise((600, 1024, 512, 256, 128))
        for part in (nn.Linear(*pair), nn.Tanh())
    ]
    return nn.Sequential(*hidden, nn.Linear(128, 100))


def open_tensorflow_privacy(model, batch, batches):
    """Versions, and plain Keras 2 and tensorflow-privacy's two ways of clipping: each record apart, or by norms."""
    import tensorflow as tf

    if [*map(int, tf.__version__.split(".")[:2])] > [2, 15]:
        raise ImportError("tensorflow-privacy's models need Keras 2, which TensorFlow has up to 2.15")
    import tensorflow_privacy as privacy
    from tensorflow_privacy.privacy.fast_gradient_clipping import layer_registry

    x, y = records(model, batch * batches)
    private = {"l2_norm_clip": 1.0, "use_xla": False, **OPTIONS}
    by_norms = {**private, "layer_registry": layer_registry.make_default_layer_registry()}
    makers = {
        "plain Keras 2 fit": tf.keras.Sequential,
        "DPSequential": lambda parts: privacy.DPSequential(layers=parts, **private),
    }
    if model == "tanh network":  # of convolutions it knows no norms
        makers["DPSequential, by norms"] = lambda parts: privacy.DPSequential(layers=parts, **by_norms)

    def open_way(make):
        network = make(keras_2_layers(model, tf.keras))
        loss = tf.keras.losses.SparseCategoricalCrossentropy()
        network.compile(tf.keras.optimizers.SGD(0.1), loss)
        steps = batches if make is tf.keras.Sequential else 1

        def turn():
            def train():
                network.fit(x[: steps * batch], y[: steps * batch], batch_size=batch, verbose=0)

            return timed(train, steps)

        turn()
        return turn

    versions = {"tensorflow-privacy": privacy.__version__, "its TensorFlow": tf.__version__}
    return versions, {name: open_way(make) for name, make in makers.items()}


def keras_2_layers(model, keras):
    """The layers of the network of `benchmarks/dpsgd.py`."""
    layers = keras.layers
    if model == "small CNN":
        convolutions = [
            layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu")
            for filters in (16, 32, 64)
        ]
        return [keras.Input((32, 32, 3)), *convolutions, layers.Flatten(), layers.Dense(10, "softmax")]
    hidden = [layers.Dense(units, "tanh") for units in (1024, 512, 256, 128)]
    return [keras.Input((600,)), *hidden, layers.Dense(100, "softmax")]


def records(model, count):
    """Random records and labels that follow no rule."""
    rng = np.random.default_rng(0)
    shape, classes = ((32, 32, 3), 10) if model == "small CNN" else ((600,), 100)
    return rng.normal(size=(count, *shape)).astype("float32"), rng.integers(0, classes, count)


def timed(work, batches):
    """Seconds per batch, by the clocks of `rounds.py`."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return {
        "wall": (time.perf_counter() - wall) / batches,
        "processor": (time.process_time() - processor) / batches,
    }


if __name__ == "__main__":
    main(*sys.argv[1:])

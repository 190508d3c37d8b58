"""Peers of `benchmarks/dpsgd.py`: Opacus, jax-privacy, tensorflow-privacy on Keras 2, each in its own interpreter.

`benchmarks/dpsgd.py --peer NAME=PYTHON` starts it; `serving.py` says how they talk. Ways that compute each record's
gradient take one batch a turn, for it may last ten seconds.
"""

import importlib.metadata
import itertools
import os
import sys

os.environ["OMP_WAIT_POLICY"] = "passive"  # threads that wait must not take time from whose turn it is
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from serving import serve, timed

OPTIONS = {"noise_multiplier": 1.0}


def open_opacus(model, batch, batches):
    """Versions, and plain PyTorch and Opacus' two ways of clipping."""
    import opacus
    import torch

    batch, batches = int(batch), int(batches)
    torch.set_num_threads(os.cpu_count())
    x, y = map(torch.from_numpy, records(model, batch * batches))
    x = x.permute(0, 3, 1, 2).contiguous() if x.ndim == 4 else x
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=batch)

    def open_way(mode):
        steps = 1 if mode == "hooks" else batches
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
            return timed(lambda: [train(at) for at in range(steps)], steps)

        turn()
        return turn

    modes = {"plain PyTorch": None, "Opacus, ghost": "ghost", "Opacus, hooks": "hooks"}
    versions = {"PyTorch": torch.__version__, "Opacus": opacus.__version__}
    return versions, {name: open_way(mode) for name, mode in modes.items()}, {}


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


def open_jax_privacy(model, batch, batches):
    """Versions, and plain JAX and jax-privacy's clipping of each record's gradient, compiled steps."""
    import jax
    import jax_privacy
    import optax

    batch, batches = int(batch), int(batches)
    x, y = map(jax.numpy.asarray, records(model, batch * batches))
    optimizer = optax.sgd(0.1)

    def loss(parameters, x, y):
        logits = jax_network(model, jax, parameters, x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    def open_way(gradient, noise, steps):
        @jax.jit
        def step(state, x, y):
            parameters, noise_state = state
            change, noise_state = noise.update(gradient(parameters, x, y), noise_state)
            updates, _ = optimizer.update(change, optimizer.init(parameters))
            return optax.apply_updates(parameters, updates), noise_state

        parameters = jax_parameters(model)

        def train():
            state = parameters, noise.init(parameters)
            for at in range(steps):
                rows = slice(at * batch, (at + 1) * batch)
                state = step(state, x[rows], y[rows])
            jax.block_until_ready(state)

        train()
        return lambda: timed(train, steps)

    options = {"l2_clip_norm": 1.0, "batch_argnums": (1, 2), "normalize_by": float(batch)}
    privatizer = jax_privacy.noise_addition.gaussian_privatizer(
        stddev=OPTIONS["noise_multiplier"] / batch, prng_key=jax.random.key(0)
    )
    ways = {
        "plain JAX": open_way(jax.grad(loss), optax.identity(), batches),
        "jax-privacy": open_way(jax_privacy.clipped_grad(loss, **options), privatizer, 1),
    }
    return {"jax": jax.__version__, "jax-privacy": importlib.metadata.version("jax-privacy")}, ways, {}


def jax_parameters(model):
    """Kernels and biases of the network of `benchmarks/dpsgd.py`."""
    rng = np.random.default_rng(0)
    if model == "small CNN":
        shapes = [(3, 3, *pair) for pair in itertools.pairwise((3, 16, 32, 64))] + [(1024, 10)]
    else:
        shapes = list(itertools.pairwise((600, 1024, 512, 256, 128, 100)))
    return [
        (rng.normal(scale=0.05, size=shape).astype("float32"), np.zeros(shape[-1], "float32"))
        for shape in shapes
    ]


def jax_network(model, jax, parameters, x):
    """The network of `benchmarks/dpsgd.py`, before its softmax."""
    *hidden, (kernel, bias) = parameters
    for each, shift in hidden:
        if model == "small CNN":
            kinds = ("NHWC", "HWIO", "NHWC")
            x = jax.lax.conv_general_dilated(x, each, (2, 2), "SAME", dimension_numbers=kinds)
            x = jax.nn.relu(x + shift)
        else:
            x = jax.numpy.tanh(x @ each + shift)
    return x.reshape(len(x), -1) @ kernel + bias


def open_tensorflow_privacy(model, batch, batches):
    """Versions, and plain Keras 2 and tensorflow-privacy's two ways of clipping: each record apart, or by norms."""
    import tensorflow as tf

    batch, batches = int(batch), int(batches)
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
    return versions, {name: open_way(make) for name, make in makers.items()}, {}


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


PEERS = {
    "opacus": open_opacus,
    "tensorflow-privacy": open_tensorflow_privacy,
    "jax-privacy": open_jax_privacy,
}

if __name__ == "__main__":
    serve(PEERS, *sys.argv[1:])

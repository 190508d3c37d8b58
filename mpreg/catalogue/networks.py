"""Networks by name: those of the papers, and small ones, sized for two cores."""

import dataclasses
from collections.abc import Callable

import keras
from keras import layers

from mpreg import networks
from mpreg.catalogue.registries import NETWORKS


@dataclasses.dataclass(frozen=True, kw_only=True)
class Network:
    """A network that settings name.

    Attributes:
        name: as settings take it.
        build: function `(record shape, classes, seed)` of a Keras classifier with softmax answers.

    Example:
    ```python
    mpreg.catalogue.register(Network(name="my-mlp", build=table(my_mlp)))
    ```
    """

    name: str
    build: Callable

    def __post_init__(self):
        if not callable(self.build):
            raise ValueError(
                f"build of the network {self.name!r} must be a function (record shape, classes, seed). "
                f"Received: {self.build!r}"
            )


def table(build):
    """A `Network.build` of a builder `(features=, classes=, seed=)` for records of one axis."""
    return lambda shape, classes, seed: build(features=shape[0], classes=classes, seed=seed)


def images(build):
    """A `Network.build` of a builder `(input_shape=, classes=, seed=)` for images."""
    return lambda shape, classes, seed: build(input_shape=shape, classes=classes, seed=seed)


def network_of(network):
    """The function that a name in `NETWORKS` stands for; a function stands for itself.

    Raises:
        ValueError: an unknown name; the message lists those there are.
    """
    if callable(network):
        return network
    if network not in NETWORKS:
        raise ValueError(f"network must be one of {', '.join(NETWORKS)}. Received: {network!r}")
    return NETWORKS[network].build


def small_mlp(*, features, classes, seed, dropout=0.0):
    """ReLU 256, with dropout where asked: what an engineer would train on a few hundred records."""
    keras.utils.set_random_seed(seed)
    hidden = [layers.Dense(256, "relu"), layers.Dropout(dropout)]
    return keras.Sequential([keras.Input((features,)), *hidden, layers.Dense(classes, "softmax")])


def mlp_128(*, features, classes, seed, activation):
    """One hidden layer of 128 units."""
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [keras.Input((features,)), layers.Dense(128, activation), layers.Dense(classes, "softmax")]
    )


def tanh_mlp(*, features, classes, seed):
    """One hidden layer of 128 tanh units, as in Shokri et al., S&P 2017."""
    return mlp_128(features=features, classes=classes, seed=seed, activation="tanh")


def relu_mlp(*, features, classes, seed):
    """One hidden layer of 128 ReLU units, as in Salem et al., NDSS 2019."""
    return mlp_128(features=features, classes=classes, seed=seed, activation="relu")


def small_cnn(*, input_shape, classes, seed):
    """Two strided convolutions and a dense layer: sized so that two cores train a score of them."""
    keras.utils.set_random_seed(seed)
    stack = [keras.Input(input_shape)]
    stack += [layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu") for filters in (32, 64)]
    stack += [layers.Flatten(), layers.Dense(64, "relu"), layers.Dense(classes, "softmax")]
    return keras.Sequential(stack)


def tanh_cnn(*, input_shape, classes, seed):
    """Three strided convolutions, each behind a group normalization, for private training."""
    keras.utils.set_random_seed(seed)
    stack = [keras.Input(input_shape)]
    for filters in (16, 32, 64):
        stack += [
            layers.Conv2D(filters, 3, strides=2, padding="same"),
            layers.GroupNormalization(8),
            layers.Activation("tanh"),
        ]
    return keras.Sequential([*stack, layers.Flatten(), layers.Dense(classes, "softmax")])


_TABLES = (networks.location_mlp, networks.purchase_mlp, networks.texas_mlp, small_mlp, tanh_mlp, relu_mlp)
_IMAGES = (networks.alexnet_cifar, networks.densenet_bc, networks.resnet20, small_cnn, tanh_cnn)

FAMILY = (
    *(Network(name=build.__name__, build=table(build)) for build in _TABLES),
    *(Network(name=build.__name__, build=images(build)) for build in _IMAGES),
)

"""Dropout: a model rebuilt so that its fully connected layers train on randomly thinned inputs."""

import dataclasses
import itertools
from typing import Any

import keras
import numpy as np

from mpreg._validate import check_count, check_number
from mpreg.classifiers.rebuild.copying import Copier

FULLY_CONNECTED = (keras.layers.Dense, keras.layers.EinsumDense)
# A Dropout in front of these is one for the layer behind them: a second would drop twice.
PASSING = (
    keras.layers.Activation,
    keras.layers.BatchNormalization,
    keras.layers.ELU,
    keras.layers.Flatten,
    keras.layers.LayerNormalization,
    keras.layers.LeakyReLU,
    keras.layers.Permute,
    keras.layers.ReLU,
    keras.layers.Reshape,
)


def with_dropout(model: Any, rate: float, *, inputs: Any = False, seed: int = 0) -> Any:
    """Rebuilds a model with dropout before each fully connected layer.

    Hidden values that enter a Dense (or EinsumDense) layer are dropped: those of hidden Dense layers after their
    activation and normalization, the flattened or pooled features of convolutions, the states of recurrent layers.
    Never dropped are what leaves the last layer, feature maps between convolutions, and what lies inside of
    attention, of wrapped models and of layers of your own.

    A `Dropout` layer that is already on the way, with nothing but activation, normalization or reshaping behind
    it, keeps its place and takes the new rate, so a second call has the last word. Others, such as those between
    convolutions, keep theirs.

    The result is a plain Keras model of the same layer names, weights and random states, which predicts alike;
    the model given is not changed. If that one is compiled so is the result, alike, with a new optimizer.

    Args:
        model: a built Sequential or functional `keras.Model`; models and shared layers within it are kept. A nested
            model called several times is rebuilt for the first call.
        rate: share of the values dropped, in [0, 1); 0.5 in the paper.
        inputs: whether to drop also the model's inputs that enter a fully connected layer, themselves or
            normalized, as the paper does.
        seed: whole number from which the masks are drawn.

    Returns:
        A `keras.Model` of the same kind.

    Raises:
        ValueError: `rate` or `seed` out of range; a model or a layer that cannot be rebuilt; no place for dropout.

    Example:
    ```python
    model = mpreg.with_dropout(target, 0.5)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(*split.members, epochs=30)
    ```

    Source: Salem, Zhang, Humbert, Berrang, Fritz and Backes, "ML-Leaks: Model and Data Independent Membership
    Inference Attacks and Defenses on Machine Learning Models", NDSS 2019, the section on dropout.
    """
    rate = check_number("rate", rate, least=0, below=1, what="a share in [0, 1), 0 for none")
    check_count("seed", seed, 0)
    copier = _Thinner(rate, inputs=inputs, seed=seed)
    copy = copier.rebuild(model)
    if not copier.thinned:
        raise ValueError(
            "no hidden values of the model enter a fully connected layer, so there is nothing to drop. "
            f"inputs=True drops its inputs. Received: {model.name!r}"
        )
    return copy


@dataclasses.dataclass(frozen=True)
class _Way:
    """What a tensor has come through: whether weights made it, and the Dropout that it comes from, if any."""

    hidden: bool
    dropout: keras.layers.Dropout | None = None


class _Thinner(Copier):
    """Puts Dropout in front of the fully connected layers of the models that it copies."""

    def __init__(self, rate, *, inputs, seed):
        super().__init__()
        self._rate = rate
        self._seeds = np.random.default_rng(seed)
        self._entry = _Way(hidden=bool(inputs))  # of the inputs of the model that is being copied
        self._exits = {}  # id of a model that was copied: the way of its outputs
        self._ways = {}  # id of a symbolic tensor: the tensor, which must live as long as its id, and its way
        self._dropouts = {}  # id of a fully connected layer: the Dropout put in front of it
        self._taken = set()  # names of layers
        self.thinned = 0  # places with dropout

    def copy_model(self, model):
        self._taken.update(layer.name for layer in model.layers)
        copy = super().copy_model(model)
        if id(model) not in self._exits:
            self._exits[id(model)] = self._join(copy.outputs)
        return copy

    def chain(self, model):
        way, copies = self._entry, []
        for layer in model.layers:
            dropout = self._thin(layer, way)
            copy = self._copy_behind(way, layer)
            copies += [copy] if dropout is None else [dropout, copy]
            way = self._beyond(layer, copy, way)
        self._exits[id(model)] = way
        return copies

    def call(self, layer, *args, **kwargs):
        way = self._join(keras.tree.flatten((args, kwargs)))
        dropout = self._thin(layer, way)
        if dropout is not None:
            args, kwargs = keras.tree.map_structure(
                lambda value: dropout(value) if keras.backend.is_keras_tensor(value) else value,
                (args, kwargs),
            )
        copy = self._copy_behind(way, layer)
        outputs = copy(*args, **kwargs)
        beyond = self._beyond(layer, copy, way)
        for tensor in keras.tree.flatten(outputs):
            self._ways[id(tensor)] = (tensor, beyond)
        return outputs

    def _join(self, values):
        """The way of what several values are merged into; those that are not symbolic tensors do not count."""
        tensors = [value for value in values if keras.backend.is_keras_tensor(value)]
        ways = [self._ways[id(tensor)][1] if id(tensor) in self._ways else self._entry for tensor in tensors]
        return ways[0] if len(ways) == 1 else _Way(hidden=any(way.hidden for way in ways))

    def _copy_behind(self, way, layer):
        """The copy of a layer that has a way before it, which for a model decides about its first layers."""
        outer, self._entry = self._entry, way
        try:
            return self.copy(layer)
        finally:
            self._entry = outer

    def _thin(self, layer, way):
        """The Dropout to put in front of a layer, or None where none belongs or one is already on the way."""
        if not (way.hidden and isinstance(_unwrapped(layer), FULLY_CONNECTED)):
            return None
        self.thinned += 1
        if way.dropout is not None:
            way.dropout.rate = self._rate
            return None
        if id(layer) not in self._dropouts:
            self._dropouts[id(layer)] = keras.layers.Dropout(
                self._rate,
                seed=int(self._seeds.integers(2**31)),
                name=self._free_name(f"{layer.name}_dropout"),
                dtype=layer.dtype_policy,
            )
        return self._dropouts[id(layer)]

    def _beyond(self, layer, copy, way):
        """The way of a layer's outputs."""
        if isinstance(layer, keras.Model):
            return self._exits[id(layer)]
        # A Dropout made with a rate of 0 has no random state, so it could not start to drop.
        if type(layer) is keras.layers.Dropout and hasattr(copy, "seed_generator"):
            return dataclasses.replace(way, dropout=copy)
        if isinstance(layer, PASSING):
            return way
        # Vectors scale and shift; hidden values come of matrices.
        return _Way(way.hidden or any(len(weight.shape) > 1 for weight in getattr(layer, "weights", ())))

    def _free_name(self, name):
        numbered = (f"{name}_{i}" for i in itertools.count(1))
        free = next(each for each in itertools.chain([name], numbered) if each not in self._taken)
        self._taken.add(free)
        return free


def _unwrapped(layer):
    """The layer within wrappers such as TimeDistributed."""
    while isinstance(layer, keras.layers.Wrapper):
        layer = layer.layer
    return layer

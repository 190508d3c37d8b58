"""Target models: the classifiers that the papers attack and defend.

Every function returns a built functional `keras.Model` made of Keras' own parts only, so that it saves,
loads and serves without mpreg. Images are channels-last. The same `seed` gives the same weights, and
`logits` changes the last activation and nothing else.
"""

import numbers
from typing import Any

import keras
import numpy as np
from keras import layers

from mpreg._validate import check_count, check_number

CLASSES = "an integer of at least 2"


def purchase_mlp(*, features: Any = 600, classes: int = 100, logits: bool = False, seed: int = 0):
    """Builds the tanh 1024-512-256-128 classifier of Purchase100.

    Args:
        features: length of a record, at least 1; the input is `(batch, features)`.
        classes: width of the output `(batch, classes)`, at least 2.
        logits: whether to leave out the softmax at the end.
        seed: non-negative integer from which all initial weights are drawn.

    Raises:
        ValueError: if `features`, `classes` or `seed` is out of range.

    Example:
        >>> from mpreg.networks import purchase_mlp
        >>> purchase_mlp(features=20, classes=5).output_shape
        (None, 5)

    Paper: Nasr, Shokri and Houmansadr, "Machine Learning with Membership Privacy using Adversarial
    Regularization", CCS 2018, experiments on Purchase100; the widths are those of its published code.
    """
    return _mlp("purchase_mlp", "tanh", features, classes, logits, seed)


def texas_mlp(*, features: Any = 6169, classes: int = 100, logits: bool = False, seed: int = 0):
    """Builds the tanh 1024-512-256-128 classifier of Texas100: that of Purchase100 on wider records.

    Arguments and errors: as for `purchase_mlp`, with other defaults.

    Example:
        >>> from mpreg.networks import texas_mlp
        >>> texas_mlp(features=30).output_shape
        (None, 100)

    Paper: Nasr, Shokri and Houmansadr, "Machine Learning with Membership Privacy using Adversarial
    Regularization", CCS 2018, experiments on Texas100; the widths are those of its published code.
    """
    return _mlp("texas_mlp", "tanh", features, classes, logits, seed)


def location_mlp(*, features: Any = 446, classes: int = 30, logits: bool = False, seed: int = 0):
    """Builds the ReLU 1024-512-256-128 classifier of Location30.

    Arguments and errors: as for `purchase_mlp`, with other defaults.

    Example:
        >>> from mpreg.networks import location_mlp
        >>> location_mlp().output_shape
        (None, 30)

    Paper: Jia, Salem, Backes, Zhang and Gong, "MemGuard: Defending against Black-Box Membership Inference
    Attacks via Adversarial Examples", CCS 2019, target classifiers of the experimental setup.
    """
    return _mlp("location_mlp", "relu", features, classes, logits, seed)


def alexnet_cifar(*, input_shape: Any = (32, 32, 3), classes: int = 100, logits: bool = False, seed: int = 0):
    """Builds the AlexNet for CIFAR: convolutions 64-192-384-256-256, then one dense layer.

    Args:
        input_shape: (height, width, channels) of an image, at least 29 pixels a side.
        classes: width of the output `(batch, classes)`, at least 2.
        logits: whether to leave out the softmax at the end.
        seed: non-negative integer from which all initial weights are drawn.

    Raises:
        ValueError: if `input_shape` has another length or is too small, or `classes` or `seed` is out of
            range.

    Example:
        >>> from mpreg.networks import alexnet_cifar
        >>> alexnet_cifar(classes=10).count_params()
        2472266

    Paper: Nasr, Shokri and Houmansadr, "Machine Learning with Membership Privacy using Adversarial
    Regularization", CCS 2018, experiments on CIFAR100; the layers are those of its published code.
    """
    # The first convolution and the three poolings divide a side by 32: less than 29 pixels leave nothing.
    input_shape = _checked_images(input_shape, smallest=29)
    classes = check_count("classes", classes, 2, what=CLASSES)
    seeds = _seeds(seed)

    def conv(filters, size, **options):
        kernel = keras.initializers.GlorotUniform(seed=next(seeds))
        return layers.Conv2D(filters, size, activation="relu", kernel_initializer=kernel, **options)

    inputs = keras.Input(input_shape)
    # Keras' "same" would pad 3 pixels before and 4 after; the paper's network pads 5 on each side.
    x = conv(64, 11, strides=4)(layers.ZeroPadding2D(5)(inputs))
    x = layers.MaxPooling2D(2)(x)
    x = conv(192, 5, padding="same")(x)
    x = layers.MaxPooling2D(2)(x)
    for filters in (384, 256, 256):
        x = conv(filters, 3, padding="same")(x)
    x = layers.Flatten()(layers.MaxPooling2D(2)(x))
    kernel = keras.initializers.GlorotUniform(seed=next(seeds))
    outputs = _classifier(classes, logits, kernel_initializer=kernel)(x)
    return keras.Model(inputs, outputs, name="alexnet_cifar")


def resnet20(
    *,
    input_shape: Any = (32, 32, 3),
    classes: int = 100,
    weight_decay: float = 0.0,
    logits: bool = False,
    seed: int = 0,
):
    """Builds the ResNet-20 for CIFAR: three stages of three residual blocks, 16-32-64 channels wide.

    Shortcuts have no parameters (the paper's option A): where a stage halves the image and doubles the
    channels, they take every second pixel and add channels of zeros.

    Args:
        input_shape: (height, width, channels) of an image.
        classes: width of the output `(batch, classes)`, at least 2.
        weight_decay: the d of an added loss d/2 · ‖w‖² over all kernels, so that plain SGD shrinks them by
            d · learning rate a step as in the paper, which uses 1e-4. Biases and batch norms are free.
        logits: whether to leave out the softmax at the end.
        seed: non-negative integer from which all initial weights are drawn.

    Raises:
        ValueError: if `input_shape` has another length, or `classes`, `weight_decay` or `seed` is out of
            range.

    Example:
        >>> from mpreg.networks import resnet20
        >>> model = resnet20(classes=10, weight_decay=1e-4)
        >>> sum(weight.shape.num_elements() for weight in model.trainable_variables)
        269722

    Paper: He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2.
    """
    input_shape = _checked_images(input_shape, smallest=1)
    classes = check_count("classes", classes, 2, what=CLASSES)
    check_number("weight_decay", weight_decay, least=0)
    seeds = _seeds(seed)

    def kernel_options():
        return {
            "kernel_initializer": keras.initializers.HeNormal(seed=next(seeds)),
            "kernel_regularizer": keras.regularizers.L2(weight_decay / 2) if weight_decay else None,
        }

    def conv_norm(x, filters, strides=1):
        if strides == 1:
            x = layers.Conv2D(filters, 3, padding="same", use_bias=False, **kernel_options())(x)
        else:
            # Keras' "same" would pad the far side only and centre on pixels that the shortcut skips.
            x = layers.ZeroPadding2D(1)(x)
            x = layers.Conv2D(filters, 3, strides=strides, use_bias=False, **kernel_options())(x)
        return _batch_norm()(x)

    inputs = keras.Input(input_shape)
    x = layers.ReLU()(conv_norm(inputs, 16))
    for filters in (16, 32, 64):
        for _ in range(3):
            strides = 1 if x.shape[-1] == filters else 2
            residual = layers.ReLU()(conv_norm(x, filters, strides))
            residual = conv_norm(residual, filters)
            x = layers.ReLU()(layers.Add()([_shortcut(x, filters), residual]))
    x = layers.GlobalAveragePooling2D()(x)
    outputs = _classifier(classes, logits, **kernel_options())(x)
    return keras.Model(inputs, outputs, name="resnet20")


def densenet_bc(
    *,
    input_shape: Any = (32, 32, 3),
    classes: int = 100,
    depth: int = 100,
    growth: int = 12,
    dropout: float = 0.0,
    logits: bool = False,
    seed: int = 0,
):
    """Builds the DenseNet-BC for CIFAR: three dense blocks of bottlenecks, compressed by half in between.

    Args:
        input_shape: (height, width, channels) of an image, at least 4 pixels a side.
        classes: width of the output `(batch, classes)`, at least 2.
        depth: number of layers with weights, 6n + 4 for n bottlenecks a block.
        growth: channels that each bottleneck adds (the paper's k), at least 1.
        dropout: share of the values dropped after each convolution but the first, in [0, 1). The paper
            uses 0.2 where it does not augment the data.
        logits: whether to leave out the softmax at the end.
        seed: non-negative integer from which all initial weights and dropout masks are drawn.

    Raises:
        ValueError: if `input_shape` has another length or is too small, `depth` is not 6n + 4, or `classes`,
            `growth`, `dropout` or `seed` is out of range.

    Example:
        >>> from mpreg.networks import densenet_bc
        >>> densenet_bc(depth=10, classes=10).output_shape
        (None, 10)

    Paper: Huang, Liu, van der Maaten and Weinberger, "Densely Connected Convolutional Networks", CVPR 2017,
    section 3, with the training details of section 4.2.
    """
    input_shape = _checked_images(input_shape, smallest=4)
    classes = check_count("classes", classes, 2, what=CLASSES)
    growth = check_count("growth", growth, 1)
    bottlenecks = _bottlenecks_per_block(depth)
    check_number("dropout", dropout, least=0, below=1, what="a share in [0, 1), 0 for none")
    seeds = _seeds(seed)

    def conv(x, filters, size, dropout=dropout):
        # One seed for both, so that dropout does not change which initial weights a seed gives.
        kernel_seed = next(seeds)
        kernel = keras.initializers.HeNormal(seed=kernel_seed)
        x = layers.Conv2D(filters, size, padding="same", use_bias=False, kernel_initializer=kernel)(x)
        return layers.Dropout(dropout, seed=kernel_seed)(x) if dropout else x

    inputs = keras.Input(input_shape)
    x = conv(inputs, 2 * growth, 3, dropout=0)
    for block in range(3):
        if block:
            x = conv(_norm_relu(x), x.shape[-1] // 2, 1)
            x = layers.AveragePooling2D(2)(x)
        for _ in range(bottlenecks):
            new = conv(_norm_relu(x), 4 * growth, 1)
            new = conv(_norm_relu(new), growth, 3)
            x = layers.Concatenate()([x, new])
    x = layers.GlobalAveragePooling2D()(_norm_relu(x))
    kernel = keras.initializers.HeNormal(seed=next(seeds))
    outputs = _classifier(classes, logits, kernel_initializer=kernel)(x)
    return keras.Model(inputs, outputs, name="densenet_bc")


def _mlp(name, activation, features, classes, logits, seed):
    features = check_count("features", features, 1)
    classes = check_count("classes", classes, 2, what=CLASSES)
    seeds = _seeds(seed)
    x = inputs = keras.Input((features,))
    for width in (1024, 512, 256, 128):
        kernel = keras.initializers.GlorotUniform(seed=next(seeds))
        x = layers.Dense(width, activation=activation, kernel_initializer=kernel)(x)
    kernel = keras.initializers.GlorotUniform(seed=next(seeds))
    outputs = _classifier(classes, logits, kernel_initializer=kernel)(x)
    return keras.Model(inputs, outputs, name=name)


def _classifier(classes, logits, **kernel_options):
    # Two classes get two outputs as well: attacks and defences read one score per class.
    return layers.Dense(classes, activation=None if logits else "softmax", **kernel_options)


def _shortcut(x, filters):
    """Pass `x` on, or take every second pixel and centre its channels among `filters` with zeros around."""
    missing = filters - x.shape[-1]
    if missing == 0:
        return x
    x = layers.AveragePooling2D(1, strides=2)(x)
    # Safe because an addition follows: TensorFlow's CPU graph optimizer takes any padding in front of a
    # convolution for one of pixels, and fails on channels.
    return keras.ops.pad(x, [(0, 0), (0, 0), (0, 0), (missing // 2, missing - missing // 2)])


def _batch_norm():
    # The papers' networks were trained with these; Keras' slower 0.99 lags behind in short trainings.
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)


def _norm_relu(x):
    return layers.ReLU()(_batch_norm()(x))


def _seeds(seed):
    """Return an endless iterator of initializer seeds that depends on `seed` alone.

    Layers of one shape need seeds of their own: a Keras initializer draws equal weights from equal seeds.
    """
    generator = np.random.default_rng(check_count("seed", seed, 0))
    return iter(lambda: int(generator.integers(2**31)), None)


def _bottlenecks_per_block(depth):
    if check_count("depth", depth, 10) % 6 != 4:
        raise ValueError(
            "depth must be 6n + 4 for n bottlenecks a block, such as 22, 40 or 100. "
            f"Received: depth={depth!r}"
        )
    return (depth - 4) // 6


def _checked_images(input_shape, smallest):
    sizes = tuple(input_shape) if isinstance(input_shape, (tuple, list)) else ()
    integers = all(isinstance(size, numbers.Integral) and not isinstance(size, bool) for size in sizes)
    if not (len(sizes) == 3 and integers and min(sizes[:2]) >= smallest and sizes[2] >= 1):
        raise ValueError(
            "input_shape must be (height, width, channels) without the batch, with at least "
            f"{smallest} pixel(s) a side and 1 channel. Received: input_shape={input_shape!r}"
        )
    return tuple(int(size) for size in sizes)

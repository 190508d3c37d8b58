"""Target networks: outputs, weights that follow the seed, published sizes, saving, compiling."""

import doctest
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from mpreg import networks
from mpreg.networks import targets

MLP_WIDTHS = (1024, 512, 256, 128)
# name -> (function, options that make it small)
SMALL = {
    "purchase": (networks.purchase_mlp, {"features": 12, "classes": 4}),
    "texas": (networks.texas_mlp, {"features": 9, "classes": 4}),
    "location": (networks.location_mlp, {"features": 7, "classes": 4}),
    "alexnet": (networks.alexnet_cifar, {"classes": 4}),
    "resnet": (networks.resnet20, {"input_shape": (8, 8, 3), "classes": 4}),
    "densenet": (networks.densenet_bc, {"input_shape": (8, 8, 3), "classes": 4, "depth": 10}),
}
FUNCTIONS = [function for function, _ in SMALL.values()]
IMAGE_FUNCTIONS = [networks.alexnet_cifar, networks.resnet20, networks.densenet_bc]


def build(name, **options):
    function, small = SMALL[name]
    return function(**{**small, **options})


def inputs_of(model, count=3):
    return np.random.default_rng(0).normal(size=(count, *model.input_shape[1:])).astype("float32")


def trainable_count(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_variables)


@pytest.fixture(scope="module", params=SMALL)
def pair(request):
    """The same network with probabilities and with logits, built once for the whole file."""
    return build(request.param), build(request.param, logits=True)


def test_output_is_a_distribution_over_the_classes(pair):
    model, _ = pair
    outputs = model(inputs_of(model)).numpy()
    assert model.output_shape == (None, 4)
    assert outputs.shape == (3, 4)
    assert np.all(outputs >= 0)
    np.testing.assert_allclose(outputs.sum(axis=1), 1, atol=1e-5)


def test_logits_are_the_same_network_before_its_softmax(pair):
    model, logits = pair
    x = inputs_of(model)
    assert model.layers[-1].activation is keras.activations.softmax
    assert logits.layers[-1].activation is keras.activations.linear
    np.testing.assert_allclose(keras.ops.softmax(logits(x)), model(x), atol=1e-6)


def test_the_same_seed_gives_the_same_weights(pair):
    for ours, theirs in zip(*(model.get_weights() for model in pair), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", ["purchase", "alexnet", "resnet"])
def test_another_seed_gives_other_kernels(name):
    first, second = build(name, seed=0), build(name, seed=1)
    for ours, theirs in zip(first.trainable_variables, second.trainable_variables, strict=True):
        assert np.array_equal(ours, theirs) == (ours.name != "kernel")


def test_layers_of_one_shape_start_apart(pair):
    kernels = [weight.numpy() for weight in pair[0].trainable_variables if weight.name == "kernel"]
    assert len({kernel.tobytes() for kernel in kernels}) == len(kernels)


def test_it_saves_and_reloads_in_safe_mode(pair, tmp_path):
    model, _ = pair
    x = inputs_of(model)
    model.save(tmp_path / "model.keras")
    reloaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_allclose(reloaded(x), model(x), atol=1e-6)


def test_it_is_made_of_keras_parts_only(pair):
    assert all(type(operation).__module__.startswith("keras.") for operation in pair[0].operations)


def test_a_clone_accepts_the_weights(pair):
    model, _ = pair
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_allclose(clone(inputs_of(model)), model(inputs_of(model)), atol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_it_runs_compiled(pair, jit_compile):
    model, _ = pair
    x = inputs_of(model)
    compiled = tf.function(model, jit_compile=jit_compile)
    np.testing.assert_allclose(compiled(x), model(x), atol=1e-5)


@pytest.mark.parametrize(
    "name", ["location", *(pytest.param(name, marks=pytest.mark.slow) for name in ("alexnet", "resnet"))]
)
def test_it_trains_under_jit_compile(name):
    model = build(name)
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=True)
    losses = model.fit(inputs_of(model, 4), np.arange(4), epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", ["purchase", "resnet"])
def test_two_classes_have_two_outputs(name):
    assert build(name, classes=2).output_shape == (None, 2)


@pytest.mark.parametrize(
    ("function", "features", "classes", "activation"),
    [
        (networks.purchase_mlp, 600, 100, "tanh"),
        (networks.texas_mlp, 6169, 100, "tanh"),
        (networks.location_mlp, 446, 30, "relu"),
    ],
)
def test_mlps_have_the_published_layers(function, features, classes, activation):
    model = function()
    sizes = (features, *MLP_WIDTHS, classes)
    assert model.count_params() == sum((a + 1) * b for a, b in itertools.pairwise(sizes))
    assert [layer.units for layer in model.layers[1:]] == list(sizes[1:])
    assert {layer.activation.__name__ for layer in model.layers[1:-1]} == {activation}


def test_alexnet_has_the_published_layers():
    model = networks.alexnet_cifar()
    convolutions = [(11, 3, 64), (5, 64, 192), (3, 192, 384), (3, 384, 256), (3, 256, 256)]
    expected = sum((size * size * fan_in + 1) * filters for size, fan_in, filters in convolutions)
    assert model.count_params() == expected + (256 + 1) * 100
    sides = [layer.output.shape[1] for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert sides == [8, 4, 2, 2, 2]


def test_alexnet_takes_the_smallest_image_it_says():
    assert networks.alexnet_cifar(input_shape=(29, 29, 1), classes=4).output_shape == (None, 4)


@pytest.mark.parametrize("classes", [10, 100])
def test_resnet20_has_the_published_size(classes):
    # The stem, then three stages of six 3x3 convolutions; a batch norm has two numbers a channel.
    stages = [(16, 16), (16, 32), (32, 64)]
    convolutions = 9 * 3 * 16 + sum(9 * (before * width + 5 * width**2) for before, width in stages)
    norms = 2 * 16 + sum(2 * 6 * width for _, width in stages)
    expected = convolutions + norms + (64 + 1) * classes
    assert trainable_count(networks.resnet20(classes=classes)) == expected
    if classes == 10:
        assert expected == 269_722  # He et al. 2016, table 6: 0.27M


def test_resnet20_shortcuts_subsample_pixels_and_centre_channels():
    model = build("resnet")
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for norm in norms[2::2]:  # the last norm of each block: without it, blocks are their shortcuts
        norm.gamma.assign(np.zeros(norm.gamma.shape))
    relus = [layer.output for layer in model.layers if isinstance(layer, keras.layers.ReLU)]
    stem, last = keras.Model(model.input, [relus[0], relus[-1]])(inputs_of(model))
    np.testing.assert_allclose(last[..., 24:40], stem[:, ::4, ::4], atol=1e-6)
    assert not np.any(last[..., :24])
    assert not np.any(last[..., 40:])


def test_resnet20_weight_decay_is_half_the_squared_kernels():
    model = build("resnet", weight_decay=0.1)
    kernels = [weight.numpy() for weight in model.trainable_variables if weight.name == "kernel"]
    expected = 0.05 * sum(np.sum(kernel**2) for kernel in kernels)
    np.testing.assert_allclose(sum(float(loss) for loss in model.losses), expected, rtol=1e-4)
    assert not build("resnet").losses


def densenet_count(depth, growth, classes):
    """Count the trainable numbers of DenseNet-BC by hand: kernels, two per channel of each norm, the head."""
    channels, total = 2 * growth, 9 * 3 * 2 * growth
    for block in range(3):
        if block:
            half = channels // 2
            total += 2 * channels + channels * half
            channels = half
        for _ in range((depth - 4) // 6):
            total += 2 * channels + channels * 4 * growth
            total += 2 * 4 * growth + 9 * 4 * growth * growth
            channels += growth
    return total + 2 * channels + (channels + 1) * classes


def test_densenet_bc_has_the_size_of_its_formula():
    assert trainable_count(build("densenet", depth=22, growth=5)) == densenet_count(22, 5, 4)


def test_densenet_bc_has_the_published_size():
    expected = densenet_count(100, 12, 10)
    assert expected == 769_162  # Huang et al. 2017, table 2: 0.8M
    assert trainable_count(networks.densenet_bc(classes=10)) == expected


def test_densenet_bc_drops_out_after_all_convolutions_but_the_first():
    plain, dropped = build("densenet"), build("densenet", dropout=0.2)
    for ours, theirs in zip(plain.trainable_variables, dropped.trainable_variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    convolutions = [layer for layer in dropped.layers if isinstance(layer, keras.layers.Conv2D)]
    dropouts = [layer for layer in dropped.layers if isinstance(layer, keras.layers.Dropout)]
    assert len(dropouts) == len(convolutions) - 1
    assert {layer.rate for layer in dropouts} == {0.2}
    assert not any(isinstance(layer, keras.layers.Dropout) for layer in plain.layers)
    np.testing.assert_allclose(plain(inputs_of(plain)), dropped(inputs_of(plain)), atol=1e-6)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("options", [{"classes": 1}, {"classes": 2.0}, {"seed": -1}, {"seed": None}])
def test_bad_classes_and_seeds_are_refused(function, options):
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=f"{name} must be .* Received: {name}={value}"):
        function(**options)


@pytest.mark.parametrize("function", FUNCTIONS[:3])
@pytest.mark.parametrize("features", [0, -3, 1.5, True])
def test_bad_features_are_refused(function, features):
    with pytest.raises(ValueError, match=f"features must be .* Received: features={features}"):
        function(features=features)


@pytest.mark.parametrize("function", IMAGE_FUNCTIONS)
@pytest.mark.parametrize("shape", [(32, 32), (None, 32, 32, 3), (32, None, 3), (0, 32, 3), (32, 32, 0), 32])
def test_bad_image_shapes_are_refused(function, shape):
    with pytest.raises(ValueError, match=r"input_shape must be .* Received: input_shape="):
        function(input_shape=shape)


@pytest.mark.parametrize(
    ("function", "options"),
    [
        (networks.alexnet_cifar, {"input_shape": (28, 28, 1)}),
        (networks.resnet20, {"weight_decay": -1e-4}),
        (networks.resnet20, {"weight_decay": float("nan")}),
        (networks.densenet_bc, {"input_shape": (3, 4, 3)}),
        (networks.densenet_bc, {"depth": 101}),
        (networks.densenet_bc, {"depth": 4}),
        (networks.densenet_bc, {"growth": 0}),
        (networks.densenet_bc, {"dropout": 1.0}),
    ],
)
def test_options_out_of_range_are_refused(function, options):
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=f"{name} must be ") as caught:
        function(**options)
    assert str(value) in str(caught.value)


def test_the_examples_run():
    results = doctest.testmod(targets)
    assert results.attempted >= len(SMALL)
    assert results.failed == 0

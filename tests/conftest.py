"""What tests of every room may ask for, and what is done after every file of them."""

import gc

import pytest

gc.set_threshold(50_000, 20, 20)  # a trace makes many objects, few of them garbage


@pytest.fixture(autouse=True, scope="module")
def _left_behind():
    """Lets the collector look at what a file left behind once, not again after every later file.

    TensorFlow keeps the graph of every `fit` for good (its registry of custom gradients), so that a full collection
    took up to a minute at the end of the whole suite.
    """
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture
def seeded():
    """Keras' global seed, set."""
    import keras  # some tests look at what is imported without it

    keras.utils.set_random_seed(1)

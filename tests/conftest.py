"""What tests of every room may ask for."""

import pytest


@pytest.fixture
def seeded():
    """Keras' global seed, set."""
    import keras  # some tests look at what is imported without it

    keras.utils.set_random_seed(1)

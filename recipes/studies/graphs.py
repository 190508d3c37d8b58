"""Letting go of the graphs of models that are trained, attacked and dropped, so that a long table fits in memory."""

import contextlib
import gc


@contextlib.contextmanager
def graphs_let_go():
    """Models that are trained inside and not kept leave nothing behind.

    TensorFlow registers each custom gradient that it traces, and Keras' optimizers trace one a training: its registry
    then keeps the graph of the training step for good, 30 MB of the Location network, even after
    `keras.backend.clear_session()`. What was registered inside is removed, so a model that is kept must not be
    differentiated again through a graph that was traced inside.
    """
    from tensorflow.python.framework import ops

    registry = getattr(
        getattr(ops, "gradient_registry", None), "_registry", {}
    )  # TensorFlow's own: may be renamed
    before = set(registry)
    try:
        yield
    finally:
        for name in set(registry) - before:
            if name.startswith("CustomGradient-"):
                del registry[name]
        gc.collect()

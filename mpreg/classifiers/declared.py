"""Tells how much a `.keras` file's layers would take before they take it, and refuses what the file does not hold."""

import concurrent.futures
import contextlib
import json
import math
import random
import re
import zipfile

import keras
from keras.src.backend.common.global_state import get_global_attribute
from keras.src.saving.serialization_lib import ObjectSharingScope


def check_declared(path, max_bytes):
    """That the layers of a `.keras` file declare no more weights than are allowed, and about as many as it holds.

    The config is built without values for its weights, so that nothing is allocated. What cannot be built is left to
    whoever loads it; the weights that come before it count.

    Args:
        path: of a `.keras` file, or a binary file of one.
        max_bytes: that all weights may take.

    Raises:
        ValueError: they would take more, or the file is far too small to hold them.

    Example:
    ```python
    check_declared("model.keras", max_bytes=8 << 30)
    ```
    """
    with zipfile.ZipFile(path) as archive:
        config = archive.read("config.json")
        held = sum(member.file_size for member in archive.infolist() if member.filename != "config.json")
    with concurrent.futures.ThreadPoolExecutor(1) as thread:  # what Keras keeps of it goes with the thread
        weights = thread.submit(_declared, config).result()
    numbers = sum(math.prod(shape) for shape, _ in weights)
    size = sum(math.prod(shape) * bytes_each for shape, bytes_each in weights)
    largest = max((shape for shape, _ in weights), key=math.prod, default=())
    declared = f"its layers declare {numbers:,} weights, {size:,} bytes, the largest of shape {largest}"
    if size > max_bytes:
        raise ValueError(f"{declared}: more than {max_bytes:,} bytes, half of this machine's memory")
    # A byte each at the least, but for what Keras makes anew, as the small matrices of LoRA: hence no sharper limit.
    if numbers > 8 * held:
        raise ValueError(
            f"{declared}, but it holds {held:,} bytes of them: it is not what model.save has written"
        )


def _declared(config):
    """Shapes of the weights that a config makes, and the bytes that each number of them takes."""
    drawn = random.getstate()  # initializers without a seed draw from it
    # A stranger's config may raise anything; to load it tells the reason in full.
    with (
        contextlib.suppress(Exception),
        ObjectSharingScope(),
        keras.StatelessScope(initialize_variables=False),
    ):
        config = json.loads(config) | {"compile_config": None}
        keras.saving.deserialize_keras_object(config, safe_mode=True)
    random.setstate(drawn)
    made = get_global_attribute("uninitialized_variables", [])
    return [(tuple(weight.shape), _bytes_of(weight.dtype)) for weight in made]


def _bytes_of(kind):
    bits = re.search(r"[0-9]+", str(kind))
    return max(1, int(bits[0]) // 8) if bits else 1

"""Augmentations: altered copies of records for attackers who query a record's neighbourhood."""

import functools
import itertools
from typing import Any

import numpy as np

from mpreg._validate import check_count, short_repr
from mpreg.data.records import flatten, map_arrays

SWAPPED = 0.25  # of a record's integers, for each standard deviation of noise


class ShiftsAndFlips:
    """Yields images shifted by up to `pixels` each way and mirrored; edges are repeated.

    Yields `2 * (2 * pixels + 1) ** 2 - 1` copies: all but the unaltered one.

    Source: Carlini et al., "Membership Inference Attacks From First Principles", S&P 2022, section VI-A;
    Choquette-Choo et al., "Label-Only Membership Inference Attacks", ICML 2021, section 4.

    Args:
        pixels: the farthest move, at least 0.

    Raises:
        ValueError: `pixels` below 0; when called, records that are not images of shape (n, height, width) or
            (n, height, width, channels).
    """

    def __init__(self, pixels: int = 1):
        check_count("pixels", pixels, 0)
        self.pixels = pixels

    def __call__(self, x: Any):
        for array in flatten(x):
            if not is_image(array):
                raise ValueError(
                    "only images, (n, height, width) or (n, height, width, channels), can be shifted. "
                    f"Received: records of shape {array.shape}"
                )
        moves = range(-self.pixels, self.pixels + 1)
        for mirror, down, right in itertools.product((False, True), moves, moves):
            if mirror or down or right:
                yield map_arrays(functools.partial(_moved, mirror=mirror, down=down, right=right), x)


class GaussianNoise:
    """Yields copies with normal noise, in standard deviations of each feature, several for each scale.

    Source: Choquette-Choo et al., "Label-Only Membership Inference Attacks", ICML 2021, section 4.

    Args:
        scales: standard deviations of the noise, as multiples of the feature's; each above 0.
        copies: number of copies a scale, at least 1.
        seed: of the noise.

    Raises:
        ValueError: no scales, or an argument out of range; when called, features that are not numbers.
    """

    def __init__(self, scales: Any = (0.2, 0.5), *, copies: int = 16, seed: int = 0):
        self.scales = _check_amounts("scales", scales, np.inf)
        check_count("copies", copies, 1)
        check_count("seed", seed, 0)
        self.copies, self.seed = copies, seed

    def __call__(self, x: Any):
        rng = np.random.default_rng(self.seed)
        _check_numbers(x)
        for scale in np.repeat(self.scales, self.copies):
            yield map_arrays(functools.partial(self._altered, scale=scale, rng=rng), x)

    def _altered(self, array, *, scale, rng):
        kind = array.dtype if array.dtype.kind == "f" else np.float32
        noise = rng.standard_normal(array.shape, np.float32)
        return (array + scale * array.std(axis=0, dtype=np.float64) * noise).astype(kind)


class NoiseOrSwaps(GaussianNoise):
    """Yields copies with normal noise, and of features stored as integers some swapped for those of other records.

    Integers may be codes, such as words: a number between two of them means nothing, and one beyond them stops a model
    that looks them up. The share that is swapped is a quarter of the scale of the noise. Images get noise all the same.

    Args, Raises: as for `GaussianNoise`.
    """

    def _altered(self, array, *, scale, rng):
        if array.dtype.kind == "f" or is_image(array):
            return super()._altered(array, scale=scale, rng=rng)
        drawn = rng.permuted(array, axis=0)
        return np.where(rng.random(array.shape, np.float32) < SWAPPED * scale, drawn, array)


class BitFlips:
    """Yields copies of binary features with bits flipped at random, several for each rate.

    Source: Choquette-Choo et al., "Label-Only Membership Inference Attacks", ICML 2021, section 4: Bernoulli
    noise.

    Args:
        rates: probabilities of turning a feature over, above 0 and at most 0.5.
        copies: number of copies a rate, at least 1.
        seed: of the noise.

    Raises:
        ValueError: no rates, or an argument out of range; when called, features that are not binary.
    """

    def __init__(self, rates: Any = (0.02, 0.05), *, copies: int = 16, seed: int = 0):
        self.rates = _check_amounts("rates", rates, 0.5)
        check_count("copies", copies, 1)
        check_count("seed", seed, 0)
        self.copies, self.seed = copies, seed

    def __call__(self, x: Any):
        rng = np.random.default_rng(self.seed)
        if not all(map(is_binary, flatten(x))):
            raise ValueError("BitFlips is for features of values 0 and 1. Use GaussianNoise for others")
        for rate in np.repeat(self.rates, self.copies):
            yield map_arrays(functools.partial(_turned, rate=rate, rng=rng), x)


def check_augment(augment):
    """Raises a `ValueError` unless the argument is None or a function."""
    if augment is not None and not callable(augment):
        raise ValueError(
            "augment must be a function of inputs that yields altered copies of them, or None. "
            f"Received: {short_repr(augment)}"
        )


def altered(augment, x):
    """Returns the altered copies that `augment` yields, at least one."""
    none = True
    for copies in augment(x):
        none = False
        yield copies
    if none:
        raise ValueError(
            f"augment must yield at least one altered copy. Received none from {short_repr(augment)}"
        )


def default_augmentation(x, *, seed=0):
    """Returns an augmentation: shifts for images, bit flips for binary features, swaps for integers, else noise."""
    arrays = flatten(x)
    if all(map(is_image, arrays)):
        return ShiftsAndFlips()
    if all(map(is_binary, arrays)):
        return BitFlips(seed=seed)
    return NoiseOrSwaps(seed=seed)


def is_image(array):
    """Returns whether records have at least a height and a width, as (n, height, width[, channels])."""
    return array.ndim in (3, 4)


def is_binary(array):
    """Returns whether all features are 0 or 1."""
    return array.dtype.kind in "biuf" and bool(((array == 0) | (array == 1)).all())


def _moved(images, *, mirror, down, right):
    height, width = (np.arange(size) for size in images.shape[1:3])
    rows = np.clip(height - down, 0, len(height) - 1)
    columns = np.clip(width - right, 0, len(width) - 1)
    return images[:, rows[:, None], columns[::-1] if mirror else columns]


def _turned(array, *, rate, rng):
    turned = rng.random(array.shape, np.float32) < rate
    return np.where(turned, array == 0, array).astype(array.dtype)


def _check_amounts(name, amounts, most):
    amounts = tuple(amounts)
    if not amounts or not all(0 < amount <= most and np.isfinite(amount) for amount in amounts):
        limit = "" if most == np.inf else f" and at most {most}"
        raise ValueError(f"{name} must be numbers above 0{limit}. Received: {name}={short_repr(amounts)}")
    return amounts


def _check_numbers(x):
    for array in flatten(x):
        if array.dtype.kind not in "biuf":
            raise ValueError(
                f"noise needs features that are numbers. Received: type {array.dtype}. Give a function of inputs "
                "that yields altered copies of them"
            )

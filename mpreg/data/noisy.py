"""Rough copies of real records."""

import numpy as np

from mpreg._validate import check_number
from mpreg.data.randomize import check_numbers, choose_features


def noisy(x, *, flip=0.1, seed=0):
    """Returns a noisy copy of real records, as an attacker with inexact knowledge of the population has.

    Of a record's features of two values 0 and 1, a share `flip` drawn at random is flipped; 0.1 and 0.2 are
    published. Other features get Gaussian noise of `flip` times the feature's standard deviation, and keep
    within the values seen; whole numbers stay whole.

    Source: Shokri et al., "Membership Inference Attacks Against Machine Learning Models", S&P 2017, section V-C,
    "noisy real data"; the noise on features of more values is ours.

    Args:
        x: records, numbers (n, ...).
        flip: share, from 0 to 1.
        seed: of the noise.

    Returns:
        An array like `x`.

    Raises:
        ValueError: `flip` out of range, or records that are not one array of numbers.

    Example:
    ```python
    x, y = noisy(attacker_x, flip=0.2), attacker_y
    ```
    """
    x = check_numbers(x)
    check_number("flip", flip, least=0, most=1, what="a share, from 0 to 1")
    rng = np.random.default_rng(seed)
    flat = x.reshape(len(x), -1)
    bits = np.isin(flat, (0, 1)).all(axis=0)
    rough = np.empty_like(flat)
    rough[:, ~bits] = _blurred(flat[:, ~bits], flip, rng)
    count = round(flip * bits.sum())
    rough[:, bits] = np.where(
        choose_features(np.full(len(x), count), bits.sum(), rng), 1 - flat[:, bits], flat[:, bits]
    )
    return rough.reshape(x.shape)


def _blurred(x, share, rng):
    blurred = x + share * x.std(axis=0) * rng.normal(size=x.shape)
    blurred = np.where((x == np.floor(x)).all(axis=0), np.rint(blurred), blurred)
    return np.clip(blurred, x.min(axis=0), x.max(axis=0)) if x.size else blurred

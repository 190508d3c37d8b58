"""Adaptive clipping: a clip norm that tracks a quantile of the gradient norms, privately."""

from typing import Any

import keras
import tensorflow as tf

from mpreg._validate import check_fraction, check_number


class FixedClip:
    """Uses the same clip norm at every step."""

    extra_noise = 0
    stability = 0.0

    def __init__(self, l2_norm_clip):
        self.initial = l2_norm_clip

    def gradient_noise(self, noise_multiplier):
        """Returns the noise multiplier of the gradients."""
        return noise_multiplier

    def get_config(self):
        return self.initial


@keras.saving.register_keras_serializable("mpreg")
class AdaptiveClip:
    """Adapts the clip norm to a quantile of the norms of per-example gradients.

    Each step counts, with noise, how many norms lie below the clip, and moves the clip by a factor towards the
    quantile. The count has noise of its own; so that both together cost what `noise_multiplier` says, the gradients
    get a little more: 1 / noise² = 1 / gradient_noise² + 1 / (2 count_noise)².

    Source: Andrew et al., "Differentially Private Learning with Adaptive Clipping", NeurIPS 2021, algorithm 1 and
    theorem 1.

    Args:
        initial: clip norm of the first step.
        quantile: share of the gradients that should not be clipped, strictly between 0 and 1.
        learning_rate: of the logarithm of the clip, above 0.
        count_noise: standard deviation of the noise of the count, in records; a twentieth of the batch is usual.

    Raises:
        ValueError: an option out of range.

    Example:
    ```python
    clip = mpreg.private.AdaptiveClip(initial=1.0, count_noise=12.8)
    model = mpreg.DPSGD(target, noise_multiplier=1.0, l2_norm_clip=clip)
    ```
    """

    extra_noise = 1
    stability = 0.0

    def __init__(
        self,
        initial: float = 1.0,
        *,
        quantile: float = 0.5,
        learning_rate: float = 0.2,
        count_noise: float = 10.0,
    ):
        for name, value in (
            ("initial", initial),
            ("learning_rate", learning_rate),
            ("count_noise", count_noise),
        ):
            check_number(name, value, above=0)
        check_fraction("quantile", quantile)
        self.initial, self.quantile, self.learning_rate = initial, quantile, learning_rate
        self.count_noise = count_noise

    def gradient_noise(self, noise_multiplier: float):
        """Returns the gradients' noise multiplier such that gradients and count together have `noise_multiplier`.

        Raises:
            ValueError: the count alone costs more than that.
        """
        if noise_multiplier == 0:
            return 0.0
        left = noise_multiplier**-2 - (2 * self.count_noise) ** -2
        if left <= 0:
            raise ValueError(
                f"count_noise must be above noise_multiplier / 2, or the count alone would cost the whole budget. "
                f"Received: count_noise={self.count_noise!r}, noise_multiplier={noise_multiplier!r}"
            )
        return left**-0.5

    def update(self, clip: Any, share: float):
        """Updates the variable `clip` from the noised mean of 1/2 for norms below the clip and -1/2 above it."""
        clip.assign(clip * tf.exp(-self.learning_rate * (share + 0.5 - self.quantile)))

    def get_config(self):
        return {
            "initial": self.initial,
            "quantile": self.quantile,
            "learning_rate": self.learning_rate,
            "count_noise": self.count_noise,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**config)

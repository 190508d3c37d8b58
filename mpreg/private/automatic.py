"""Automatic clipping: gradients are brought to one norm, so that there is no clip norm to tune."""

import keras

from mpreg._validate import check_number


@keras.saving.register_keras_serializable("mpreg")
class AutomaticClip:
    """Scales the gradient of each record to nearly the same norm, by `norm / (own norm + stability)`.

    No record adds more than `norm`, whatever its gradient, and small gradients are scaled up as large ones are scaled
    down. The norm then only multiplies the step, as the learning rate does: leave it at 1 and tune the rate alone.

    Source: Bu et al., "Automatic Clipping: Differentially Private Deep Learning Made Easier and Stronger", NeurIPS
    2023, AUTO-S.

    Args:
        norm: what the norms are brought to, above 0.
        stability: norm of a gradient that is brought to half of `norm`, above 0; smaller ones stay smaller still.

    Raises:
        ValueError: an option out of range.

    Example:
    ```python
    model = mpreg.DPSGD(target, noise_multiplier=1.0, l2_norm_clip=mpreg.private.AutomaticClip())
    ```
    """

    extra_noise = 0

    def __init__(self, norm: float = 1.0, *, stability: float = 0.01):
        check_number("norm", norm, above=0)
        check_number("stability", stability, above=0)
        self.initial, self.stability = norm, stability

    def gradient_noise(self, noise_multiplier):
        """The noise multiplier of the gradients."""
        return noise_multiplier

    def get_config(self):
        return {"norm": self.initial, "stability": self.stability}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

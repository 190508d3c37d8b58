"""Trade-off curves: the least false positive rate at a true positive rate under a mechanism.

Source: Dong, Roth and Su, "Gaussian Differential Privacy", Journal of the Royal Statistical Society B, 2022, section 2.
"""

import dataclasses

import numpy as np
from scipy import special

from mpreg._validate import check_number

EPSILONS = np.concatenate([np.linspace(0.0, 4.0, 41), np.geomspace(4.25, 40.0, 40)])
INTERVAL = 4e-3  # of the privacy losses that are told apart: coarser is quicker and claims a little less


@dataclasses.dataclass(frozen=True)
class GaussianTradeOff:
    """Is the trade-off curve of one release with Gaussian noise.

    Args:
        noise_multiplier: standard deviation of the noise over the most that one record adds, above 0.
    """

    noise_multiplier: float

    def __post_init__(self):
        check_number("noise_multiplier", self.noise_multiplier, above=0)

    def least_false(self, true_rate):
        """Returns the least probability without the record of an event with probability `true_rate` with it."""
        return special.ndtr(special.ndtri(true_rate) - 1.0 / self.noise_multiplier)


class ProfileTradeOff:
    """Is the trade-off curve that follows from deltas at many epsilons, in both directions.

    Args:
        epsilons: (k,) at least 0.
        deltas: (k,) for which the mechanism is (epsilon, delta)-differentially private.
    """

    def __init__(self, epsilons, deltas):
        self._rise = np.exp(np.asarray(epsilons, float))
        self._deltas = np.asarray(deltas, float)

    @classmethod
    def of_training(cls, sampling, noise_multiplier, steps):
        """Returns the curve of a number of DP-SGD steps under a `Sampling`."""
        from dp_accounting.pld import privacy_loss_distribution as pld

        probability = sampling.probability if sampling.kind == "poisson" else 1.0
        each = pld.from_gaussian_mechanism(
            noise_multiplier / sampling.copies,
            value_discretization_interval=INTERVAL,
            sampling_prob=probability,
        )
        whole = each.self_compose(sampling.exposures(steps))
        return cls(EPSILONS, whole.get_delta_for_epsilon(EPSILONS))

    def least_false(self, true_rate):
        """Returns the least probability without the record of an event with probability `true_rate` with it."""
        forward = (true_rate - self._deltas) / self._rise
        backward = 1.0 - self._deltas - self._rise * (1.0 - true_rate)
        return max(0.0, float(np.max(forward)), float(np.max(backward)))

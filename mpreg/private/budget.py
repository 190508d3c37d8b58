"""The budget of `DPSGD.for_budget`: the planned steps, and a warning when they are exceeded."""

import dataclasses
import math
import warnings

from mpreg._validate import check_count
from mpreg.private import accounting
from mpreg.private.accounting import Sampling, Segment, spent

SAMPLINGS = ("poisson", "shuffled")


@dataclasses.dataclass(frozen=True)
class Budget:
    """Plans a number of steps under a sampling, within epsilon at delta.

    Args:
        epsilon, delta: the budget.
        sampling: how batches are to be drawn.
        steps: number of steps that it was planned for.
    """

    epsilon: float
    delta: float
    sampling: Sampling
    steps: int

    @classmethod
    def plan(cls, *, epsilon, delta, examples, batch_size, epochs, sampling):
        """Returns the budget for a number of epochs.

        Raises:
            ValueError: a number out of range, or a delta that would allow to publish a record.
        """
        accounting.check_epsilon(epsilon)
        for name, value in (("examples", examples), ("batch_size", batch_size), ("epochs", epochs)):
            check_count(name, value, 1)
        accounting.check_delta(delta, examples)
        if batch_size > examples:
            raise ValueError(
                f"batch_size must be at most examples, {examples}. Received: batch_size={batch_size!r}"
            )
        if sampling not in SAMPLINGS:
            raise ValueError(f"sampling must be 'poisson' or 'shuffled'. Received: sampling={sampling!r}")
        passes_in = math.ceil(examples / batch_size)
        drawn = Sampling(sampling, examples, batch_size, passes_in if sampling == "shuffled" else None)
        return cls(epsilon, delta, drawn, epochs * passes_in)

    def noise(self):
        """Returns the noise multiplier that keeps the steps within epsilon, and close to it."""
        return accounting.noise_for_budget(self.sampling, self.steps, epsilon=self.epsilon, delta=self.delta)

    def check(self, drawn):
        """Raises a `ValueError` for batches drawn otherwise than planned."""
        if drawn == self.sampling:
            return
        planned = self.sampling
        raise ValueError(
            f"for_budget found the noise for {planned.kind} batches of {planned.batch_size} out of {planned.examples} "
            f"records, but fit was given {_describe(drawn)}. Give fit mpreg.poisson_batches of those records, or "
            "arrays with sampling='shuffled'; or build the model with noise_multiplier"
        )

    def excess(self, history, noise_multiplier, steps=0):
        """Returns the epsilon of a history with further steps if it exceeds the budget, else None."""
        segments = [*history, Segment(self.sampling, noise_multiplier, steps)]
        planned = all(
            segment.sampling == self.sampling and segment.noise_multiplier == noise_multiplier
            for segment in segments
        )
        exposures = sum(segment.sampling.exposures(segment.steps) for segment in segments)
        if planned and exposures <= self.sampling.exposures(self.steps):
            return None  # as planned, which takes no accountant to know
        epsilon = spent(segments, self.delta).epsilon
        return epsilon if epsilon > self.epsilon else None

    def warn(self, history, noise_multiplier, steps):
        """Warns if a number of further steps exceeds the budget."""
        epsilon = self.excess(history, noise_multiplier, steps)
        if epsilon is not None:
            warnings.warn(
                f"after these {steps} steps epsilon is {epsilon:.4g}, above the {self.epsilon:g} (at delta "
                f"{self.delta:g}) that for_budget found the noise for, in {self.steps} steps. Train for fewer epochs, "
                "tell for_budget of all of them, or give fit "
                f"mpreg.callbacks.PrivacyBudget(epsilon={self.epsilon:g}, delta={self.delta:g}), which stops in time",
                stacklevel=3,
            )

    def get_config(self):
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "sampling": Sampling(**config["sampling"])})


def _describe(drawn):
    if drawn.kind == "arbitrary":
        return "a source that mpreg cannot look into"
    return f"{drawn.kind} batches of {drawn.batch_size} out of {drawn.examples} records"

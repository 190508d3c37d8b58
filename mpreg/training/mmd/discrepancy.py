"""Discrepancy: a penalty on the distance between the target's answers on members and on reference records."""

import keras

from mpreg._validate import check_count, check_number
from mpreg.training.core.part import DefencePart
from mpreg.training.core.seed import Seed
from mpreg.training.mmd.matched import MatchedReference
from mpreg.training.mmd.matching_pass import MatchingPass
from mpreg.training.mmd.matching_step import MatchingStep


@keras.saving.register_keras_serializable("mpreg")
class Discrepancy(DefencePart):
    """Reduces the squared maximum mean discrepancy of the target's predictions, in a pass between two epochs.

    Args: as `MixUpMMD`, and `classes`, the number of classes of the target.
    """

    consumes_reference = True
    steers_target = True
    private_reason = "takes steps of its own between two epochs, on whole batches"

    def __init__(self, *, classes, weight, gap=0.03, bandwidths=(1.0,), seed=0, **kwargs):
        super().__init__(**{"name": "discrepancy", **kwargs})
        check_number("mmd_weight", weight, least=0)
        check_number("gap", gap, least=0, most=1)
        check_count("seed", seed, 0)
        if not isinstance(bandwidths, tuple | list) or not bandwidths:
            raise ValueError(f"bandwidths must be a tuple of numbers. Received: bandwidths={bandwidths!r}")
        for bandwidth in bandwidths:
            check_number("bandwidths", bandwidth, above=0)
        self.classes, self.gap = classes, float(gap)
        self.bandwidths, self.seed = tuple(float(each) for each in bandwidths), int(seed)
        self.step = self.state("step", 0, dtype="int64")
        self.draws = Seed(seed)
        self.charging = self.state("charging", 0.0)  # 1 where the next epoch begins with a pass
        self.strength = self.state("strength", weight)  # behind what files of before hold
        self.discrepancy = keras.metrics.Mean(name="mmd")
        self.charged = keras.metrics.Mean(name="mmd_charged")
        self._traced = None

    def set_reference(self, reference):
        self._reference = MatchedReference(reference, self.classes)

    @property
    def trackers(self):
        return (self.discrepancy, self.charged)

    def control(self, members):
        return MatchingPass(self, members)

    def step_of(self, model):
        """Returns the step of a pass over the model's members, traced once while the model stays unchanged."""
        if self._traced is None or not self._traced.is_of(model):
            self._traced = MatchingStep(self, model)
        return self._traced

    def get_config(self):
        return {
            **super().get_config(),
            "classes": self.classes,
            "weight": float(self.strength.numpy()),
            "gap": self.gap,
            "bandwidths": list(self.bandwidths),
            "seed": self.seed,
        }

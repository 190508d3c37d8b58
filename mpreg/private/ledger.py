"""The history of noisy steps: it is saved with the model, so that training further counts on."""

import dataclasses
import json

import numpy as np

from mpreg.private.accounting import Sampling, Segment


class Ledger:
    """What has been spent: closed segments, and how the steps since are sampled.

    Args:
        noise_multiplier: of all steps to come.
    """

    def __init__(self, noise_multiplier):
        self.noise_multiplier = noise_multiplier
        self.closed = []
        self.counted = 0
        self.sampling = Sampling("arbitrary")  # a step outside of fit may see any record

    def settle(self, steps):
        """Closes the segment that is open, given the number of steps ever."""
        if steps > self.counted:
            self.closed.append(Segment(self.sampling, self.noise_multiplier, steps - self.counted))
        self.counted = steps

    def segments(self, steps):
        """The history up to a number of steps ever."""
        open_segment = Segment(self.sampling, self.noise_multiplier, steps - self.counted)
        return [*self.closed, *([open_segment] if open_segment.steps else [])]

    def to_array(self, steps):
        """The history as bytes, an array that Keras can save beside weights."""
        rows = [dataclasses.asdict(segment) for segment in self.segments(steps)]
        text = json.dumps({"steps": steps, "segments": rows})
        return np.frombuffer(text.encode(), dtype=np.uint8)

    def restore(self, array):
        """Takes over a saved history; returns its number of steps."""
        saved = json.loads(np.asarray(array, dtype=np.uint8).tobytes())
        self.closed = [
            Segment(Sampling(**row["sampling"]), row["noise_multiplier"], row["steps"])
            for row in saved["segments"]
        ]
        self.counted = saved["steps"]
        return self.counted

"""Which records a replica sees in which step."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Schedule:
    """Describes the shapes of an epoch, the same for all replicas: whole steps, then last ones.

    Attributes:
        batch: records of a whole step, which every replica takes with records of its own.
        whole: whole steps of an epoch.
        last: records of a step at the end.
        ends: steps at the end of an epoch.
        ragged: whether the steps at the end hold records that do not count: where all replicas train on equally
            many records, there is one smaller batch at the end, as in `fit`, else some replicas have fewer records
            to take than others.
    """

    batch: int
    whole: int
    last: int
    ends: int
    ragged: bool

    @classmethod
    def of(cls, sizes, batch_size):
        """Returns the schedule of replicas with `sizes` training records each."""
        least, most = int(min(sizes)), int(max(sizes))
        whole = least // batch_size
        if least == most:
            last = least % batch_size
            return cls(batch_size, whole, last, int(last > 0), False)
        return cls(batch_size, whole, min(batch_size, most), -(-most // batch_size) - whole, True)

    @property
    def steps(self):
        """Number of steps of an epoch."""
        return self.whole + self.ends


def epoch_order(rows, *, seed, replica, epoch):
    """Returns a replica's training records in the order of an epoch."""
    return np.random.default_rng([seed, replica, epoch]).permutation(rows)


def lay_out(schedule, orders):
    """Arranges the orders of several replicas as the batches of an epoch.

    A step at the end that a replica has too few records for is filled up with records from the start of its epoch,
    which count 0 in the loss. They are its own, so that what is taken over a batch, as in `BatchNormalization`, still
    describes records that it trains on.

    Returns:
        Indices of records (whole, replicas, batch) and (ends, replicas, last), int32; counts (ends, replicas, last),
        float32.
    """
    cut = schedule.whole * schedule.batch
    whole = np.stack([order[:cut].reshape(schedule.whole, schedule.batch) for order in orders], axis=1)
    rest = schedule.ends * schedule.last
    ends = np.zeros((len(orders), rest), np.int32)
    counts = np.zeros((len(orders), rest), np.float32)
    for replica, order in enumerate(orders):
        own = len(order) - cut
        ends[replica, :own] = order[cut:]
        ends[replica, own:] = np.resize(order, rest - own)
        counts[replica, :own] = 1
    shape = (len(orders), schedule.ends, schedule.last)
    return (
        whole.astype(np.int32),
        np.ascontiguousarray(ends.reshape(shape).swapaxes(0, 1)),
        np.ascontiguousarray(counts.reshape(shape).swapaxes(0, 1)),
    )

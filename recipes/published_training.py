"""How Nasr, Shokri and Houmansadr 2018 trained each data set, by the authors' code.

What is left of theirs: Texas' code repeats the constants of Purchase, by which every third of its windows and half of
its target steps are empty; here none are. CIFAR's takes the test set for the reference records, draws its windows from
50 rounds of these at a time, of which the last third is empty, and trains on all 50,000 records.
"""

import dataclasses
from collections.abc import Callable

import keras

from mpreg.recipes.published_schedule import PublishedSchedule


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedTraining:
    """Schedule, networks and optimizers of one data set.

    Attributes:
        penalty: weight of what the target pays.
        charge: what that is, as for `Players`.
        inference_network: as for `Players`.
        target_optimizer: function of the steps an epoch that makes it.
        weight_decay: of the target as PyTorch has it, in the gradient; here of its kernels alone, in the loss.
        inference_rate: learning rate of the inference network's Adam.
        batch_size: members a step.
        epochs: passes.
        schedule: the `PublishedSchedule`.
    """

    penalty: float
    charge: str = "linear"
    inference_network: str = "nasr2018"
    target_optimizer: Callable
    weight_decay: float = 0.0
    inference_rate: float
    batch_size: int = 128
    epochs: int = 20
    schedule: PublishedSchedule = dataclasses.field(default_factory=PublishedSchedule)


def adam(rate):
    """A `target_optimizer`: Adam at this rate."""
    return lambda steps: keras.optimizers.Adam(rate)


def stepped_sgd(steps):
    """SGD at .05 with momentum .9, the rate a tenth from epoch 20 and again from epoch 40 on."""
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([20 * steps, 40 * steps], [0.05, 0.005, 0.0005])
    return keras.optimizers.SGD(rate, momentum=0.9)


PURCHASE100 = PublishedTraining(penalty=3.0, target_optimizer=adam(1e-3), inference_rate=1e-4)
TEXAS100 = PublishedTraining(
    penalty=1.0,
    inference_network="nasr2018_texas100",
    target_optimizer=adam(1e-4),
    inference_rate=1e-3,
    schedule=PublishedSchedule(inference_batches=50, cycle=150, cycle_end=150),
)
CIFAR100 = PublishedTraining(
    penalty=1.0,
    charge="square",
    inference_network="nasr2018_cifar100",
    target_optimizer=stepped_sgd,
    weight_decay=5e-4,
    inference_rate=1e-5,
    batch_size=100,
    epochs=400,
    schedule=PublishedSchedule(
        inference_batches=3, cycle=150, cycle_end=150, warmup_epochs=4, inference_warmup_epochs=0
    ),
)

"""The trajectory attack: infers membership from a record's loss over the epochs of training."""

import numpy as np

from mpreg import signals
from mpreg.attacks.regression import RegressionAttack
from mpreg.internals.snapshots import check_snapshots


class TrajectoryAttack(RegressionAttack):
    """Fits a logistic regression to each record's loss after several epochs.

    The losses of members fall from the first epochs on; those of others stop falling, or rise, as the model overfits,
    also where both end near 0. Losses are read on the logit scale, log p - log(1 - p).

    Source: Liu et al., "Membership Inference Attacks by Exploiting Loss Trajectory", CCS 2022, whose attacker distils
    the model to have a trajectory: here it is the training's own.

    Args:
        snapshots: those of a `callbacks.SnapshotRecorder`.

    Raises:
        ValueError: no snapshots; when run, none of the model's shape.

    Example:
    ```python
    recorder = mpreg.callbacks.SnapshotRecorder()
    model.fit(*split.members, epochs=30, callbacks=[recorder])
    mpreg.evaluate(model, split, attacks=["standard", mpreg.attacks.TrajectoryAttack(recorder.snapshots)])
    ```
    """

    key = "trajectory"
    threat_model = (
        "sees the model's answers after several epochs, and knows who was a member among other records"
    )
    needs = frozenset({"records", "weights"})

    def __init__(self, snapshots):
        self.snapshots = check_snapshots(snapshots)
        if self.snapshots is None:
            raise ValueError("a trajectory needs snapshots. Received: snapshots=None")
        self.name = f"loss trajectory, {len(self.snapshots)} epochs"

    def prepare(self, access):
        """Returns the logit of each record's class after each epoch, float64 (n, epochs)."""
        losses = []
        for _ in self.snapshots.turns(access.model):
            answers = signals.read_answers(signals.predict(access.model, access.records), access.labels)
            losses.append(signals.logit_confidence(answers))
        return np.stack(losses, axis=1)

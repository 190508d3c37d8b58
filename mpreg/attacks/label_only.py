"""The label-only attack: members tend to stay correctly classified under perturbation."""

import numpy as np

from mpreg import signals
from mpreg.attacks.regression import RegressionAttack
from mpreg.data.augmentations import check_augment


class LabelOnlyAttack(RegressionAttack):
    """Fits a logistic regression to which perturbed copies of a record keep the right label.

    Reads nothing but the predicted label, so no defence that hides or blunts the probabilities stops it. Of each record
    it reads whether it is classified correctly, and whether each of its copies is, one column a copy; a logistic
    regression on these learns from known records which copies tell most. Every copy is a query to the target.

    The paper learns so from moves of images, by a small network a class, and puts a threshold on the share of copies
    with random noise. Here the regression serves for both. It against that share added to the record's own correctness,
    cross-fitted, accuracy / AUC: cifar10 .798 / .855 and .791 / .757 (moves); location30 .845 / .882 and .836 / .880;
    location30 stopped early .645 / .663 and .650 / .685; digits .537 / .527 and .525 / .538 (noise; split 0 each). A
    network, or trees, are no better.

    Source: Choquette-Choo et al., "Label-Only Membership Inference Attacks", ICML 2021, section 4; Li and Zhang,
    "Membership Leakage in Label-Only Exposures", CCS 2021.

    Args:
        augment: function of inputs that yields altered copies of them, such as `mpreg.attacks.ShiftsAndFlips`,
            `GaussianNoise` or `BitFlips`; None takes the one of these that suits the records, where integers that are
            not binary are swapped for those of other records.

    Raises:
        ValueError: `augment` is no function; when run, an augmentation that does not fit the records, or yields none.

    Example:
    ```python
    mpreg.evaluate(model, split, attacks=[LabelOnlyAttack(GaussianNoise((0.5,), copies=50))])
    ```
    """

    name = "label-only"
    key = "label_only"
    strength, scaled = 0.1, False
    threat_model = (
        "sees only the predicted class, also for altered copies of a record, and learns from other records of known "
        "membership"
    )
    needs = frozenset({"records", "model"})

    def __init__(self, augment=None):
        check_augment(augment)
        self.augment = augment
        if augment is None:
            self.needs = self.needs | {"numbers"}

    def prepare(self, access):
        """Returns whether each record, and each of its copies, is classified correctly, float (n, 1 + copies)."""
        own = signals.correctness(access.answers)
        copies = access.altered_copies if self.augment is None else access.read_copies(self.augment)
        return np.column_stack([own, copies.correct])

"""The label-only attack: whoever stays classified correctly under perturbation is called a member."""

from mpreg import signals
from mpreg.attacks.base import PreparedAttack
from mpreg.data.augmentations import altered, check_augment, usual_augmentation


class LabelOnlyAttack(PreparedAttack):
    """Counts how often the predicted label stays right on altered copies: members lie deeper in their class.

    Reads nothing but the predicted label, so no defence that hides or blunts the probabilities stops it. The score
    is 1 for a correctly classified record plus the share of its copies that are classified correctly. Every copy is
    a query to the target.

    Source: Choquette-Choo et al., "Label-Only Membership Inference Attacks", ICML 2021, section 4; Li and Zhang,
    "Membership Leakage in Label-Only Exposures", CCS 2021.

    Args:
        augment: function of inputs that yields altered copies of them, such as `mpreg.attacks.ShiftsAndFlips`,
            `GaussianNoise` or `BitFlips`; None takes the one of these that suits the records.

    Raises:
        ValueError: `augment` is no function; when run, an augmentation that does not fit the records, or yields none.

    Example:
    ```python
    mpreg.evaluate(model, split, attacks=[LabelOnlyAttack(GaussianNoise((0.5,), copies=50))])
    ```
    """

    name = "label-only"
    key = "label_only"
    threat_model = "sees only the predicted class, also for altered copies of a record"
    needs = frozenset({"records", "model"})

    def __init__(self, augment=None):
        check_augment(augment)
        self.augment = augment
        if augment is None:
            self.needs = self.needs | {"numbers"}

    def score_all(self, access):
        augment = self.augment or usual_augmentation(access.records, seed=access.seed)
        right, queries = 0.0, 0
        for copies in altered(augment, access.records):
            right += signals.correctness(access.ask(copies, access.labels))
            queries += 1
        return signals.correctness(access.answers) + right / queries

"""The moved-queries attack: sees past noise that depends on the query by asking about nearby copies."""

from mpreg.attacks.base import PreparedAttack
from mpreg.data import flatten
from mpreg.data.augmentations import GaussianNoise, check_augment

SCALES = (1e-3, 1e-2, 1e-1)  # standard deviations of a feature: how far a defence's coin reaches is not known


class MovedQueriesAttack(PreparedAttack):
    """Queries slightly moved copies of each record and uses the most confident prediction.

    A defence that adds noise to some answers, and the same noise to each query that is repeated, leaves it out of
    others: of a record and its near copies, the answer of least entropy is most often one without noise. The score is
    the loss threshold's, the log-probability of the record's class, in that answer. Every copy is a query to the
    target.

    Source: the averaging attack that Jia et al., "MemGuard", CCS 2019, section 4.1, rule out for repeated queries,
    carried out with queries that do not repeat.

    Args:
        augment: function of inputs that yields altered copies of them; None adds noise of several scales to features
            that are floating point numbers, eight copies a scale, and alters others as `LabelOnlyAttack` does.

    Raises:
        ValueError: `augment` is no function; when run, an augmentation that does not fit the records, or yields none.

    Example:
    ```python
    mpreg.evaluate(mpreg.defend(model, guard), split, attacks=["standard", "moved_queries"])
    ```
    """

    name = "moved queries"
    key = "moved_queries"
    threat_model = "sees the model's answers, also for copies of a record that are moved by a little"
    needs = frozenset({"records", "model"})

    def __init__(self, augment=None):
        check_augment(augment)
        self.augment = augment
        if augment is None:
            self.needs = self.needs | {"numbers"}

    def score_all(self, access):
        if self.augment is not None:
            return access.read_copies(self.augment).surest
        if all(array.dtype.kind == "f" for array in flatten(access.records)):
            return access.read_copies(GaussianNoise(SCALES, copies=8, seed=access.seed)).surest
        return access.altered_copies.surest

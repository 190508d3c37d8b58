"""The gradient-norm attack: one threshold on the norm of a record's gradient."""

import numpy as np

from mpreg.attacks.base import PreparedAttack
from mpreg.internals.reading import Choice, read_signals


class GradientNormAttack(PreparedAttack):
    """Calls a record a member if the norm of its loss gradient over all trainable weights is small.

    The score is minus the logarithm of the norm. Norms come from one backward pass for many records, and no gradient
    is written out.

    Source: Nasr, Shokri and Houmansadr, "Comprehensive Privacy Analysis of Deep Learning", S&P 2019, section V.

    Example:
    ```python
    mpreg.evaluate(model, split, attacks=["standard", "gradient_norm"])
    ```
    """

    name = "gradient norm threshold"
    key = "gradient_norm"
    threat_model = "holds the model, and knows who was a member among other records"
    needs = frozenset({"records", "numbers", "weights"})

    def score_all(self, access):
        choice = Choice(sizes=True, loss=False, label=False)
        read = read_signals(access.model, access.records, access.labels, choice, classes=access.classes)
        logs = read.values["gradient sizes"].astype(np.float64)
        return -0.5 * np.logaddexp.reduce(2 * logs, axis=1)

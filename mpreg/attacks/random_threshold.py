"""Adversary 3 of ML-Leaks: a threshold on the highest probability, without shadow models or training."""

import numpy as np

from mpreg import signals
from mpreg._validate import check_count, check_number, short_repr
from mpreg.attacks.base import PreparedAttack
from mpreg.data import Randomize, map_arrays


class RandomThresholdAttack(PreparedAttack):
    """Calls a record a member if the target is more confident on it than on most random records.

    Random records are hardly ever members, so what the target answers to them tells what it answers to
    non-members. They are drawn uniformly within the limits that the judged records show: random bits for binary
    features, whole numbers or numbers between a column's least and greatest value, random pixels for images. A
    score is the log of the highest probability, less that of the threshold.

    The right share differs from target to target and cannot be known without members: for an MLP 256-128 with
    1,500 members of location30, accuracy was .508, .550, .656, .862 and .753 at 1, 5, 10, 25 and 50 percent.

    Source: Salem et al., "ML-Leaks: Model and Data Independent Membership Inference Attacks and Defenses on
    Machine Learning Models", NDSS 2019, section V.

    Args:
        percent: of the random records that lie above the threshold.
        queries: number of random records.
        draw: function `(count, rng)` that returns random records, where uniform ones will not do.

    Raises:
        ValueError: options out of range; at scoring, records of text without `draw`.

    Example:
    ```python
    mpreg.evaluate(model, split, attacks=[RandomThresholdAttack(), RandomThresholdAttack(percent=25)])
    ```
    """

    key = "random_threshold"
    threat_model = "sees the model's answers and knows what it answers to random records"
    threshold = 0.0
    learns = False

    def __init__(self, *, percent=10, queries=1000, draw=None):
        check_number("percent", percent, least=0, most=100, what="from 0 to 100")
        check_count("queries", queries, 1)
        if draw is not None and not callable(draw):
            raise ValueError(f"draw must be a function (count, rng) -> records. Received: {short_repr(draw)}")
        self.percent, self.queries, self.draw = percent, queries, draw
        self.needs = frozenset({"model"} if draw else {"model", "records", "numbers"})
        self.name = f"random threshold, {percent:g} %"

    def score_all(self, access):
        rng = np.random.default_rng(access.seed)
        if self.draw:
            x = self.draw(self.queries, rng)
        else:
            x = map_arrays(lambda array: Randomize.like(array).draw(self.queries, rng), access.records)
        random = access.query(x, np.zeros(self.queries, np.int64))
        limit = np.percentile(signals.confidence(random), 100 - self.percent)
        return signals.confidence(access.answers) - limit

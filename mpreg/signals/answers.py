"""`Answers`: a model's predictions for records whose labels are known."""

import functools
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from mpreg._deprecated import RenamedAttribute

BLOCK = 1024  # records that a signal is computed for at a time


class Answers:
    """Holds a model's predictions for labelled records; `answers[rows]` selects some of them.

    Signals are computed once, for all records, however many attacks and parts ask for them.

    Args:
        log_probabilities: float64 (n, classes), rows of log-softmax.
        labels: int64 (n,), class indices.
    """

    def __init__(self, log_probabilities, labels):
        self.log_probabilities = _read_only(log_probabilities)
        self.labels = _read_only(labels)
        self._known = {}

    def __len__(self):
        return len(self.labels)

    @property
    def classes(self):
        return self.log_probabilities.shape[1]

    def __getitem__(self, rows):
        return _Part(self, rows)

    @functools.cached_property
    def probabilities(self):
        return _read_only(np.exp(self.log_probabilities))

    @functools.cached_property
    def true_class(self):
        """Log-probability of each record's label, (n,)."""
        return _read_only(self.log_probabilities[np.arange(len(self)), self.labels])

    know = RenamedAttribute("compute")

    def compute(self, signal):
        """Returns the values of a signal, a function of `Answers` decorated with `per_record`; cached."""
        if signal not in self._known:
            if len(self) > BLOCK:
                with ThreadPoolExecutor() as pool:  # NumPy lets others run while it computes
                    values = np.concatenate(list(pool.map(lambda block: block.compute(signal), self._blocks)))
            else:
                values = signal(self)
            self._known[signal] = _read_only(values)
        return self._known[signal]

    @functools.cached_property
    def _blocks(self):
        """These answers, some records at a time: what a signal computes on its way then stays in the cache."""
        return [
            Answers(self.log_probabilities[start : start + BLOCK], self.labels[start : start + BLOCK])
            for start in range(0, len(self), BLOCK)
        ]


class _Part(Answers):
    """Rows of other answers, copied only when they are asked for."""

    def __init__(self, whole, rows):
        self._whole, self._rows = whole, rows
        self.labels = _read_only(whole.labels[rows])
        self._known = {}

    @property
    def classes(self):
        return self._whole.classes

    @property  # not kept: parts are many, and their signals come from those of the whole
    def log_probabilities(self):
        return _read_only(self._whole.log_probabilities[self._rows])

    def compute(self, signal):
        if signal not in self._known:
            self._known[signal] = _read_only(self._whole.compute(signal)[self._rows])
        return self._known[signal]


def per_record(signal):
    """Decorates a signal whose value for a record depends on that record alone, so that it is computed once.

    Example:
    ```python
    @per_record
    def runner_up(answers):
        return np.sort(answers.log_probabilities, axis=1)[:, -2]
    ```
    """

    @functools.wraps(signal)
    def known(answers):
        return answers.compute(signal)

    return known


def _read_only(array):
    array = np.asarray(array).view()
    array.flags.writeable = False
    return array

"""`JointAnswers`: what a model says of records each of which holds several decisions, labels or positions."""

import numpy as np

from mpreg.classifiers.arrays import check_predictions, log_probabilities
from mpreg.classifiers.kind import are_logits
from mpreg.data.labels import LABELS, NOT_COUNTED, check_several
from mpreg.signals.answers import Answers

AT_ONCE = 1 << 16  # decisions that a signal is computed for at a time
FEW = 16  # decisions a record, up to which classifiers of answers read each of them too


class JointAnswers(Answers):
    """Answers to records of several decisions: each signal is its mean over the decisions of a record that count.

    The mean of their log-probabilities ranks records as the sum of their losses does: the joint attack. A signal of
    several columns, as classifiers of answers read, becomes its mean, lowest and highest row, and where a record holds
    few decisions, those of each. A record has no class of its own: all labels are 0.

    Args:
        log_probabilities: of each decision, float64 (n * decisions, classes).
        decided: its class, int64 (n, decisions), and -1 where it does not count.
    """

    def __init__(self, log_probabilities, decided):
        counted = decided != NOT_COUNTED
        self._each = Answers(log_probabilities, np.where(counted, decided, 0).reshape(-1))
        self._counted = counted
        self.labels = np.zeros(len(decided), np.int64)
        self._known = {}

    @property
    def classes(self):
        return self._each.classes

    @property
    def decisions(self):
        """How many a record holds."""
        return self._counted.shape[1]

    @property
    def log_probabilities(self):
        raise ValueError(
            "an attack that reads class probabilities itself has no meaning for records of several decisions: write "
            "it as a signal, with mpreg.signals.per_record"
        )

    def compute(self, signal):
        if signal not in self._known:
            step = max(1, AT_ONCE // self._counted.shape[1])
            parts = [self._joined(signal, start, start + step) for start in range(0, len(self), step)]
            self._known[signal] = np.concatenate(parts)
            self._known[signal].flags.writeable = False
        return self._known[signal]

    def _joined(self, signal, start, stop):
        counted = self._counted[start:stop]
        records, decisions = counted.shape
        rows = slice(start * decisions, start * decisions + counted.size)
        values = np.asarray(
            signal(Answers(self._each.log_probabilities[rows], self._each.labels[rows])), np.float64
        ).reshape(records, decisions, -1)
        where = counted[:, :, None]
        mean = np.where(where, values, 0.0).sum(axis=1) / counted.sum(axis=1, keepdims=True)
        if values.shape[2] == 1:
            return mean[:, 0]
        columns = [
            mean,
            np.where(where, values, np.inf).min(axis=1),
            np.where(where, values, -np.inf).max(axis=1),
        ]
        if decisions <= FEW:
            columns.insert(0, np.where(where, values, 0.0).reshape(records, -1))
        return np.concatenate(columns, axis=1)


def read_several(sides, decisions, *, from_logits=None):
    """`JointAnswers` of each side, and for labels the `Answers` of each label of each side.

    Args:
        sides: `(predictions, labels)` by name of the side. Predictions are probabilities or logits: of yes, (n,
            labels), for `"labels"`; of the classes, (n, ..., classes), or of class 1, (n, ...) or (n, ..., 1), for
            `"positions"`.
        decisions: `"labels"` or `"positions"`.
        from_logits: whether predictions are logits; None decides by looking.

    Returns:
        `(joint, apart)`: lists with an entry a side; those of `apart` are lists with an entry a label, empty for
        positions.

    Raises:
        ValueError: predictions that do not fit the labels, or are neither probabilities nor logits.
    """
    read = {side: _decisions_of(*pair, decisions, side) for side, pair in sides.items()}
    from_logits = are_logits([rows for rows, _ in read.values()], from_logits=from_logits)
    joint, apart = [], []
    for side, (rows, decided) in read.items():
        logs = log_probabilities(rows, from_logits=from_logits, side=side)
        if decided.max() >= logs.shape[1]:
            raise ValueError(
                f"{side}: labels must be below the number of classes, {logs.shape[1]}. Received a label of "
                f"{decided.max()}"
            )
        joint.append(JointAnswers(logs, decided))
        places = range(decided.shape[1]) if decisions == LABELS else ()
        apart.append([Answers(logs[place :: decided.shape[1]], decided[:, place]) for place in places])
    return joint, apart


def _decisions_of(predictions, labels, decisions, side):
    """Predictions with a row for each decision, and the decisions of each record, (n, decisions)."""
    predictions, labels = np.asarray(predictions), check_several(labels, decisions, side)
    shape = predictions.shape
    single = shape[-1:] == (1,) and shape[:-1] == labels.shape
    if shape == labels.shape or single:
        rows = predictions.reshape(-1, 1)
    elif decisions != LABELS and shape[:-1] == labels.shape:
        rows = predictions.reshape(-1, shape[-1])
    else:
        wanted = "one for each label" if decisions == LABELS else "those of all classes, for each position"
        raise ValueError(
            f"{side}: predictions must be {wanted}. Received: predictions of shape {shape} for labels of shape "
            f"{labels.shape}"
        )
    return check_predictions(rows, side), labels.reshape(len(labels), -1)

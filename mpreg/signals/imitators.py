"""Imitators: small networks that tell how hard a record is, where no models can be trained as the target was."""

import warnings

import numpy as np
from scipy import special

from mpreg._threads import one_thread
from mpreg.data.table import as_table, scaled, scaling_of
from mpreg.signals.answers import Answers
from mpreg.signals.confidences import logit_confidence, softened_loss

COUNT = 4  # of each kind; 8 raise the AUC by .015 on split distillation and .002 to .004 elsewhere
UNITS, BATCH = 256, 64
PASSES, MOST_EPOCHS = 20_000, 25  # records that an imitator is shown in all; epochs of a few records
LOWEST_LOG, LOWEST_TAUGHT = -12.0, -8.0  # log-probabilities: read of imitators; taught to them
WIDEST, PROJECTED = 1_024, 512  # numbers of a record that are read as they are; projections of wider ones
SOFTENED = softened_loss(2.0)


def table_of(x, *, seed=0):
    """Records as a table of standardized numbers, float32; those of more than 1,024 as 512 random projections."""
    table = as_table(x)
    if table.shape[1] <= WIDEST:
        return scaled(table)
    shift, scale = scaling_of(table)
    matrix = np.random.default_rng(seed).standard_normal((table.shape[1], PROJECTED), np.float32)
    matrix /= scale[:, None]  # instead of the table, which may take much memory
    return scaled(table @ matrix - shift @ matrix)


def imitate(table, answers, *, seed=0):
    """How the target's answer to each record lies to that of imitators that saw the record and that did not.

    Imitators of one kind learn the labels of half of the records, those of the other kind the target's
    log-probabilities; halves come in pairs, so that each record is in half of the imitators. Nobody's membership is
    looked at.

    Args:
        table: the records, (n, numbers).
        answers: the target's `Answers` to them.
        seed: of the halves and the networks.

    Returns:
        Float (n, 12), for each kind: the mean logit-scaled confidence of imitators without the record (OUT), the
        target's less that, the same difference of softened log-probabilities, the mean of those with it (IN), the
        target's less that, and IN less OUT.
    """
    from sklearn.exceptions import ConvergenceWarning  # slow to import, and most attacks need none of it
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    confidence, softened = logit_confidence(answers), SOFTENED(answers)
    taught = np.maximum(answers.log_probabilities, LOWEST_TAUGHT)
    taught = taught - taught.mean(axis=1, keepdims=True)
    scale = taught.std() or 1.0
    epochs = int(np.clip(2 * PASSES // len(table), 1, MOST_EPOCHS))

    def of_labels(rows, number):
        network = _network(MLPClassifier, rows, epochs, seed + number)
        return _classified(network, table, answers.labels, rows, answers.classes)

    def of_answers(rows, number):
        network = _network(MLPRegressor, rows, epochs, seed + number).fit(table[rows], taught[rows] / scale)
        return network.predict(table).reshape(taught.shape) * scale

    columns = []
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # they are stopped early on purpose
        for learn in (of_labels, of_answers):
            sums, counts = np.zeros((2, 2, len(table))), np.zeros((2, len(table)))
            for number, rows in enumerate(_halves(len(table), COUNT, np.random.default_rng(seed))):
                logs = np.maximum(special.log_softmax(learn(rows, number), axis=1), LOWEST_LOG)
                said = Answers(logs, answers.labels)
                sums[rows.astype(int), :, np.arange(len(table))] += np.column_stack(
                    [logit_confidence(said), SOFTENED(said)]
                )
                counts[rows.astype(int), np.arange(len(table))] += 1
            (out, out_softened), (inside, _) = sums / counts[:, None]
            columns += [
                out,
                confidence - out,
                softened - out_softened,
                inside,
                confidence - inside,
                inside - out,
            ]
    return np.column_stack(columns)


def _halves(records, count, rng):
    """Halves of the records, bool (records,) each; every second one is the other half of the one before."""
    for _ in range(count // 2):
        half = rng.permutation(records) < records // 2
        yield half
        yield ~half


def _network(kind, rows, epochs, seed):
    return kind(
        hidden_layer_sizes=(UNITS,),
        batch_size=min(BATCH, rows.sum()),
        max_iter=epochs,
        learning_rate_init=1e-3,
        alpha=1e-3,
        tol=0.0,
        random_state=seed,
    )


def _classified(network, table, labels, rows, classes):
    """Log-probabilities of all records by a classifier of some; of classes that it never saw, the lowest."""
    found = np.full((len(table), classes), LOWEST_LOG)
    seen = np.unique(labels[rows])
    if len(seen) > 1:
        found[:, seen] = network.fit(table[rows], labels[rows]).predict_log_proba(table)
    else:
        found[:, seen] = 0.0
    return np.maximum(found, LOWEST_LOG)

"""User-level signals: one row for each user, over all of their records."""

import numpy as np

from mpreg.signals.confidences import loss
from mpreg.signals.reading import read_answers

RANKS = 12  # bins of ranks: 0, 1-2, 3-6, ...: each twice as wide as the one before
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def rank_rows(predictions, tokens, users, *, from_logits=None):
    """Returns a row for each user of a text model: a histogram of word ranks, and quantiles of the losses.

    Args:
        predictions: for each text and position the probabilities (or logits) of the next word, (n, positions, words);
            or (n, words), a classifier's.
        tokens: the words that came, int (n, positions) or (n,).
        users: id of each text's user, (n,).
        from_logits: whether predictions are logits; None decides by looking.

    Returns:
        `(rows, ids)`: float64 (users, 12 + 6), the shares of ranks in 12 bins, each twice as wide as the one before,
        and the mean and five quantiles of the log-probabilities; and the ids, ascending.

    Raises:
        ValueError: numbers of texts that differ, or predictions that are neither probabilities nor logits.
    """
    predictions, tokens = np.asarray(predictions), np.asarray(tokens)
    if predictions.shape[:-1] != tokens.shape or len(tokens) != len(users):
        raise ValueError(
            f"there must be a prediction for each word and a user for each text. Received: predictions of shape "
            f"{predictions.shape}, tokens of shape {tokens.shape}, {len(users)} users"
        )
    owners = np.repeat(np.asarray(users), tokens[0].size)
    answers = read_answers(
        predictions.reshape(-1, predictions.shape[-1]), tokens.reshape(-1), from_logits=from_logits
    )
    own = answers.log_probabilities[np.arange(len(answers)), answers.labels]
    ranks = (answers.log_probabilities > own[:, None]).sum(axis=1)
    bins = np.minimum(np.floor(np.log2(ranks + 1)).astype(int), RANKS - 1)
    ids, place = np.unique(owners, return_inverse=True)
    shares = np.zeros((len(ids), RANKS))
    np.add.at(shares, (place, bins), 1)
    shares /= shares.sum(axis=1, keepdims=True)
    losses, _ = score_rows(loss(answers), owners)
    return np.concatenate([shares, losses], axis=1), ids


def score_rows(scores, users):
    """Returns mean and five quantiles of each user's scores, from any record-level attack.

    Args:
        scores: of records, float (n,).
        users: id of each record's user, (n,).

    Returns:
        `(rows, ids)`: float64 (users, 6), and the ids, ascending.

    Raises:
        ValueError: numbers that differ, or no records.
    """
    scores, users = np.asarray(scores, np.float64), np.asarray(users)
    if scores.ndim != 1 or scores.shape != users.shape or len(scores) == 0:
        raise ValueError(
            f"there must be one score and one user for each record. Received: shapes {scores.shape} and {users.shape}"
        )
    ids, place = np.unique(users, return_inverse=True)
    order = np.argsort(place, kind="stable")
    parts = np.split(scores[order], np.cumsum(np.bincount(place))[:-1])
    return np.array([[part.mean(), *np.quantile(part, QUANTILES)] for part in parts]), ids

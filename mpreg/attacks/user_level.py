"""Membership of a user: whether a model was trained on anything of theirs, from all that it says of their records."""

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from mpreg import metrics, signals
from mpreg.attacks.base import Attack
from mpreg.attacks.crossfit import cross_fit
from mpreg.metrics import Estimate

RANKS = 12  # bins of ranks: 0, 1, 2-3, 4-7, ...: each twice as wide as the one before
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, eq=False)
class UserVerdicts:
    """What is found of users.

    Attributes:
        accuracy, auc: `Estimate`s with 95 % intervals; a user counts once, however many records.
        member_users, nonmember_users: ids of the users, in the order of the scores.
        member_scores, nonmember_scores: higher for a likelier member, float (users,).
    """

    accuracy: Estimate
    auc: Estimate
    member_users: np.ndarray
    nonmember_users: np.ndarray
    member_scores: np.ndarray
    nonmember_scores: np.ndarray


class UserLevelAttack(Attack):
    """A logistic regression on what the records of a user have in common, one row a user.

    Fitted on users of known membership, or of a model trained alike: `fit` and `score` take rows of `rank_rows` or
    `score_rows`.

    Source: Song and Shmatikov, "Auditing Data Provenance in Text-Generation Models", KDD 2019, section 4.
    """

    name = "user level"
    key = "user_level"
    threat_model = "sees the model's answers to a user's records, and knows of other users who was a member"

    def fit(self, members, nonmembers, *, seed=0):
        membership = np.repeat([1, 0], [len(members), len(nonmembers)])
        regression = LogisticRegression(C=0.1, max_iter=1000, class_weight="balanced", random_state=seed)
        self._classifier = make_pipeline(StandardScaler(), regression)
        with threadpool_limits(1):
            self._classifier.fit(np.concatenate([members, nonmembers]), membership)
        self.threshold = 0.0  # both sides weigh alike, however many known users either has
        return self

    def score(self, rows):
        return self._classifier.decision_function(rows)


def audit_users(members, nonmembers, *, seed=0):
    """Judges users, each by an attack that was fitted on others: `UserVerdicts`.

    Args:
        members, nonmembers: pairs `(rows, ids)` as `rank_rows` and `score_rows` return them; no user may be on both.
        seed: seed of the cross-fitting.

    Raises:
        ValueError: a user on both sides, or fewer than two users on one.

    Example:
    ```python
    sides = [rank_rows(model.predict(tokens[:, :-1]), tokens[:, 1:], users) for tokens, users in (theirs, others)]
    print(audit_users(*sides).auc)
    ```
    """
    (member_rows, member_ids), (rows, ids) = members, nonmembers
    both = np.intersect1d(member_ids, ids)
    if len(both):
        raise ValueError(
            f"{len(both)} users are members and non-members, such as {both[0]!r}: a user is one or the other"
        )
    found = cross_fit(UserLevelAttack(), member_rows, rows, seed=seed)
    decisions = found.member_decisions, found.nonmember_decisions
    scores = found.member_scores, found.nonmember_scores
    accuracy = Estimate(
        metrics.balanced_accuracy(*decisions), *metrics.balanced_accuracy_interval(*decisions)
    )
    auc = Estimate(metrics.auc(*scores), *metrics.auc_interval(*scores))
    return UserVerdicts(accuracy, auc, member_ids, ids, *scores)


def rank_rows(predictions, tokens, users, *, from_logits=None):
    """What a text model says of each user's words: a histogram of their ranks, and quantiles of their losses.

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
    answers = signals.read_answers(
        predictions.reshape(-1, predictions.shape[-1]), tokens.reshape(-1), from_logits=from_logits
    )
    own = answers.log_probabilities[np.arange(len(answers)), answers.labels]
    ranks = (answers.log_probabilities > own[:, None]).sum(axis=1)
    bins = np.minimum(np.floor(np.log2(ranks + 1)).astype(int), RANKS - 1)
    ids, place = np.unique(owners, return_inverse=True)
    shares = np.zeros((len(ids), RANKS))
    np.add.at(shares, (place, bins), 1)
    shares /= shares.sum(axis=1, keepdims=True)
    losses, _ = score_rows(signals.loss(answers), owners)
    return np.concatenate([shares, losses], axis=1), ids


def score_rows(scores, users):
    """Mean and five quantiles of each user's scores, whatever attack they are of: membership of a group.

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

"""User-level membership: infers whether a model was trained on any record of a user."""

from dataclasses import dataclass

import numpy as np

from mpreg import metrics
from mpreg.attacks.crossfit import WIDENING, cross_fit
from mpreg.attacks.regression import RegressionAttack
from mpreg.metrics import Estimate
from mpreg.signals.by_user import rank_rows as rank_rows
from mpreg.signals.by_user import score_rows as score_rows


@dataclass(frozen=True, eq=False)
class UserAttackScores:
    """Holds the scores of users, with accuracy and AUC.

    Attributes:
        accuracy, auc: `Estimate`s with 95 % intervals, which have room for cross-fitting; a user counts once, however
            many records.
        member_users, nonmember_users: ids of the users, in the order of the scores.
        member_scores, nonmember_scores: higher for a likelier member, float (users,).
    """

    accuracy: Estimate
    auc: Estimate
    member_users: np.ndarray
    nonmember_users: np.ndarray
    member_scores: np.ndarray
    nonmember_scores: np.ndarray


class UserLevelAttack(RegressionAttack):
    """Fits a logistic regression to features of users, one row each.

    Fitted on users of known membership, or of a model trained alike: `fit` and `score` take rows of `rank_rows` or
    `score_rows`.

    Source: Song and Shmatikov, "Auditing Data Provenance in Text-Generation Models", KDD 2019, section 4.
    """

    name = "user level"
    key = "user_level"
    strength = 0.1
    threat_model = "sees the model's answers to a user's records, and knows of other users who was a member"


def audit_users(members, nonmembers, *, seed=0):
    """Scores users by cross-fitting and returns `UserAttackScores`.

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
    # Users judge each other, as records do in `mpreg.evaluate`.
    return UserAttackScores(accuracy.widened(WIDENING), auc.widened(WIDENING), member_ids, ids, *scores)

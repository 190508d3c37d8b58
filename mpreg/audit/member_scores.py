"""`member_scores.npz`: the scores of single records."""

import io

import numpy as np

from mpreg.evaluation.member_risk import PRIOR

SCHEMA = "mpreg.member_scores/1"


def member_scores_file(report):
    """Returns the bytes of `member_scores.npz`: plain arrays with a row for each record, members first.

    `index` (row in the file of its side), `is_member`, `label`, `score`, `called_member`, `risk`, and the scalars
    `attack`, `prior` and `schema`. `docs/report-schema.md` describes them.
    """
    result, risk = report.best_at_low_fpr, report.member_risk
    sides = (len(result.member_scores), len(result.nonmember_scores))
    members = np.arange(sides[0]) if report.member_rows is None else report.member_rows
    arrays = {
        "index": np.concatenate([members, np.arange(sides[1])]),
        "is_member": np.repeat([True, False], sides),
        "label": np.concatenate([report.member_labels, report.nonmember_labels]),
        "score": np.concatenate([result.member_scores, result.nonmember_scores]),
        "called_member": np.concatenate([result.member_decisions, result.nonmember_decisions]),
        "risk": np.concatenate([risk.members, risk.nonmembers]),
        "attack": np.asarray(result.name),
        "prior": np.asarray(PRIOR),
        "schema": np.asarray(SCHEMA),
    }
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()

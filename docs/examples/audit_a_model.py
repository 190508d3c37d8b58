"""Story 1: how much does a model give away that is already there? Any framework; here, scikit-learn.

Run it with `python docs/examples/audit_a_model.py`, then open `audit/report.html`. From the same two files, the
command does the same: `mpreg audit --member-predictions members.npz --nonmember-predictions nonmembers.npz --dpia`
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier

from mpreg.audit.run import audit_predictions


def main(out="audit", *, trees=100):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    digits = load_digits()
    rows = np.random.default_rng(0).permutation(len(digits.target))
    sides = {"members": rows[:800], "nonmembers": rows[800:]}

    # The model as it is. Nothing of mpreg takes part in its training.
    forest = RandomForestClassifier(trees, random_state=0)
    forest.fit(digits.data[sides["members"]], digits.target[sides["members"]])

    # What the audit needs: its answers to records it was trained on, and to records it was not.
    for name, side in sides.items():
        answers = forest.predict_proba(digits.data[side])
        np.savez(out / f"{name}.npz", predictions=answers, labels=digits.target[side])

    audit = audit_predictions(
        out / "members.npz",
        out / "nonmembers.npz",
        title="Random forest on handwritten digits",
        class_names=[f"digit {digit}" for digit in range(10)],
    )
    audit.write(out, dpia={})
    print(audit.report)
    return audit


if __name__ == "__main__":
    main()

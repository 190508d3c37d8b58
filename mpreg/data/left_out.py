"""What a screening left out, by class and by columns of the user's."""

import warnings
from typing import Any

import numpy as np

from mpreg._validate import short_repr
from mpreg.data.labels import label_indices
from mpreg.data.screening_report import ScreeningReport

HALF = 0.5  # of a class: losing more is never passed over in silence


class LeftOut:
    """Base of screenings: keeps the outcome of a `fit` and reports it.

    Attributes:
        remedy: what to do where a class loses too much, for the warning.
    """

    remedy = "leave out fewer"

    def _settle(self, labels, left_out, capped=()):
        """Takes the outcome, which records are left out, bool (n,); returns the rows that are kept."""
        self.kept_, self.left_out_ = np.flatnonzero(~left_out), np.flatnonzero(left_out)
        self._labels, self._left_out, self._capped = labels, left_out, capped
        self.share_of_class_ = {
            int(label): float(left_out[labels == label].mean()) for label in np.unique(labels)
        }
        _warn_of_lost_classes(self.share_of_class_, self.remedy)
        return self.kept_

    def report(
        self, *, columns: Any = None, correct: Any = None, test_labels: Any = None, test_columns: Any = None
    ) -> ScreeningReport:
        """Whom the last `fit` left out, by class and by columns, as a `ScreeningReport`: print it.

        Args:
            columns: values of the records by name, `{"sex": sex}`, each (n,); few different ones each.
            correct: whether models answer test records rightly, by name: `{"all records": right, "screened": right}`,
                bool (m,) each. The report then shows what screening costs whom.
            test_labels: labels of the test records, which `correct` asks for.
            test_columns: `columns` of the test records.

        Raises:
            RuntimeError: nothing is fitted yet.
            ValueError: columns that are not one value a record.
        """
        if not hasattr(self, "kept_"):
            raise RuntimeError("nothing is screened yet: call fit first")
        return ScreeningReport.of(
            self._left_out,
            {"class": self._labels, **(columns or {})},
            correct=correct,
            test={"class": label_indices(test_labels), **(test_columns or {})} if correct else {},
            capped=self._capped,
        )


def _warn_of_lost_classes(shares, remedy):
    lost = [label for label, share in shares.items() if share > HALF]
    if lost:
        warnings.warn(
            f"screening leaves out more than half of {len(lost)} classes, such as class {lost[0]}: see report(), "
            f"and {remedy}",
            stacklevel=4,
        )


def check_probabilities(values, records):
    """Returns what a scorer answers as float64 (records,).

    Raises:
        ValueError: answers that are not one probability a record.
    """
    values = np.asarray(values, np.float64)
    if values.shape != (records,) or not np.all((values >= 0) & (values <= 1 + 1e-6)):
        raise ValueError(
            f"a scorer must answer with the probability of each record's label, from 0 to 1, shape ({records},). "
            f"Received: {short_repr(values)}"
        )
    return values

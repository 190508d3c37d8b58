"""Shadow models: models trained like the target on known records, and their predictions."""

import copy
from typing import Any

import numpy as np

from mpreg import signals
from mpreg._deprecated import RenamedAttribute, renamed_arguments
from mpreg._validate import short_repr
from mpreg.classifiers.arrays import class_probabilities
from mpreg.data import check_labels, label_indices
from mpreg.signals.answers import BLOCK

CLOSE = 0.25  # relative difference in the number of records that is not worth a word


class ShadowModels:
    """Holds the predictions of shadow models for the judged records, and which records each was trained on.

    The records are one pool: members of the target first, then non-members. Which of them a shadow model is
    trained on is drawn without regard to that.

    Args:
        membership: bool (models, records), True where a model was trained on a record.
        predictions: probabilities or logits, (models, records, classes).
        labels: integers (records,) or one-hot (records, classes).
        query: function of inputs that returns predictions of all models, (models, n, classes); None where they can
            no longer be queried.
        from_logits: whether predictions are logits; None decides by looking.
        coarse: whether predictions may be rounded or cut short, as output defences leave them: rows that are not
            negative but do not sum to one are then accepted.
        seconds: what their training took.
        how: how they were trained, in words.

    Raises:
        ValueError: shapes that do not fit, fewer than two models, or a model trained on all of the pool or none.

    Example:
    ```python
    shadows = mpreg.ShadowModels(membership, predictions, labels)      # trained elsewhere, in any framework
    mpreg.evaluate_predictions(p, y, q, z, attacks="strong", shadows=shadows)
    ```
    """

    ask, of = RenamedAttribute("query"), RenamedAttribute("subset")
    through, can_be_asked = RenamedAttribute("with_outputs"), RenamedAttribute("can_be_queried")

    @renamed_arguments(ask="query")
    def __init__(
        self,
        membership: Any,
        predictions: Any,
        labels: Any,
        *,
        query: Any = None,
        from_logits: bool | None = None,
        coarse: bool = False,
        seconds: float = 0.0,
        how: str = "",
    ):
        self.membership = np.asarray(membership)
        self.predictions = np.asarray(predictions)
        self.labels = label_indices(check_labels(labels, "shadow models"))
        self.seconds, self.how = float(seconds), how
        self._query = query
        self._check()
        from_logits = signals.are_logits([self.predictions], from_logits=from_logits, coarse=coarse)
        self._prediction_options: dict[str, Any] = {"from_logits": from_logits, "coarse": coarse}

    def __len__(self) -> int:
        return len(self.membership)

    def __repr__(self):
        return f"ShadowModels({len(self)} models, {self.membership.shape[1]:,} records)"

    def answers(self, model: Any):
        """Returns the `Answers` of one shadow model for the pool; not cached, since all together may be large."""
        return signals.read_answers(self.predictions[model], self.labels, **self._prediction_options)

    def values(self, model: Any, wanted: Any):
        """Returns signals, each `per_record`, of one shadow model for the pool, (signals, records).

        Some records are read at a time: what is computed on the way stays in the processor's cache, and answers are
        never held as numbers of full width.
        """
        values = np.empty((len(wanted), len(self.labels)))
        for start in range(0, len(self.labels), BLOCK):
            rows = slice(start, start + BLOCK)
            answers = self._block(model, rows)
            values[:, rows] = [signal(answers) for signal in wanted]
        return values

    def _block(self, model, rows):
        """The `Answers` to some records, refused only where all together are: a few may look like what they are not."""
        try:
            return signals.read_answers(
                self.predictions[model][rows], self.labels[rows], **self._prediction_options
            )
        except ValueError:
            pass
        return self.answers(model)[rows]

    @property
    def can_be_queried(self) -> bool:
        """Whether the models can predict records outside the pool."""
        return self._query is not None

    def query(self, x: Any, labels: Any):
        """Yields the `Answers` of each shadow model for other records, such as augmented ones."""
        if self._query is None:
            raise ValueError(
                "these shadow models cannot be queried: only their answers to the pool are known"
            )
        for predictions in self._query(x):
            yield signals.read_answers(predictions, labels, **self._prediction_options)

    def subset(self, rows: Any) -> "ShadowModels":
        """Returns the `ShadowModels` restricted to some rows of the pool."""
        part = copy.copy(self)  # not checked again: of few records a model may have seen all or none
        part.membership, part.predictions = self.membership[:, rows], self.predictions[:, rows]
        part.labels = self.labels[rows]
        return part

    def with_outputs(self, *outputs: Any) -> "ShadowModels":
        """Returns the shadow models behind output defences, for an attacker who knows the target's.

        Args:
            outputs: functions of class probabilities (n, classes), such as the layers of `mpreg.outputs`.
        """

        def defend(predictions):
            answered = class_probabilities(predictions, **self._prediction_options).astype(np.float32)
            for output in outputs:
                answered = output(answered)
            return np.asarray(answered)

        def query(x):
            return np.stack([defend(one) for one in self._query(x)])

        return ShadowModels(
            self.membership,
            np.stack([defend(one) for one in self.predictions]),
            self.labels,
            query=query if self._query else None,
            from_logits=False,
            coarse=True,
            seconds=self.seconds,
            how=self.how,
        )

    def size_notes(self, members: Any):
        """Yields a note where these were trained on more or fewer records than the target's number of members."""
        size = self.membership.sum(axis=1).mean()
        if abs(size / members - 1) > CLOSE:
            yield (
                f"The shadow models were trained on {size:,.0f} records each, the target on {members:,}: models of "
                "another size know their records more or less by heart, so attacks with them may find less than they "
                "could. Judge about as many non-members as members."
            )

    def _check(self):
        shape = self.membership.shape
        if self.membership.dtype != bool or len(shape) != 2:
            raise ValueError(
                f"membership must be bool (models, records). Received: {short_repr(self.membership)}"
            )
        if self.predictions.shape[:2] != shape or self.predictions.ndim not in (2, 3):
            raise ValueError(
                f"predictions must be (models, records, classes) and fit membership of shape {shape}. "
                f"Received: shape {self.predictions.shape}"
            )
        if len(self.labels) != shape[1]:
            raise ValueError(f"there are {len(self.labels)} labels for {shape[1]} records of membership")
        if len(self) < 2:
            raise ValueError(f"shadow attacks need at least 2 shadow models. Received: {len(self)}")
        trained = self.membership.sum(axis=1)
        for bad, what in ((trained == 0, "none"), (trained == shape[1], "all")):
            if bad.any():
                raise ValueError(
                    f"a shadow model must have seen some records of the pool and not others. Model {bad.argmax()} "
                    f"was trained on {what} of them"
                )

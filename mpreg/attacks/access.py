"""What an attacker can use beyond the target's predictions for the judged records."""

import functools
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from mpreg import signals
from mpreg._deprecated import RenamedAttribute, renamed_arguments
from mpreg.data import flatten, is_text, join_groups, map_arrays, pool
from mpreg.data.augmentations import altered, default_augmentation
from mpreg.signals.copies import read_copies
from mpreg.signals.imitators import imitate, table_of

NEEDS = {
    "records": "the judged records themselves",
    "numbers": "features that are numbers",
    "model": "queries to the model",
    "population": "records of the same population that are known not to be members (the split's reference)",
    "shadows": "shadow models",
    "weights": "the model itself, with its weights",
}

# How far an attacker reaches, from the least, and who that is: the end of "An attacker who ...".
LEVELS = {
    "label only": "sees the predicted class alone",
    "probabilities": "sees all that the model answers to a record",
    "repeated queries": "asks about many altered copies of a record",
    "shadow models": "can train models like this one, its defence included",
    "white box": "holds the model with its weights",
}
SEES_LABELS_ALONE = ("gap", "label_only")  # keys
OWN_RECORDS = "shadow_own_records"  # key of the attack whose shadow models know the attacker's records alone


def level_of(attack):
    """Returns the access level of an attack, a key of `LEVELS`."""
    for need, level in (("weights", "white box"), ("shadows", "shadow models")):
        if need in attack.needs:
            return level
    if attack.key in SEES_LABELS_ALONE:
        return "label only"
    if attack.key == OWN_RECORDS:
        return "shadow models"
    return "repeated queries" if "model" in attack.needs else "probabilities"


class Access:
    """Holds what an attacker can use: predictions for the judged records and, where given, more.

    The judged records are one pool throughout: members first, then non-members.

    Args:
        members, nonmembers: `Answers` of the target.
        inputs: the judged records, `(members, nonmembers)`, or None.
        query: function of inputs that returns the target's predictions, or None.
        population: pair `(x, y)` of records that are known not to be members, or None.
        shadows: `ShadowModels` of the pool, or None.
        model: the Keras classifier itself, without defences of its answers, or None.
        prediction_options: options for `signals.read_answers` that the target's predictions need.
        seed: seed of the attacks.

    Attributes:
        queries: number of records that the target was queried with beyond the judged ones.
    """

    ask, of = RenamedAttribute("query"), RenamedAttribute("subset")

    @renamed_arguments(ask="query", read="prediction_options")
    def __init__(
        self,
        members,
        nonmembers,
        *,
        inputs=None,
        query=None,
        population=None,
        shadows=None,
        model=None,
        prediction_options=None,
        seed=0,
    ):
        self.members, self.nonmembers = members, nonmembers
        self.inputs, self.population, self.shadows, self.seed = inputs, population, shadows, seed
        self.model = model
        self.labels = np.concatenate([members.labels, nonmembers.labels])
        self.classes = members.classes
        self.queries = 0
        self._query, self._prediction_options = query, prediction_options or {}
        self._shadow_values = {}

    def __len__(self):
        return len(self.labels)

    def has(self, need):
        """Returns whether the attacker has what a key of `NEEDS` names."""
        if need == "numbers":
            return self.inputs is not None and not any(map(is_text, flatten(self.inputs[0])))
        held = {"records": self.inputs, "model": self._query, "weights": self.model}
        return (held[need] if need in held else getattr(self, need)) is not None

    @functools.cached_property
    def groups(self):
        """Group numbers of members and of non-members, int (n,): equal inputs share one; without inputs, none do.

        Records of one side alone are told apart here: equal ones on two sides are a matter of the split. It is set
        where more belong together, such as twins.
        """
        if self.inputs is None:
            return tuple(np.arange(len(side)) for side in (self.members, self.nonmembers))
        return tuple(join_groups(x) for x in self.inputs)

    @functools.cached_property
    def records(self):
        """Inputs of all judged records, concatenated on first use."""
        return pool(*self.inputs)

    @functools.cached_property
    def answers(self):
        """The target's `Answers` for all judged records."""
        both = [self.members.log_probabilities, self.nonmembers.log_probabilities]
        return signals.Answers(np.concatenate(both), self.labels)

    @functools.cached_property
    def imitation(self):
        """How the target's answers lie to those of small networks that mimic it, (n, 12); for records of numbers."""
        return imitate(table_of(self.records, seed=self.seed), self.answers, seed=self.seed)

    @functools.cached_property
    def altered_copies(self):
        """What the target answers to altered copies of each record, which the attacks that ask about them share."""
        return self.read_copies(default_augmentation(self.records, seed=self.seed))

    def read_copies(self, augment):
        """What the target answers to the copies of each record that `augment` yields: `CopiesRead`."""
        copies = altered(augment, self.records)
        return read_copies(copies, self.answers, lambda batch: self.query(batch, self.labels))

    def shadow_values(self, *wanted):
        """Returns signals, each `per_record`, of every shadow model for the judged records, (models, n); read once."""
        missing = [signal for signal in wanted if signal not in self._shadow_values]
        if missing:
            with ThreadPoolExecutor() as threads:  # NumPy lets others run while it computes
                found = threads.map(
                    lambda model: self.shadows.values(model, missing), range(len(self.shadows))
                )
                values = np.stack(list(found), axis=1)
            values.flags.writeable = False
            self._shadow_values |= zip(missing, values, strict=True)
        return [self._shadow_values[signal] for signal in wanted]

    def subset(self, members, nonmembers):
        """Returns the `Access` to some records alone, given rows of members and of non-members."""
        rows = np.concatenate([members, len(self.members) + np.asarray(nonmembers)])
        sides = members, nonmembers
        return Access(
            self.members[members],
            self.nonmembers[nonmembers],
            inputs=self.inputs and tuple(_rows(x, own) for x, own in zip(self.inputs, sides, strict=True)),
            query=self._query,
            population=self.population,
            shadows=self.shadows and self.shadows.subset(rows),
            model=self.model,
            prediction_options=self._prediction_options,
            seed=self.seed,
        )

    def query(self, x, labels):
        """Queries the target with other records and returns its `Answers`; counted in `queries`."""
        self.queries += len(labels)
        return signals.read_answers(self._query(x), labels, **self._prediction_options)


def _rows(x, rows):
    return map_arrays(lambda array: array[rows], x)

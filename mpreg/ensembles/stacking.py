"""Stacking: base models trained on disjoint parts of the members, and a meta-model on their predictions."""

import json
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mpreg._files import replacing
from mpreg._validate import check_count, short_repr
from mpreg.data import as_arrays, check_labels, check_pair, count_labels, join_groups, label_indices, take
from mpreg.datasets.archives import DAMAGE, MADE_UP, check_size, most_bytes
from mpreg.ensembles.parts import KerasPart, SklearnPart, check_part, clean, open_part

MANIFEST = "stacking.json"
KINDS = {"keras": KerasPart, "sklearn": SklearnPart}
LOWEST_PROBABILITY = 1e-7  # in the loss that `evaluate` tells, as Keras has it


class Stacking:
    """Trains base models and a meta-model, each on members that no other of them sees.

    The meta-model learns from the class probabilities that the base models answer to its own members, side by side.
    To the base models these are no members, so it does not learn to trust what they remember.

    Cost: one plain training, shared out. Each model learns from a part of the members only, and that is paid for in
    accuracy. It consumes reference records only where a base model does.

    Source: Salem et al., "ML-Leaks: Model and Data Independent Membership Inference Attacks and Defenses on Machine
    Learning Models", NDSS 2019, model stacking: a neural network and a random forest below, logistic regression on
    top, on a third of the members each.

    Args:
        bases: two classifiers or more, of any kinds: compiled Keras models (defended ones too, such as
            `mpreg.DPSGD`), scikit-learn classifiers with `predict_proba`, or functions of nothing that build one.
            Functions are called at each `fit`, scikit-learn's models are cloned, Keras models trained as they are.
        meta: another one, whose records are the base models' class probabilities, (n, base models * classes).
        seed: non-negative integer of the parts, of what functions build, and of scikit-learn classifiers that have a
            `random_state` and say nothing else.

    Raises:
        ValueError: fewer than two base models, one Keras model given twice, or a seed out of range.
        TypeError: a model of another kind.

    Example:
    ```python
    model = mpreg.Stacking([build_and_compile, RandomForestClassifier()], LogisticRegression(max_iter=1000))
    model.fit(*split.members, epochs=30)
    print(mpreg.evaluate(model, split))
    model.save("stacking.zip")  # needs skops where there are scikit-learn models; no pickle
    model = mpreg.Stacking.load("stacking.zip")
    ```
    """

    def __init__(self, bases: Any, meta: Any, *, seed: int = 0):
        if not isinstance(bases, list | tuple) or len(bases) < 2:
            raise ValueError(f"bases must be a list of at least two models. Received: {short_repr(bases)}")
        for model in (*bases, meta):
            check_part(model)
        given = [id(clean(model)) for model in (*bases, meta) if isinstance(model, keras.Model)]
        if len(set(given)) < len(given):
            raise ValueError(
                "a Keras model cannot be two parts, which must not see each other's records. Received the same "
                "model twice: give a function that builds it"
            )
        check_count("seed", seed, 0)
        self._given, self._seed = [*bases, meta], seed
        self._parts: Any = None
        self._membership: Any = None

    def fit(
        self,
        x: Any,
        y: Any,
        *,
        epochs: int = 1,
        batch_size: int = 32,
        verbose: str | int = "auto",
        groups: Any = None,
    ) -> "Stacking":
        """Trains the base models, then the meta-model; returns this object.

        Args:
            x: records, an array; or a dict, list or tuple of arrays where all base models are Keras models.
            y: labels, integer (records,) or one-hot (records, classes), as the Keras models' losses take them.
            epochs, batch_size, verbose: of all Keras models, as for `keras.Model.fit`.
            groups: as for `mpreg.SplitDistillation.fit`: records that belong together go to one part, and equal ones
                always do.

        Raises:
            ValueError: fewer records than models, a Keras model that is not compiled or not wide enough, several
                inputs for a scikit-learn model.
        """
        check_count("epochs", epochs, 1)
        check_count("batch_size", batch_size, 1)
        x, y = check_pair((x, y), "records")
        rows = _deal(join_groups(x, groups), len(self._given), seed=self._seed)
        parts = [open_part(model, seed=self._seed + at) for at, model in enumerate(self._given)]
        classes = _count_classes(parts[:-1], x, y)
        _count_classes(parts[-1:], np.zeros((len(y), (len(parts) - 1) * classes), np.float32), y)
        options = {"epochs": epochs, "batch_size": batch_size, "verbose": verbose}
        for part, own in zip(parts[:-1], rows, strict=False):
            part.fit(*take((x, y), own), **options)
        own, labels = take((x, y), rows[-1])
        answers = _side_by_side(parts[:-1], own, classes)
        parts[-1].fit(answers, labels, **options)
        self._parts, self._classes = parts, classes
        self._consumes_reference = any(part.consumes_reference for part in parts)
        self._membership = np.zeros((len(parts), len(y)), bool)
        for trained_on, own in zip(self._membership, rows, strict=True):
            trained_on[own] = True
        return self

    @property
    def membership(self) -> np.ndarray:
        """Which records each base model, and last the meta-model, was trained on, bool (models, records)."""
        self._trained()
        if self._membership is None:
            raise RuntimeError("a loaded Stacking does not know who its members were: it is not saved")
        return self._membership

    @property
    def consumes_reference(self) -> bool:
        """Whether a model learns from reference records, which then leak too."""
        self._trained()
        return self._consumes_reference

    def predict(self, x: Any) -> np.ndarray:
        """Returns class probabilities, float32 (n, classes), of records as `fit` takes them."""
        parts, x = self._trained(), as_arrays(x)
        return _padded(parts[-1].answers(_side_by_side(parts[:-1], x, self._classes)), self._classes)

    predict_proba = predict  # as scikit-learn has it, and mpreg.evaluate asks for it

    def evaluate(self, x: Any, y: Any) -> dict[str, float]:
        """Returns mean cross-entropy and accuracy, `{"loss": ..., "accuracy": ...}`."""
        answers = self.predict(x)
        labels = label_indices(check_labels(y), self._classes)
        chosen = np.maximum(answers[np.arange(len(labels)), labels], LOWEST_PROBABILITY)
        accuracy = np.mean(answers.argmax(axis=1) == labels)
        return {"loss": float(-np.log(chosen).mean()), "accuracy": float(accuracy)}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes all models into one zip file, Keras' as `.keras`, scikit-learn's as `.skops`; no pickle.

        Defences around Keras models are left out, as they have done their work.

        Raises:
            ImportError: there are scikit-learn models, and skops is not installed.
            ValueError: a scikit-learn model made of other types than scikit-learn's own.
        """
        parts = self._trained()
        entries = []
        with tempfile.TemporaryDirectory() as folder:
            for at, part in enumerate(parts):
                part.write(Path(folder) / f"{at}{part.suffix}")
                (kind,) = (name for name, of in KINDS.items() if isinstance(part, of))
                entries.append({"kind": kind, **part.facts()})
            manifest = {
                "format": 1,
                "classes": self._classes,
                "consumes_reference": self._consumes_reference,
                "seed": self._seed,
                "parts": entries,
            }
            with replacing(path) as written, zipfile.ZipFile(written, "w") as file:
                file.writestr(MANIFEST, json.dumps(manifest))
                for at, part in enumerate(parts):
                    file.write(Path(folder) / f"{at}{part.suffix}", f"{at}{part.suffix}")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Stacking":
        """Loads a file written by `save` as a `Stacking` with the same predictions.

        Nothing in the file is run. But scikit-learn does not check the trees that it is given, so that a file made to
        do harm can crash the process.

        Raises:
            ImportError: as for `save`.
            ValueError: a file that is none of `save`, or that holds types other than those `save` writes.
        """
        try:
            with zipfile.ZipFile(path) as file:
                check_size(file, most_bytes())
                manifest = json.loads(file.read(MANIFEST))
                parts = [_read(file, at, entry) for at, entry in enumerate(manifest["parts"])]
        except (*DAMAGE, *MADE_UP, json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{str(path)!r} is not a file that mpreg.Stacking has saved") from error
        stacking = cls([part.model for part in parts[:-1]], parts[-1].model, seed=manifest["seed"])
        stacking._parts, stacking._classes = parts, manifest["classes"]
        stacking._consumes_reference = manifest["consumes_reference"]
        return stacking

    def _trained(self):
        if self._parts is None:
            raise RuntimeError("the models are not trained yet: call fit first")
        return self._parts


def _deal(groups, parts, *, seed):
    """Rows of disjoint parts of the records, of as many groups each as can be."""
    count = groups.max() + 1
    if count < parts:
        raise ValueError(
            f"each of {parts} models needs records of its own: give {parts} at least. "
            f"Received: {count} records that differ"
        )
    dealt = np.array_split(np.random.default_rng(seed).permutation(count), parts)
    return [np.flatnonzero(np.isin(groups, part)) for part in dealt]


def _count_classes(parts, x, y):
    """Number of classes of labels and Keras models.

    Raises:
        ValueError: a Keras model is too narrow for the labels, or is one that `KerasPart.width` refuses.
    """
    in_labels = max(2, count_labels(y))
    first, _ = take((x, y), slice(1))
    widths = [part.width(first) for part in parts]
    for width in widths:
        if 0 < width < in_labels:
            raise ValueError(
                f"a Keras model answers for {width} classes, but there are {in_labels} in the labels"
            )
    return max(in_labels, *widths)


def _side_by_side(parts, x, classes):
    """The records of the meta-model, float32 (n, parts * classes)."""
    return np.concatenate([_padded(part.answers(x), classes) for part in parts], axis=1)


def _padded(answers, classes):
    """Class probabilities with columns of zeros for the classes that a model has never seen."""
    return np.pad(answers, ((0, 0), (0, max(0, classes - answers.shape[1]))))


def _read(file, at, entry):
    kind = KINDS[entry.pop("kind")]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / f"{at}{kind.suffix}"
        copy.write_bytes(file.read(copy.name))
        return kind.read(copy, **entry)

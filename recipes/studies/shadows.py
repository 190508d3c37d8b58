"""Shadow models trained one by one, the answers of each kept in a file: a run that was stopped loses one training."""

import hashlib
import io
import time
from pathlib import Path

import keras
import numpy as np

import mpreg
from mpreg import signals
from mpreg._files import replacing, write_all
from mpreg._validate import check_count
from mpreg.data import label_indices, take
from mpreg.data.duplicates import digest_records
from mpreg.datasets.archives import most_bytes, read_npz
from mpreg.outputs import is_coarse


class KeptShadows:
    """How to train shadow models, for `mpreg.evaluate(shadows=...)`, with a file for what each one answers.

    A file that is there is read instead of training, if it is of the same records, membership, seed and `stamp`. What
    is kept are answers to the pool and to `others`; the models themselves are let go, so that attacks that ask shadow
    models about altered records need a `ShadowTraining`.

    Args:
        train: function `(x, y, seed)` that returns a model fitted on these records as the target was.
        folder: of the files, `000.npz` and on.
        count: number of shadow models, at least 2.
        stamp: text that tells what is trained, such as a digest; files of another are made anew.
        others: further inputs that they answer to, such as reference records; None for none.
        said: function that is told, in a few words, which one is trained.

    Raises:
        ValueError: `count` below 2.

    Example:
    ```python
    shadows = KeptShadows(train, "shadows/mine", count=16, stamp="mine, third version", others=split.reference[0])
    mpreg.evaluate(model, split, attacks="strong", shadows=shadows)
    ```
    """

    def __init__(self, train, folder, *, count=16, stamp="", others=None, said=lambda words: None):
        check_count("count", count, 2)
        self._train, self.folder, self.count = train, Path(folder), count
        self._stamp, self._others, self._said = stamp, others, said

    def train(self, x, y, *, membership, seed=0):
        """`ShadowModels` of the records `x`, `y`, model i trained on those where `membership[i]` is True."""
        inputs = [x] if self._others is None else [x, self._others]
        digests = [digest_records(part) for part in inputs]
        of = b"".join(part.tobytes() for part in (*digests, np.asarray(y)))
        kept = []
        for index, chosen in enumerate(membership):
            path = self.folder / f"{index:03}.npz"
            mark = hashlib.sha256(
                f"{self._stamp} {seed + index} ".encode() + of + chosen.tobytes()
            ).hexdigest()
            found = _read(path, mark)
            if found is None:
                self._said(f"shadow model {index + 1} of {self.count}")
                found = self._one(
                    path, mark, inputs, *take((x, y), chosen), seed + index, label_indices(y).max()
                )
            kept.append(found)
        answers = np.stack([found["answers"] for found in kept])
        return mpreg.ShadowModels(
            membership,
            answers[:, : len(y)],
            y,
            query=_Remembered(np.concatenate(digests), answers),
            coarse=any(bool(found["coarse"]) for found in kept),
            seconds=sum(float(found["seconds"]) for found in kept),
            how="one by one, with the same defence",
        )

    def _one(self, path, mark, inputs, x, y, seed, highest):
        began = time.perf_counter()
        keras.backend.clear_session()  # graphs of the models before
        model = self._train(x, y, seed)
        seconds = time.perf_counter() - began
        answers = [np.asarray(signals.predict(model, part, classes=1 + int(highest))) for part in inputs]
        found = {
            "mark": np.array(mark),
            "answers": np.concatenate(answers).astype(np.float32),
            "coarse": np.array(hasattr(model, "predict_on_batch") and is_coarse(model)),
            "seconds": np.array(seconds),
        }
        content = io.BytesIO()
        np.savez(content, **found)
        write_all(path.parent, {path.name: content.getvalue()})
        return found


class _Remembered:
    """Answers of all models to inputs that they were asked about before: (models, n, classes)."""

    def __init__(self, digests, answers):
        self._rows = {digest.tobytes(): row for row, digest in enumerate(digests)}
        self._answers = answers

    def __call__(self, x):
        rows = [self._rows.get(digest.tobytes()) for digest in digest_records(x)]
        if None in rows:
            raise ValueError(
                f"{rows.count(None):,} of {len(rows):,} records are new to the shadow models, of which only the "
                "answers were kept. Attack with a mpreg.ShadowTraining"
            )
        return self._answers[:, rows]


class KeptModels:
    """Undefended classifiers by the records they were trained on, as files: what defences of their answers share.

    Args:
        folder: of the files.
        stamp: text that tells how they are trained.

    Example:
    ```python
    model = KeptModels("shadows/models", stamp)(task)      # a `mpreg.catalogue.Task`
    ```
    """

    def __init__(self, folder, stamp):
        self.folder, self._stamp = Path(folder), stamp

    def __call__(self, task):
        x, y = task.split.members
        of = f"{self._stamp} {task.seed} ".encode() + digest_records(x).tobytes() + np.asarray(y).tobytes()
        path = self.folder / f"{hashlib.sha256(of).hexdigest()[:24]}.keras"
        if path.exists():
            return keras.saving.load_model(path, compile=False)
        model = task.trained_anew()
        with replacing(path) as written:
            model.save(written)
        return model


def _read(path, mark):
    """What a file holds, if it has this mark; None for one that is damaged, or not there."""
    try:
        found = read_npz(path, max_bytes=most_bytes())
    except (OSError, ValueError):
        return None
    return found if str(found.get("mark")) == mark else None

"""Story 2: a training script that one more callback defends, and what that buys.

Run it with `python docs/examples/defend_in_one_line.py`, then open `defended/report.html`.
"""

from pathlib import Path

import keras
from sklearn.datasets import load_digits

import mpreg
from mpreg.callbacks import AdversarialTraining
from mpreg.reports.html import write_html


def build():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((64,)), keras.layers.Dense(256, "relu"), keras.layers.Dense(10, "softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def main(out="defended", *, epochs=60, attacks="standard"):
    digits = load_digits()
    split = mpreg.MembershipSplit.from_arrays(
        digits.data.astype("float32") / 16,
        digits.target,
        members=100,
        reference=700,
        seed=0,
        duplicates="drop",
    )

    plain = build()
    plain.fit(*split.members, epochs=epochs, verbose=0)

    defended = build()
    defence = AdversarialTraining(split.reference, seed=0)
    defended.fit(*split.members, epochs=epochs, verbose=0, callbacks=[defence])  # the one line

    comparison = mpreg.compare(
        {
            "plain": mpreg.evaluate(plain, split, attacks=attacks),
            # The defence looked at the reference records, so they are attacked too.
            "defended": mpreg.evaluate(defended, split, attacks=attacks, reference=True),
        }
    )
    write_html(
        comparison, Path(out, "report.html"), title="Digits, without and with adversarial regularization"
    )
    defended.save(Path(out, "defended.keras"))  # a plain Keras model
    print(comparison)
    return comparison


if __name__ == "__main__":
    main()

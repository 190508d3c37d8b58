"""Story 3: several defences side by side, one chosen by a rule that was fixed before, and the paper for the officer.

Run it with `python docs/examples/choose_a_defence.py`, then open `choice/report.html` and `choice/dpia.html`.
"""

from pathlib import Path

import keras
from sklearn.datasets import load_digits

import mpreg
from mpreg._files import write_all
from mpreg.evaluation import choice
from mpreg.reports.html import render_html
from mpreg.reports.impact import assessment

AFFORDED = 0.03  # test accuracy that privacy may cost


def build(dropout=0.0):
    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(256, "relu"), keras.layers.Dropout(dropout)]
    return keras.Sequential([keras.Input((64,)), *hidden, keras.layers.Dense(10, "softmax")])


def fitted(model, split, epochs):
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(*split.members, epochs=epochs, batch_size=32, verbose=0)
    return model


def choose(reports):
    """Of those that cost no more than is afforded, the one that gives away least of members and reference records."""
    return choice_among(reports).name


def choice_among(reports):
    """The same, with what the figures do not tell from it."""
    rates = {name: (report.test_accuracy, given_away(report)) for name, report in reports.items()}
    return choice.choose(rates, first="none", afforded=AFFORDED)


def given_away(report):
    """Accuracy of the attack on members, or on the reference records that the defence learned from: the higher one."""
    reference = report.reference
    return max(side.attack_accuracy for side in (report, reference) if side is not None)


def main(out="choice", *, epochs=60, strengths=(1.0, 1.5), attacks="standard"):
    digits = load_digits()
    split = mpreg.MembershipSplit.from_arrays(
        digits.data.astype("float32") / 16,
        digits.target,
        members=100,
        reference=700,
        seed=0,
        duplicates="drop",
    )
    plain = fitted(build(), split, epochs)
    models = {
        "none": plain,
        "rounded answers": mpreg.defend(plain, mpreg.Rounding(1)),
        "L2": fitted(mpreg.with_l2(build(), 1e-2), split, epochs),
        "dropout": fitted(build(dropout=0.5), split, epochs),
    }
    for strength in strengths:
        wrapper = mpreg.AdversarialRegularization(build(), split.reference, strength=strength, seed=0)
        models[f"adversarial, strength {strength:g}"] = fitted(wrapper, split, epochs)

    # Reference records that a defence learned from are attacked too.
    reports = {name: mpreg.evaluate(model, split, attacks=attacks) for name, model in models.items()}
    comparison = mpreg.compare(reports)
    chosen = choose(reports)
    document = assessment(comparison, title="Digits: choice of a defence", chosen=chosen)
    write_all(
        Path(out),
        {
            "report.html": render_html(comparison, title="Digits: defences side by side"),
            "dpia.html": document.to_html(),
            "dpia.md": document.to_markdown(),
        },
    )
    print(comparison)
    print(choice_among(reports))  # the choice, or that the figures do not tell it from others
    return comparison, chosen


if __name__ == "__main__":
    main()

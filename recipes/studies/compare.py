"""A classifier with each of some defences, attacked: the table, the pictures and the models."""

from pathlib import Path

import keras

import mpreg
from mpreg.attacks import suite
from mpreg.catalogue import SETTINGS, chosen, setting_of
from mpreg.progress import progress_bar
from mpreg.recipes.writing import console, print_table, write_comparison


def run(defences, *, dataset="location30", attacks=(), epochs=None, out=None, seed=0):
    """Trains with each defence, attacks the results, prints the table and writes the folder `out`.

    Args:
        defences: names in `DEFENCES`, separated by commas, or "all"; plain training is always among them.
        dataset: a name in `SETTINGS`.
        attacks: keys of attacks beside those of the standard suite.
        epochs: of all trainings; None as in `SETTINGS`.
        out: folder for the report, pictures and models; None is `mpreg-compare/<dataset>`.
        seed: seed of the split, the weights and the attacks.

    Returns:
        The `Comparison`.

    Raises:
        ValueError: an unknown data set, defence or attack.
    """
    wanted = chosen(defences)
    judges = ["standard", *attacks] if attacks else "standard"
    suite(judges)  # an unknown one is refused before hours are spent
    setting = setting_of(SETTINGS, dataset).but(epochs=epochs)
    out = Path(out) if out else Path("mpreg-compare") / dataset
    data, split = setting.draw(seed)
    console.print(f"{data.description}\n{split}")
    reports = {}
    out.mkdir(parents=True, exist_ok=True)
    with progress_bar("training and attacking", len(wanted)) as advance:
        for defence in wanted:
            model = defence.train(setting, data, split, seed=seed)
            reports[defence.name] = mpreg.evaluate(
                model,
                split,
                attacks=judges,
                reference=defence.consumes_reference,
                seed=seed,
            )
            if isinstance(model, keras.Model):  # stacking also holds models that are none
                model.save(out / f"{defence.name}.keras")
            advance(defence.name)
    comparison = mpreg.compare(reports)
    print_table(f"{dataset}: {len(wanted) - 1} defences", *comparison.rows())
    write_comparison(
        comparison,
        out,
        title=f"{dataset}: defences compared",
        notes=[data.description, *map(_described, wanted), f"Seed {seed}."],
    )
    console.print(f"95 % intervals; guessing is 50 %. {split}\nReport, pictures, models: {out}")
    return comparison


def _described(defence):
    return f"{defence.name}: {defence.source}{f'; strength: {defence.knob}' if defence.knob else ''}."

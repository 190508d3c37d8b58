"""`mpreg quickstart`: a classifier without and with adversarial regularization, attacked, on real data."""

import time
from pathlib import Path

import mpreg
from mpreg.catalogue import defence_of, setting_of
from mpreg.catalogue.settings import DIGITS, LOCATION30, PURCHASE100_LIKE
from mpreg.progress import progress_bar
from mpreg.recipes.training import train_defended, train_undefended, watch
from mpreg.recipes.writing import console, print_table, write_comparison

# Epochs are the same without and with defence. The strengths are the catalogue's, which says how they were chosen.
SETTINGS = {
    setting.dataset: setting
    for setting in (
        DIGITS.replace(members=100, reference=700, epochs=60, batch_size=32),
        LOCATION30,
        PURCHASE100_LIKE,
    )
}


def run(dataset="digits", *, out=None, seed=0, strength=None, penalty=None, epochs=None):
    """Trains without and with defence, attacks both, prints the table and writes the folder `out`.

    The defence learns from reference records, so they are attacked too: what it gives away is the higher of both.

    Args:
        dataset: a name in `SETTINGS`.
        out: folder for the report, pictures and TensorBoard logs; None is `mpreg-quickstart/<dataset>`.
        seed: seed of the split, the weights and the attacks.
        strength: of the game; None is the catalogue's for the data set.
        penalty: fixed weight of the gain instead.
        epochs: of both trainings; None as in `SETTINGS`.

    Returns:
        The `Comparison` of "undefended" and "defended".

    Raises:
        ValueError: a data set that has no setting here; a strength beside a penalty.
    """
    setting = setting_of(SETTINGS, dataset).replace(epochs=epochs)
    if strength is None and penalty is None:
        strength = defence_of("advreg").strength_for(dataset)
    game = mpreg.training.GameOptions(strength=strength, penalty=penalty)
    weighed = f"strength {game.strength:g}" if game.relative else f"penalty {game.penalty:g}"
    began = time.perf_counter()
    out = Path(out) if out else Path("mpreg-quickstart") / dataset
    data, split = setting.draw(seed)
    console.print(f"{data.description}\n{split}")
    reports = {}
    for name in ("undefended", "defended"):
        with progress_bar(f"training {name}", setting.epochs) as advance:
            options = {"seed": seed, "callbacks": watch(split, out / "logs" / name, advance)}
            if name == "defended":
                model = train_defended(setting, data, split, strength=strength, penalty=penalty, **options)
            else:
                model = train_undefended(setting, data, split, **options)
        with progress_bar(f"attacking {name}", 1) as advance:
            reports[name] = mpreg.evaluate(model, split, reference=name == "defended", seed=seed)
            advance()
        model.save(out / f"{name}.keras")
    comparison = mpreg.compare(reports)
    print_table(f"{dataset}, without and with defence", *comparison.rows())
    write_comparison(
        comparison,
        out,
        title=f"{dataset}: without and with adversarial regularization",
        notes=[
            data.description,
            f"Defence: adversarial regularization, {weighed}. Seed {seed}.",
        ],
    )
    console.print(
        f"95 % intervals; guessing is 50 %. {split}\n"
        f"Report, pictures, models: {out}\n"
        f"Curves: tensorboard --logdir {out / 'logs'}\n"
        f"{time.perf_counter() - began:.0f} seconds."
    )
    return comparison

"""`mpreg quickstart`: a classifier without and with adversarial regularization, attacked, on real data."""

import time
from pathlib import Path

import mpreg
from mpreg import networks
from mpreg.recipes.experiment import (
    Setting,
    console,
    print_table,
    progress_bar,
    train_defended,
    train_undefended,
    watch,
    write_comparison,
)


def _mlp(build):
    return lambda shape, classes, seed: build(features=shape[0], classes=classes, seed=seed)


def _images(build):
    return lambda shape, classes, seed: build(input_shape=shape, classes=classes, seed=seed)


# Penalties and epochs were chosen on splits of other seeds than the default one.
SETTINGS = {
    setting.dataset: setting
    for setting in (
        Setting(
            dataset="digits",
            members=150,
            reference=700,
            network=_mlp(networks.location_mlp),
            learning_rate=1e-3,
            epochs=60,
            defended_epochs=60,
            penalty=3.0,
            batch_size=32,
        ),
        Setting(
            dataset="location30",
            members=1500,
            reference=1500,
            network=_mlp(networks.location_mlp),
            learning_rate=3e-4,
            epochs=50,
            defended_epochs=50,
            penalty=3.0,
        ),
        Setting(
            dataset="purchase100-like",
            members=10_000,
            reference=10_000,
            nonmembers=10_000,
            network=_mlp(networks.purchase_mlp),
            learning_rate=1e-3,
            epochs=20,
            defended_epochs=20,
            penalty=3.0,
        ),
    )
}


def run(dataset="digits", *, out=None, seed=0, penalty=None, epochs=None):
    """Trains without and with defence, attacks both, prints the table and writes the folder `out`.

    Args:
        dataset: a name in `SETTINGS`.
        out: folder for the report, pictures and TensorBoard logs; None is `mpreg-quickstart/<dataset>`.
        seed: seed of the split, the weights and the attacks.
        penalty: weight of the gain; None as in `SETTINGS`.
        epochs: of both trainings; None as in `SETTINGS`.

    Returns:
        The `Comparison` of "undefended" and "defended".

    Raises:
        ValueError: a data set that has no setting here.
    """
    if dataset not in SETTINGS:
        raise ValueError(f"dataset must be one of {', '.join(SETTINGS)}. Received: {dataset!r}")
    began = time.perf_counter()
    setting = SETTINGS[dataset].but(penalty=penalty, epochs=epochs, defended_epochs=epochs)
    out = Path(out) if out else Path("mpreg-quickstart") / dataset
    data, split = setting.draw(seed)
    console.print(f"{data.description}\n{split}")
    reports = {}
    for name, train, epochs in (
        ("undefended", train_undefended, setting.epochs),
        ("defended", train_defended, setting.defended_epochs),
    ):
        with progress_bar(f"training {name}", epochs) as advance:
            callbacks = watch(split, out / "logs" / name, advance)
            model = train(setting, data, split, seed=seed, callbacks=callbacks)
        with progress_bar(f"attacking {name}", 1) as advance:
            reports[name] = mpreg.evaluate(model, split, seed=seed)
            advance()
        model.save(out / f"{name}.keras")
    comparison = mpreg.compare(reports)
    print_table(f"{dataset}, without and with defence", *comparison.rows())
    write_comparison(
        comparison,
        out,
        title=f"{dataset}: without and with adversarial regularization",
        notes=[data.description, f"Defence: adversarial regularization, penalty {setting.penalty:g}. Seed {seed}."],
    )
    console.print(
        f"95 % intervals; guessing is 50 %. {split}\n"
        f"Report, pictures, models: {out}\n"
        f"Curves: tensorboard --logdir {out / 'logs'}\n"
        f"{time.perf_counter() - began:.0f} seconds."
    )
    return comparison

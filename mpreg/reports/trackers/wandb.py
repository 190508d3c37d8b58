"""A report as summary, table and page of a run of Weights & Biases."""

from mpreg.reports.html import render_html
from mpreg.reports.schema import models_of, ranked, read
from mpreg.reports.trackers.numbers import numbers_of, strongest_by_model

COLUMNS = ["model", "attack", "accuracy", "low", "high", "AUC", "advantage"]


def log_to_wandb(subject, *, run=None):
    """Logs a report, a comparison or an audit to a run of Weights & Biases.

    `report/attack_accuracy` and its like stand in the run's summary, with `_low` and `_high`; every attack is a row of
    the table `report/attacks`, and the page is `report/page`. Needs `pip install "mpreg[wandb]"`.

    Epochs need nothing of this: `PrivacyMeter` writes into Keras' `logs`, which `WandbMetricsLogger` logs if it
    comes after it.

    Args:
        subject: a document of `docs/report-schema.md`, or what gives one by `to_dict()`, such as a `PrivacyReport`.
        run: what `wandb.init` returned; None takes the active run.

    Raises:
        ImportError: wandb is not installed.
        ValueError: no run is active, or no such document.

    Example:
    ```python
    with wandb.init(project="privacy"):
        model.fit(*split.members, callbacks=[PrivacyMeter(split), WandbMetricsLogger()])
        log_to_wandb(mpreg.evaluate(model, split))
    ```
    """
    try:
        import wandb
    except ImportError as error:
        raise ImportError('wandb is not installed. Use: pip install "mpreg[wandb]"') from error
    run = wandb.run if run is None else run
    if run is None:
        raise ValueError("no run is active: call wandb.init() first, or give run=")
    document = read(subject)
    rows = [_row(name, attack) for name, report in models_of(document).items() for attack in ranked(report)]
    run.log(
        {
            "report/attacks": wandb.Table(columns=COLUMNS, data=rows),
            "report/page": wandb.Html(render_html(subject), inject=False),
        }
    )
    run.summary.update({**numbers_of(document), **strongest_by_model(document)})


def _row(name, attack):
    accuracy = attack["accuracy"]
    rates = accuracy, *accuracy.interval, attack["auc"], attack["advantage"]
    return [name, attack["name"], *map(float, rates)]

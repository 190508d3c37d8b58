"""A classifier with each of some defences, attacked: the table, the pictures and the models."""

from pathlib import Path

import keras

import mpreg
from mpreg._files import replacing
from mpreg.attacks import suite as attacks_of
from mpreg.catalogue import SETTINGS, chosen, setting_of
from mpreg.catalogue.stranger import write_beside
from mpreg.progress import progress_bar
from mpreg.recipes.studies.adaptive import (
    SHADOWS,
    announced,
    attack_with_canaries,
    check_room,
    options_of,
)
from mpreg.recipes.studies.cells import Cell
from mpreg.recipes.writing import console, print_table, write_comparison


def run(
    defences,
    *,
    dataset="location30",
    suite="adaptive",
    shadows=SHADOWS,
    canaries=None,
    attacks=(),
    epochs=None,
    out=None,
    seed=0,
):
    """Trains with each defence, attacks the results, prints the table and writes the folder `out`.

    Each defence is judged by an attacker who trains shadow models with it, and in a second training by canaries, the
    records that stand out; what shadow models answer is kept, so that a run that was stopped goes on.

    Args:
        defences: names in `DEFENCES`, separated by commas, or "all"; plain training is always among them.
        dataset: a name in `SETTINGS`.
        suite, shadows, canaries: as for `mpreg.recipes.studies.defence_table.run`.
        attacks: keys of attacks beside those of the suite.
        epochs: of plain training, by which those of defences go; None as in `SETTINGS`.
        out: folder for the report, pictures and models; None is `mpreg-compare/<dataset>`.
        seed: seed of the split, the weights and the attacks.

    Returns:
        The `Comparison`.

    Raises:
        ValueError: an unknown data set, defence or attack, or shadow models or canaries that are none.
    """
    wanted = chosen(defences)
    setting = setting_of(SETTINGS, dataset).replace(epochs=epochs)
    judges = options_of(setting, attackers=suite, shadows=shadows, canaries=canaries)
    cells = [Cell(dataset, each.name, seed, None, epochs, False, tuple(attacks), **judges) for each in wanted]
    attacks_of(cells[0].suite)  # an unknown one is refused before hours are spent,
    check_room(cells)  # and so are too many canaries
    out = Path(out) if out else Path("mpreg-compare") / dataset
    drawn = setting.draw(seed)
    data, split = drawn
    console.print(f"{data.description}\n{split}\n{announced(cells)}")
    reports = {}
    out.mkdir(parents=True, exist_ok=True)
    with progress_bar("training and attacking", len(cells)) as advance:
        for cell in cells:
            found = attack_with_canaries(
                cell,
                out / "shadows",
                drawn=drawn,
                said=lambda words, name=cell.defence: advance(f"{name}: {words}", 0),
            )
            reports[cell.defence] = found.report
            if isinstance(found.model, keras.Model):  # stacking also holds models that are none
                with replacing(out / f"{cell.defence}.keras") as written:
                    found.model.save(written)
            advance(cell.defence)
    write_beside(out, setting, data, seed=seed)
    comparison = mpreg.compare(reports)
    print_table(f"{dataset}: {len(wanted) - 1} defences", *comparison.rows())
    write_comparison(
        comparison,
        out,
        title=f"{dataset}: defences compared",
        notes=[
            data.description,
            *(_described(defence, setting) for defence in wanted),
            announced(cells),
            f"Seed {seed}.",
        ],
    )
    console.print(f"95 % intervals; guessing is 50 %. {split}\nReport, pictures, models: {out}")
    return comparison


def _described(defence, setting):
    """The source, and how strong and how long it was, in a line."""
    strength, epochs = defence.strength_for(setting.dataset), defence.epochs_for(setting)
    parts = [defence.source]
    if strength is not None:
        parts.append(f"{defence.knob} {strength:g}")
    if epochs != setting.epochs:
        parts.append(f"{epochs} epochs, where plain training has {setting.epochs}")
    return f"{defence.name}: {'; '.join(parts)}."

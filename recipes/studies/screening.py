"""Whom screening leaves out of a data set's members: clean ones by class, and canaries planted among them."""

import time
from pathlib import Path

import click

import mpreg
from mpreg._files import write_all, write_json
from mpreg._text import percent
from mpreg.catalogue import SETTINGS, Task, setting_of
from mpreg.catalogue.screening import PublicScreeningOptions, ScreeningOptions, screened_rows
from mpreg.data.canaries import KINDS
from mpreg.recipes import options
from mpreg.recipes.writing import console, print_table

SHARE_OF_CANARIES = 0.1  # of the members
CLEAN = "none planted"
BY_MEMBERS, BY_REFERENCE = "other members", "reference records"  # whose models judge
HEADER = (
    "judged by",
    "canaries",
    "canaries left out",
    "other members left out",
    "most of one class",
    "seconds",
)


def run(*, dataset="location30", seed=0, out=None):
    """Screens the members as `screened-...` does in other commands; nothing is trained but what scores them.

    Members are judged by models of other members, and by one of the reference records, as ahead of a guarantee.

    A tenth of the members are made canaries, of each kind in turn: what is left of them is what a model can still learn
    by heart.

    Args:
        dataset: a name in `SETTINGS`.
        seed: of the split, the canaries and the folds.
        out: folder for `screening.json`, `screening.md` and `screening.html`; None is `mpreg-screening/<dataset>`.

    Returns:
        The `mpreg.data.ScreeningReport` of the members without canaries, and a dict of figures a row.
    """
    setting = setting_of(SETTINGS, dataset)
    data, split = setting.draw(seed)
    rows, clean = [], None
    for kind in (CLEAN, *KINDS):
        planted = split
        if kind != CLEAN:
            count = max(4, round(SHARE_OF_CANARIES * len(split.members[1])) // 2 * 2)  # two pairs of twins
            planted = mpreg.plant_canaries(split, count, kind, seed=seed)
        task = Task(setting, data, planted, seed)
        for by in (BY_MEMBERS, BY_REFERENCE):
            screening, left_out, seconds = _screened(task, by)
            rows.append(_figures(planted, kind, by, screening, left_out, seconds))
            if (kind, by) == (CLEAN, BY_MEMBERS):
                clean = screening.report()
    rows.sort(key=lambda row: row["judged_by"])  # stable
    print_table(f"screening of {setting.name}, {len(split.members[1]):,} members", HEADER, map(_line, rows))
    console.print(str(clean), soft_wrap=True)
    out = Path(out) if out else Path("mpreg-screening") / setting.name
    content = {"title": f"Screening of {setting.name}", "planted": rows, "clean": clean.to_dict()}
    write_json(content, out / "screening.json")
    pages = {"screening.md": clean.to_markdown(), "screening.html": clean.to_html()}
    write_all(out, {name: text.encode("utf-8") for name, text in pages.items()})
    return clean, rows


def _screened(task, by):
    """The screening, the rows of the members that it leaves out, and the processor seconds that it took."""
    began = time.process_time()
    if by == BY_MEMBERS:
        screening = ScreeningOptions().screening(task)
        left_out = screened_rows(screening, task.split.members, left_out=True)
    else:
        screening = PublicScreeningOptions().screening(task)
        screening.fit(*task.split.members)
        left_out = screening.left_out_
    return screening, left_out, time.process_time() - began


def _figures(split, kind, by, screening, left_out, seconds):
    canaries = [] if split.canaries is None else split.canaries.members
    of_canaries = len(set(left_out) & set(canaries))
    others = len(split.members[1]) - len(canaries)
    return {
        "judged_by": by,
        "canaries": kind,
        "canaries_left_out": of_canaries / len(canaries) if len(canaries) else None,
        "others_left_out": (len(left_out) - of_canaries) / others,
        "most_of_a_class": max(screening.share_of_class_.values()),
        "seconds": seconds,
    }


def _line(row):
    shares = (row["canaries_left_out"], row["others_left_out"], row["most_of_a_class"])
    return (
        row["judged_by"],
        row["canaries"],
        *("-" if share is None else percent(share) for share in shares),
        f"{row['seconds']:.1f}",
    )


@click.command()
@options.dataset(SETTINGS)
@options.seed
@options.out
def command(dataset, seed, out):
    """Whom screening leaves out of a data set's members, by class, and how many of the canaries planted among them."""
    run(dataset=dataset, seed=seed, out=out)

"""The folder of a protection: the classifier, the report with all that was tried, a script and a model card."""

import json
from pathlib import Path

import mpreg
from mpreg._files import replacing, write_all, write_json
from mpreg._text import markdown_table, percent_with_interval
from mpreg.catalogue import defence_of
from mpreg.catalogue.stranger import write_beside
from mpreg.recipes.studies.frontier import frontier_of, plot, rows_of
from mpreg.recipes.writing import write_comparison
from mpreg.reports.document import Ask, Document, Points, Section, Table, Text

CARD = "model_card.md"
SCHEMA = "mpreg.protection/1"


def write(found, job, *, rebuild, seconds):
    """Writes the files of a `Protected`.

    Args:
        found: the `Protected`.
        job: its `Job`.
        rebuild: lines of the script that make `setting`, `data` and `split`; () where they are the caller's own.
        seconds: that it took.
    """
    out, points = found.out, [trial.point for trial in found.search.trials]
    out.mkdir(parents=True, exist_ok=True)
    with replacing(out / "classifier.keras") as written:
        found.model.save(written)
    if rebuild:
        write_beside(out, job.setting, job.data, seed=job.seed)
    write_comparison(
        found.comparison,
        out,
        title=f"{job.setting.dataset}: protected by {found.name}",
        notes=[job.data.description, found.why.replace("\n", "\n\n")],
    )
    plot(points, out / "frontier.png", title="Tried on validation halves of the reference records")
    tried = markdown_table(*rows_of(points))
    report = Path(out / "report.md")
    text = f"{report.read_text('utf-8')}\n## All that was tried\n\n{tried}\n\n![Privacy and utility](frontier.png)\n"
    card = _card(found, job)
    write_all(out, {report.name: text, CARD: card, "rebuild.py": _script(found, job, rebuild)})
    best = frontier_of(points)
    tried = [{**point.to_dict(), "on_frontier": point in best} for point in points]
    content = {
        "schema": SCHEMA,
        "met": found.met,
        "why": found.why,
        "seconds": round(seconds, 1),
        "tried": tried,
    }
    write_json(json.loads(json.dumps(content)), out / "protection.json")


def _card(found, job):
    """The model card as Markdown; what only people know is marked."""
    data, taken, report = job.data, found.search.taken, found.report
    rates = ("train_accuracy", "test_accuracy")
    rows = [[rate.replace("_", " "), percent_with_interval(getattr(report, rate))] for rate in rates]
    rows.append(["strongest attack", f"{percent_with_interval(found.attack)}; guessing is 50 %"])
    encoding = data.encoding
    facts = [f"Records: shape {data.features.shape[1:]}, {data.classes} classes. {data.description}"]
    if encoding is not None:
        facts.append(
            f"Columns: {', '.join(column.name for column in encoding.columns)}; encoded by encoding.json"
        )
        facts.append(f"Classes: {', '.join(map(str, encoding.classes))}, from the column {encoding.label}")
    sections = (
        Section("What it is for", (Ask("Intended use, users, and uses that it is not for."),)),
        Section(
            "Data",
            (Points(tuple(facts)), Ask("Where the records come from, and on what ground they are used.")),
        ),
        Section(
            "Training",
            (
                Text(
                    f"A Keras classifier of {found.model.count_params():,} weights, {job.setting.epochs} epochs in "
                    f"batches of {job.setting.batch_size}, with {taken.name} ({defence_of(taken.defence).source}), "
                    f"seed {job.seed}, by mpreg {mpreg.__version__}. rebuild.py trains it again. It needs nothing of "
                    "mpreg to serve."
                ),
            ),
        ),
        Section(
            "Figures",
            (Table(("", "95 % interval"), tuple(map(tuple, rows))), Text("report.html has all of them.")),
        ),
        Section("Privacy", tuple(Text(line) for line in found.why.split("\n"))),
        Section(
            "Limits",
            (
                Text(
                    "No figure is a guarantee: an attack that nobody tried may tell more. Only differential privacy "
                    "bounds it."
                ),
                Ask("Groups for which it was not tested, and known failures."),
            ),
        ),
    )
    return Document(f"{job.setting.dataset}: a protected classifier", "Model card", sections).to_markdown()


def _script(found, job, rebuild):
    """A script that trains the classifier again."""
    taken = found.search.taken
    own = rebuild or (
        "# `build_fn` and `split` as they were given to mpreg.protect:",
        "# from my_project import build_fn, split",
        "from mpreg.protection.protect import setting_of_function",
        "",
        "setting, data = setting_of_function(",
        f"    build_fn, split, epochs={job.setting.epochs}, batch_size={job.setting.batch_size}",
        ")",
    )
    lines = [
        f'"""Trains classifier.keras again, as rebuilt.keras; written by mpreg {mpreg.__version__}."""',
        "",
        "import mpreg",
        "from mpreg.catalogue import OwnData, defence_of, load_plugin",
        "from mpreg.datasets import OwnFile",
        "",
        *own,
        f"defence = defence_of({taken.defence!r})",
        f"model = defence.train(setting, data, split, seed={job.seed}, strength={taken.strength!r})",
        'model.save("rebuilt.keras")',
        "print(mpreg.evaluate(model, split, reference=defence.consumes_reference))",
    ]
    return "\n".join(lines) + "\n"

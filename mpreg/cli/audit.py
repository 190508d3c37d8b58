"""`mpreg audit`."""

import shlex
import sys
import time
from pathlib import Path

import click

from mpreg._files import check_outputs, write_all
from mpreg.cli.start_up import import_tensorflow
from mpreg.recipes import own_data

ATTACKS = ("fast", "standard", "strong", "whitebox")
OF_A_MODEL_ALONE = ("strong", "whitebox")
ABOVE_LIMIT = 1
_OF_A_MODEL = ("reference", "allow_duplicates", "label", "drop", "encoding")
_FILE = click.Path(exists=True, dir_okay=False)
_DATA = click.Path(exists=True)


@click.command()
@click.argument("model", type=_FILE, required=False)
@click.option("--members", type=_DATA, help="Records that MODEL was trained on: .npz with x and y, .csv, ...")
@click.option("--nonmembers", type=_DATA, help="Records that MODEL was not trained on.")
@click.option("--reference", type=_DATA, help="Reference records that a defence was trained with.")
@click.option(
    "--data",
    type=_DATA,
    help="One file with all records, in place of --members, --nonmembers and --reference; needs --split.",
)
@click.option("--split", "rows", type=_FILE, help="The split.npz with the role of each row of --data.")
@own_data.label
@own_data.drop
@click.option(
    "--encoding",
    type=_FILE,
    help="File with the encoding of a table. [default: encoding.json beside MODEL, if any]",
)
@click.option("--member-predictions", type=_FILE, help=".npz with predictions and labels, instead of MODEL.")
@click.option(
    "--nonmember-predictions", type=_FILE, help="The same for records that the model was not trained on."
)
@click.option(
    "--attacks",
    type=click.Choice(ATTACKS),
    default="standard",
    show_default=True,
    help="strong: also attacks with shadow models; whitebox: also attacks that read the weights of MODEL.",
)
@click.option(
    "--strong", is_flag=True, help="Same as --attacks strong: trains shadow models; needs --shadow-epochs."
)
@click.option(
    "--shadow-epochs", type=click.IntRange(min=1), help="Epochs that MODEL was trained for, for --strong."
)
@click.option("--shadow-batch-size", type=click.IntRange(min=1), default=32, show_default=True)
@click.option("--shadow-models", type=click.IntRange(min=2), default=16, show_default=True)
@click.option(
    "--logits/--probabilities",
    "from_logits",
    default=None,
    help="What the model answers with. [default: detected]",
)
@click.option(
    "--decisions",
    type=click.Choice(["one", "labels", "positions"]),
    default="one",
    show_default=True,
    help="What is predicted for a record: one class, several yes-or-no labels, or a class at each position.",
)
@click.option("--coarse", is_flag=True, help="The predictions were rounded or cut, and need not sum to one.")
@click.option("--allow-duplicates", is_flag=True, help="Distinct people have equal records: keep them all.")
@click.option("--class-names", type=_FILE, help="Text file with a class name on each line, class 0 first.")
@click.option("--title", help="Heading of the report.")
@click.option(
    "--fail-above", multiple=True, metavar="FIGURE=LIMIT", help="End with 1 if a figure is above a limit."
)
@click.option("--junit", type=click.Path(dir_okay=False), help="File for these limits as JUnit, a test each.")
@click.option("--dpia", is_flag=True, help="Write a data protection impact assessment too.")
@click.option("--epsilon", type=float, help="Epsilon that the training guarantees, for the assessment.")
@click.option("--delta", type=float, help="Delta of that guarantee; 0 only where it states 0.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the attacks.")
@click.option("--out", type=click.Path(file_okay=False), default="mpreg-audit", show_default=True)
def command(**given):
    """Attack a saved Keras model, or the predictions of any model, and report.

    \b
    mpreg audit model.keras --members a.npz --nonmembers b.npz --out report
    mpreg audit --member-predictions a.npz --nonmember-predictions b.npz --out report

    Exit code: 0 on success, 1 if a figure is above a limit set by --fail-above, 2 on wrong input, 3 on an internal
    error. FIGURE is
    attack_accuracy, attack_auc, advantage, precision, recall, tpr_at_fpr_0.01, tpr_at_fpr_0.001, tpr_at_fpr_0,
    epsilon_lower_bound, gap_bound or generalization_gap. Nothing in the files is unpickled or run. Records may also be
    a .csv or .parquet table with --label COLUMN, .npy with --label LABELS.npy, or a folder of pictures by class.
    """
    found, paths = _audit(**given)
    click.echo(found.report)
    for gate in found.gates:
        click.echo(f"{gate.figure} {gate.measured}, limit {gate.limit:g}: {gate.verdict}")
    click.echo("\n".join(map(str, paths)))
    if found.failed:
        sys.exit(ABOVE_LIMIT)


def _audit(
    *,
    model,
    member_predictions,
    nonmember_predictions,
    attacks,
    strong,
    from_logits,
    coarse,
    decisions,
    class_names,
    title,
    fail_above,
    dpia,
    epsilon,
    delta,
    seed,
    out,
    junit,
    **records,
):
    """The `Audit` that the options ask for, and the paths of what it wrote."""
    began = time.perf_counter()
    if junit and not fail_above:
        raise click.UsageError("--junit writes limits: add --fail-above")
    if model is not None:
        import_tensorflow()
    from mpreg.audit import run as audits
    from mpreg.audit.files import read_class_names
    from mpreg.audit.gate import parse_limit
    from mpreg.audit.junit import junit_text
    from mpreg.reports.impact.person import check_guarantee

    options = {
        "attacks": "strong" if strong else attacks,
        "from_logits": from_logits,
        "decisions": decisions,
        "seed": seed,
        "class_names": read_class_names(class_names) if class_names else None,
        "limits": [parse_limit(text) for text in fail_above],
        "command": shlex.join(["mpreg", *sys.argv[1:]]),
        **({"title": title} if title else {}),
    }
    by_predictions = [member_predictions, nonmember_predictions]
    if not dpia and (epsilon is not None or delta is not None):
        raise click.UsageError("--epsilon and --delta are for the assessment: add --dpia")
    check_guarantee(epsilon, delta)  # before minutes are spent
    _check_way(model, by_predictions, records)
    files = (*audits.ROLES, "data", "rows", "encoding")
    inputs = [model, *by_predictions, class_names, *(records[name] for name in files)]
    audits.check_folder(out, inputs, dpia=dpia)
    if junit:
        check_outputs(Path(junit).parent, [Path(junit).name], inputs)
    if model is None:
        if options["attacks"] in OF_A_MODEL_ALONE or any(records[name] for name in _OF_A_MODEL):
            raise click.UsageError(
                "--reference, --strong, --attacks whitebox and --allow-duplicates need MODEL and its records"
            )
        found = audits.audit_predictions(*by_predictions, coarse=coarse, **options)
    elif coarse:
        raise click.UsageError("--coarse is for predictions: what MODEL ends in is known")
    else:
        found = audits.audit_model(
            model,
            records["members"],
            records["nonmembers"],
            reference=records["reference"],
            data=records["data"],
            rows=records["rows"],
            own={name: records[name] or None for name in ("label", "encoding")} | {"drop": records["drop"]},
            shadows=_shadows(options["attacks"], records),
            allow_duplicates=records["allow_duplicates"],
            **options,
        )
    paths = found.write(out, dpia={"epsilon": epsilon, "delta": delta} if dpia else None)
    if junit:
        content = junit_text(found, seconds=time.perf_counter() - began)
        paths += write_all(Path(junit).parent, {Path(junit).name: content})
    return found, paths


def _check_way(model, predictions, records):
    """Either MODEL and records, in files of their own or in one, or predictions; anything else is a usage error."""
    apart, together = (
        [records[name] for name in names] for names in (("members", "nonmembers"), ("data", "rows"))
    )
    if model is None and all(predictions) and not any((*apart, *together)):
        return
    if model is not None and not any(predictions):
        if all(apart) and not any(together):
            return
        if all(together) and not any((*apart, records["reference"])):
            return
    raise click.UsageError(
        "give MODEL.keras with --members and --nonmembers, or --member-predictions and --nonmember-predictions, or "
        "MODEL.keras with --data and --split"
    )


def _shadows(attacks, records):
    """`(count, epochs, batch size)` of shadow models, where the attacks need them."""
    if attacks != "strong":
        return None
    if records["shadow_epochs"] is None:
        raise click.UsageError(
            "strong attacks train shadow models like MODEL: give --shadow-epochs, the epochs that MODEL was trained for"
        )
    return records["shadow_models"], records["shadow_epochs"], records["shadow_batch_size"]

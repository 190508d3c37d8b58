"""`mpreg audit`: audits a model or its predictions and writes a folder of reports."""

import datetime
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mpreg._files import check_as_written, check_outputs, write_all, write_json
from mpreg.attacks.whitebox.gradient_norms import GradientNorms, HiddenGradients, gradient_norms
from mpreg.audit.files import encoding_of, read_inputs, read_predictions, read_split, source
from mpreg.audit.gate import judge
from mpreg.audit.member_scores import member_scores_file
from mpreg.audit.saved_model import load_model, shadow_fleet
from mpreg.classifiers.like_target import thawed
from mpreg.data import MembershipSplit, check_distinct, count_labels
from mpreg.data.labels import ONE, check_decisions
from mpreg.datasets.own import TABLES
from mpreg.evaluation.evaluate import evaluate, evaluate_predictions
from mpreg.evaluation.report import PrivacyReport
from mpreg.progress import progress_bar
from mpreg.reports.html import TITLE, render_html
from mpreg.reports.impact import assessment
from mpreg.reports.kept import DPIA_FILES, REPORT_FILES
from mpreg.reports.markdown import render_markdown
from mpreg.reports.notebook import notebook_html
from mpreg.reports.schema import AUDIT, checked_names, read
from mpreg.reports.words import headline

ROLES = ("members", "reference", "nonmembers")
REMEDY = "remove the copies from the file, or add --allow-duplicates if different people have equal records"


@dataclass(frozen=True, eq=False)
class Audit:
    """Holds the results of an audit, and renders its files.

    Attributes:
        report: the `PrivacyReport`.
        sources: the `Source` of each file that was read.
        title: heading of the pages.
        class_names: a name for each class; None numbers them.
        gates: `Gate`s that were judged.
        gradient_norms: `GradientNorms` where the model was there, else None.
        gradient_norms_note: what was measured in its place, or why nothing was; None for nothing to tell.
        command: how it was asked for, as text.
        made: when, in UTC.
    """

    report: PrivacyReport
    sources: tuple
    title: str
    class_names: list | None = None
    gates: tuple = ()
    gradient_norms: GradientNorms | None = None
    gradient_norms_note: str | None = None
    command: str = ""
    made: str = field(
        default_factory=lambda: datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    )

    @property
    def failed(self) -> bool:
        """Whether a figure is above its limit."""
        return any(gate.failed for gate in self.gates)

    @property
    def risk(self) -> Any:
        """The `MemberRisk` of the attack that ranks best at low false positive rates."""
        return self.report.member_risk

    def to_dict(self) -> dict[str, Any]:
        """Returns the audit as plain values, as `docs/report-schema.md` describes them."""
        report, norms = self.report.to_dict(), self.gradient_norms
        return {
            "schema": AUDIT,
            "title": self.title,
            "headline": headline(read(report)),
            "made": self.made,
            "command": self.command,
            "files": [file.to_dict() for file in self.sources],
            "class_names": None if self.class_names is None else list(self.class_names),
            "gates": [gate.to_dict() for gate in self.gates],
            "per_class": report["per_class"],
            "gradient_norm_auc": None if norms is None else norms.auc.to_dict(),
            "gradient_norms": None if norms is None else norms.to_dict(),
            "gradient_norms_note": self.gradient_norms_note,
            "report": report,
        }

    def to_markdown(self) -> str:
        """Returns the report as Markdown, with the limits and the files."""
        return render_markdown(self)

    def _repr_html_(self):
        return notebook_html(self)

    def files(self, *, dpia: Any = None):
        """Returns the contents of the folder by file name, text or bytes.

        Args:
            dpia: `assessment` options as a dict, to add `dpia.html` and `dpia.md`; None leaves them out.
        """
        document = self.to_dict()
        texts = render_html(document), write_json(document), render_markdown(document)
        contents = dict(zip(REPORT_FILES, (*texts, member_scores_file(self.report)), strict=True))
        if dpia is not None:
            paper = assessment(document, **dpia)
            contents |= dict(zip(DPIA_FILES, (paper.to_html(), paper.to_markdown()), strict=True))
        return contents

    def write(self, out: str | os.PathLike[str], *, dpia: Any = None):
        """Writes all files to the folder, or none; returns their paths.

        Raises:
            ValueError: as for `check_folder`, or as for `assessment`.
        """
        check_folder(out, [file.file for file in self.sources], dpia=dpia is not None)
        return write_all(out, self.files(dpia=dpia))


def check_folder(out, inputs, *, dpia):
    """Checks that an audit can be written to a folder.

    Args:
        out: the folder.
        inputs: paths of what the audit reads.
        dpia: whether the impact assessment is to be written.

    Raises:
        ValueError: one of the audit's files would be written over an input, or the folder holds the impact assessment
            of an earlier audit, and none is to be written or a person has filled it in.
    """
    names = (*REPORT_FILES, *DPIA_FILES) if dpia else REPORT_FILES
    check_outputs(out, names, inputs, others=() if dpia else DPIA_FILES)
    check_as_written(out, DPIA_FILES)


def audit_predictions(
    members: Any,
    nonmembers: Any,
    *,
    attacks: Any = "standard",
    from_logits: bool | None = None,
    coarse: bool = False,
    decisions: str = ONE,
    seed: int = 0,
    **options: Any,
) -> "Audit":
    """Audits a model of any framework by the files of its predictions.

    Args:
        members, nonmembers: `.npz` files with `predictions`, probabilities or logits, and `labels`.
        attacks: `"fast"` or `"standard"`.
        from_logits, coarse, decisions, seed: as for `evaluate_predictions`.
        **options: `title`, `class_names`, `limits` (pairs for the gates) and `command`.

    Returns:
        An `Audit`.

    Raises:
        ValueError: files that do not hold what they must, or as for `evaluate_predictions`.
        OSError: a file cannot be read.

    Example:
    ```python
    audit_predictions("members.npz", "nonmembers.npz", title="Forest").write("report")
    ```
    """
    files = {"members": members, "nonmembers": nonmembers}
    sides = [read_predictions(path, role, check_decisions(decisions)) for role, path in files.items()]
    _check_names(options.get("class_names"), [side.pair[1] for side in sides], decisions)
    with progress_bar("auditing", 1) as advance:
        advance("attacking", 0)
        report = evaluate_predictions(
            *sides[0].pair,
            *sides[1].pair,
            attacks=attacks,
            from_logits=from_logits,
            coarse=coarse,
            decisions=decisions,
            seed=seed,
        )
        advance()
    return _audit(report, [side.source for side in sides], **options)


def audit_model(
    model: Any,
    members: Any = None,
    nonmembers: Any = None,
    *,
    reference: Any = None,
    data: Any = None,
    rows: Any = None,
    own: Any = None,
    attacks: Any = "standard",
    shadows: Any = None,
    from_logits: bool | None = None,
    allow_duplicates: bool = False,
    decisions: str = ONE,
    seed: int = 0,
    **options: Any,
) -> "Audit":
    """Audits a saved Keras model by files of records.

    The model is loaded in safe mode: nothing in it is run that is not a registered layer.

    Args:
        model: a `.keras` file.
        members, nonmembers: `.npz` files with `x` and `y`, or other files that `mpreg.datasets.load` reads.
        reference: one with records that a defence learned from; they are attacked as if they were members.
        data, rows: in place of these, one data file, and the `split.npz` that tells whose role its rows have.
        own: options of `mpreg.datasets.OwnFile` for files other than `.npz`. A table is encoded as the `encoding` says,
            a path, or `encoding.json` beside the model; without one it must hold numbers, which stay as they are.
        attacks: `"fast"`, `"standard"`, `"strong"` or `"whitebox"`.
        shadows: for `"strong"`, `(count, epochs, batch_size)` of shadow models, which are trained like the model.
        from_logits, seed: as for `evaluate`.
        decisions: what a record holds, as in `MembershipSplit`; several are read from `members` and `nonmembers` in
            `.npz`.
        allow_duplicates: whether equal records may stand on two sides, where distinct people have them.
        **options: as for `audit_predictions`.

    Raises:
        ValueError: no `.keras` file, one that cannot be loaded safely, files that do not hold what they must, or as
            for `evaluate`.
        OSError: a file cannot be read.
    """
    own = dict(own or {})
    own["encoding"], encoding = encoding_of(model, own.get("encoding"))
    if data is None:
        roles = {"members": members, "nonmembers": nonmembers, "reference": reference}
        files = {
            role: read_inputs(path, role, check_decisions(decisions), **own)
            for role, path in roles.items()
            if path is not None
        }
        pairs, sources = (
            {role: file.pair for role, file in files.items()},
            [file.source for file in files.values()],
        )
    else:
        pairs, sources = read_split(data, rows, **own)
    split = MembershipSplit(
        pairs["members"],
        pairs.get("reference"),
        pairs["nonmembers"],
        duplicates="allow",
        decisions=decisions,
    )
    if not allow_duplicates:
        check_distinct({role: getattr(split, role) for role in ROLES if role in pairs}, remedy=REMEDY)
    if encoding is not None and any(Path(file.file).suffix in TABLES for file in sources):
        sources.append(source("encoding", encoding))
        options.setdefault("class_names", None)
        options["class_names"] = options["class_names"] or list(map(str, own["encoding"].classes))
    sources = [source("model", model), *sources]
    _check_names(options.get("class_names"), [y for _, y in pairs.values()], decisions)
    loaded = load_model(model, compiled=shadows is not None)
    if shadows is not None:
        shadows = shadow_fleet(loaded, *shadows)
    with progress_bar("auditing", 2) as advance:
        advance("attacking" if shadows is None else f"training {shadows.count} shadow models, attacking", 0)
        report = evaluate(
            loaded,
            split,
            attacks=attacks,
            shadows=shadows,
            reference="reference" in pairs,
            from_logits=from_logits,
            seed=seed,
        )
        advance("gradient norms")
        norms, note = _norms(loaded, split, from_logits=from_logits, seed=seed)
        advance()
    return _audit(report, sources, gradient_norms=norms, gradient_norms_note=note, **options)


def _norms(model, split, **options):
    """The `GradientNorms` of the classifier that was trained, and a note; None where they cannot be measured.

    Output defences hide gradients from those alone who only ask: whoever has the model's file removes them.
    """
    from mpreg.outputs import classifier_behind  # it imports Keras, which predictions do without

    if split.decisions != ONE:
        return None, "Gradient norms are measured of models that answer one class a record."
    target, removed = classifier_behind(model)
    target = thawed(target)
    if not target.trainable_variables:
        return None, "The model has no trainable weights, and so no gradients."
    if removed:
        options["from_logits"] = False  # what a defence is given
    try:
        norms = gradient_norms(target, split, **options)
    except HiddenGradients as error:
        return None, str(error)
    if removed:
        return norms, (
            f"{' and '.join(removed)} at the end of the model {'was' if len(removed) == 1 else 'were'} removed, as "
            "whoever has its file can: the norms are those of the classifier behind."
        )
    return norms, None


def _check_names(names, labels, decisions):
    """Refuses too few class names before minutes are spent on attacks."""
    if names is not None and decisions == ONE:
        checked_names(names, max(map(count_labels, labels)))


def _audit(report, sources, *, title=TITLE, class_names=None, limits=(), **measured):
    if class_names is not None:
        checked_names(class_names, report.classes)
    return Audit(
        report=report,
        sources=tuple(sources),
        title=title,
        class_names=class_names,
        gates=tuple(judge(report, limits)),
        **measured,
    )

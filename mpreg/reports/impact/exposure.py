"""Chapter 3 of the assessment: the threat, who can carry it out, and what was measured, together and by groups."""

from mpreg._text import percent, percent_with_interval
from mpreg.reports import words
from mpreg.reports.document import Ask, Points, Section, Table, Text
from mpreg.reports.impact.person import chosen_rate
from mpreg.reports.markdown import access_rows, reference_headline
from mpreg.reports.schema import by_risk, ranked, strongest_of

CLASSES = 10  # listed, of those that leak most
NOT_KEPT = Text("Not in the file that this was made from, which an older version kept.")


def threat():
    return Section(
        "3. The risk to people (Article 35(7)(c))",
        (
            Text(
                "Membership inference: someone who holds a person's record finds out whether it was among the training "
                "data. Where being in the data says something, such as having been treated at a clinic or having "
                "defaulted on a loan, that is a disclosure of its own. It is also where leakage begins: a model "
                "that does not reveal membership cannot reveal what stands in a member's record beyond what it says of "
                "people in general."
            ),
            Ask(
                "What membership in this data set says about a person, and what harm its disclosure could do: to whom, "
                "how severe, how reversible."
            ),
            Ask("Who could be interested, and whether they could hold the records they would ask about."),
        ),
    )


def access(report, norms, note):
    levels = report.get("access", ())
    held = [name for level in levels if level["level"] == "white box" for name in level["tried"]]
    names = ", ".join(name for name in report["attacks"] if name not in held)
    white = f"Yes: {', '.join(held)}. " if held else "Measured in part: " if norms is not None else ""
    white += (
        f"{'T' if held else 't'}he norm of each record's gradient tells members apart with an AUC of "
        f"{norms['auc']:.3f} (guessing: 0.500)."
        if norms is not None
        else "Not measured here." * (not held)
    ) + (f" {note}" if note else "")
    return Section(
        "3.1 What the attacker can reach",
        (
            Table(
                ("access", "who has it", "measured here"),
                (
                    ("black-box: the answers", "everyone who may query the model", f"Yes: {names}."),
                    (
                        "white-box: the model itself",
                        "whoever receives or hosts it, or obtains a copy; can do all of the above too",
                        white,
                    ),
                    (
                        "federated: every update",
                        "other participants and the server, where training is distributed; they see the model many "
                        "times over and can act on it",
                        "Not measured here. Expect more leakage than from the final model.",
                    ),
                ),
            ),
            *_tried(report),
            Ask(
                "Which of these apply, and what keeps others from them (contracts, rate limits, access control)."
            ),
        ),
        3,
    )


def _tried(report):
    """Attack by attack, what was tried and what was not; nothing where an older version kept the report."""
    if "access" in report:
        header, rows = access_rows(report)
        yield Table(tuple(header), tuple(map(tuple, rows)))
        yield Text(words.adaptive(report))


def method(report):
    spent = []
    if report["cost"].get("shadow_models"):
        spent.append(f"The attacker trained {report['cost']['shadow_models']} models like this one.")
    return Section(
        "3.2 How it was measured",
        (
            Text(
                " ".join(
                    [
                        f"{len(report['attacks'])} attacks were carried out. The attacker is given the membership of "
                        "four fifths of the records and judges the rest, in turn. That is more than most attackers "
                        "have, so that the figures lean to caution. Members and non-members weigh the same: guessing "
                        "is right in 50 of 100 cases. The figure that counts is that of the strongest attack; "
                        "intervals are at 95 %.",
                        *spent,
                    ]
                )
            ),
            Points(tuple(report["notes"])) if report["notes"] else Text("No attack was left out."),
        ),
        3,
    )


def aggregate(report):
    rows = [
        (
            attack["name"],
            percent_with_interval(attack["accuracy"]),
            f"{attack['auc']:.3f}",
            *(percent_with_interval(tpr) for tpr in attack["tpr_at_fpr"].values()),
        )
        for attack in ranked(report)
    ]
    fprs = strongest_of(report)["tpr_at_fpr"]
    few = words.few_but_certain(report)
    rests = dict.fromkeys(note for attack in ranked(report) for note in attack["notes"])
    reference = report.get("reference")
    return Section(
        "3.3 All members together",
        (
            Text(f"{words.headline(report)} {words.certainty(report)}"),
            *([Text(few)] if few else []),
            *([Text(reference_headline(reference))] if reference is not None else []),
            Table(
                (
                    "attack",
                    "accuracy",
                    "AUC",
                    *(f"members found at {chosen_rate(float(fpr))} false alarms" for fpr in fprs),
                ),
                tuple(rows),
            ),
            *([Points(tuple(rests))] if rests else []),
        ),
        3,
    )


def records(report):
    title = "3.5 Which records are exposed"
    if "risk" not in report:
        return Section(title, (NOT_KEPT,), 3)
    risk = report["risk"]
    rows = [
        (
            f"above {chosen_rate(level['probability'])}",
            f"{level['members']:,} of {report['members']:,}",
            f"{level['nonmembers']:,} of {report['nonmembers']:,}",
        )
        for level in risk["above"]
    ]
    return Section(
        title,
        (
            Text(
                f"Each record has a probability of being a member, where half of all records are, fitted to the scores "
                f"of “{risk['attack']}” on other records. member_scores.npz holds it for every record, for those who "
                "decide what is removed or trained again. Treat that file like the training data: it says who is in it."
            ),
            Table(("membership probability", "members", "non-members"), tuple(rows)),
            *([Text(words.canaries(report["canaries"]))] if report.get("canaries") else []),
            Ask(
                "What is done about the most exposed records: removed, kept, or the people concerned informed."
            ),
        ),
        3,
    )


def classes(report, names):
    title = "3.6 Whether some groups are exposed more"
    if "per_class" not in report:
        return Section(title, (NOT_KEPT,), 3)
    found = report["unusual_classes"]
    rows = [
        (
            names[row["label"]],
            f"{row['members']:,}",
            "-" if row["train_accuracy"] is None else percent(row["train_accuracy"]),
            "-" if row["test_accuracy"] is None else percent(row["test_accuracy"]),
            percent_with_interval(row["attack_accuracy"]),
        )
        for row in by_risk(report["per_class"])[:CLASSES]
    ]
    return Section(
        title,
        (
            Text(
                f"{found['above']} of {found['judged']} classes lie above the whole model's figure with their entire "
                f"interval; chance alone would put about one in forty there. The {len(rows)} classes that leak most "
                "for certain:"
            ),
            Table(("class", "members", "training accuracy", "test accuracy", "attack accuracy"), tuple(rows)),
            Ask(
                "Whether these classes, or other groups such as by age or sex, stand for people who need protection."
            ),
        ),
        3,
    )

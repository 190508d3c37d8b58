"""Chapters 4 and 5 of the assessment: defences and their cost, what remains, what was not measured, and people."""

from mpreg._text import percent_with_interval
from mpreg.reports import words
from mpreg.reports.document import Ask, Points, Section, Table, Text
from mpreg.reports.markdown import attack_on_reference


def measures(models, chosen, differences):
    first_name, *_ = models
    blocks = []
    if len(models) > 1:
        rows = [
            (
                f"{name} (chosen)" if name == chosen else name,
                percent_with_interval(report["test_accuracy"]),
                _cost(differences.get(name)),
                percent_with_interval(report["attack_accuracy"]),
                attack_on_reference(report),
            )
            for name, report in models.items()
        ]
        header = (
            "model",
            "test accuracy",
            f"against {first_name}",
            "attack accuracy",
            "attack on reference records",
        )
        blocks.append(Table(header, tuple(rows)))
        blocks.append(
            Text("Reference records are people whose data a defence used without fitting the model to them.")
        )
        blocks.append(Ask(f"Why “{chosen}” was chosen."))
    else:
        blocks.append(
            Text(
                "Only one model was measured, so that nothing can be said about what a defence would save and cost. "
                "`mpreg compare` measures several side by side."
            )
        )
    yield Section("4. Measures (Article 35(7)(d))", tuple(blocks))
    yield Section(
        "4.1 What there is to choose from",
        (
            Table(
                ("measure", "protects by", "costs"),
                (
                    ("train on fewer or coarser data", "what is not in the data cannot leak", "accuracy"),
                    (
                        "stop training earlier, weight decay, dropout",
                        "less is learned of single people",
                        "some accuracy",
                    ),
                    (
                        "adversarial regularization, MixUp, RelaxLoss, self-distillation",
                        "training against an attacker, or on other models' answers; measured, not guaranteed",
                        "accuracy, training time, some need reference records",
                    ),
                    (
                        "answers that say less: labels only, top classes, rounding",
                        "hides confidence from those who only query; helps little against an attacker who knows of it",
                        "what users could do with confidence",
                    ),
                    (
                        "differentially private training",
                        "the only guarantee against every attacker",
                        "accuracy, more so for small data",
                    ),
                    ("rate limits, contracts, logging", "fewer and known askers", "operation"),
                ),
            ),
            Ask(
                "Organisational measures: access control, monitoring, incident response, retraining and deletion."
            ),
        ),
        3,
    )


def residual(report):
    return Section(
        "4.2 Residual risk",
        (
            Text(
                f"With the model as measured: {words.headline(report)} This figure is about an attacker who holds a "
                "person's record and knows the membership of many others; for one who knows less it is lower."
            ),
            Ask(
                "Likelihood and severity after all measures, and whether the risk is accepted, by whom. If it stays "
                "high, the supervisory authority is to be consulted before the processing (Article 36)."
            ),
        ),
        3,
    )


def limits(report):
    return Section(
        "4.3 What the measurement does not say",
        (
            Points(
                (
                    "It is a lower bound: attacks that were not tried, and future ones, may find more. A figure near "
                    "50 % is no proof of safety.",
                    f"It holds for these {report['members']:,} members and {report['nonmembers']:,} non-members. If "
                    "the non-members come from other sources or times than the members, the attack may tell the "
                    "sources apart, and the figure is not about the model.",
                    "It is about membership. Whether attributes of people or whole records can be reconstructed was "
                    "not tried.",
                    "It is about this model. One that is trained again is to be measured again.",
                    words.retest(),
                )
            ),
        ),
        3,
    )


def people():
    yield Section(
        "5. People and review (Article 35(2), (9) and (11))",
        (
            Ask("Advice of the data protection officer."),
            Ask("Views of the people concerned or their representatives, or why they were not sought."),
            Ask("When this is reviewed: at the latest when the model is trained again or offered to others."),
        ),
    )


def _cost(difference):
    return "-" if difference is None else f"{100 * difference['test_accuracy']:+.1f} points"

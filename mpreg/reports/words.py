"""Figures in plain words, for readers without a background in statistics."""

from mpreg._text import percent, percent_with_interval
from mpreg.metrics import supported_fpr
from mpreg.reports.schema import reference_is_worse, strongest_of, worse_of


def attacker(name, threat_model=None):
    """Who carries out an attack, as "An attacker who ..."."""
    return f"An attacker who {threat_model or f'uses the attack “{name}”'}"


RETEST = (
    "when the model is trained again, be it on the same records: another training remembers others",
    "when records or whole groups of people are added to the training data, or taken out",
    "when the model answers with more than it did, or a defence of its answers is changed",
    "when more people can ask it, or it is handed out",
    "a year from this one at the latest, for attacks become stronger",
)


def retest():
    """Returns one sentence on when a new test is due."""
    return f"A new test is due {'; '.join(RETEST)}."


def adaptive(report):
    """Returns one sentence on whether the attacker knew the defence."""
    cost = report["cost"]
    if cost.get("shadow_models"):
        return (
            "Adaptive, as far as its models were trained as the target was, any defence included: the attacker trained "
            f"{cost['shadow_models']} ({cost['shadow_training'] or 'elsewhere'}), and knew their members."
        )
    return (
        "Not adaptive: no attack trained models as the target was trained, which costs 16 trainings and can find more, "
        "above all where a defence hides what weak attacks look at."
    )


def reasons(missing):
    """Why attacks were not tried, and what they would cost, each reason once.

    Args:
        missing: the `not_tried` of an access level.
    """
    return ". ".join(dict.fromkeys(f"{one['why']}; {one['cost']}" for one in missing))


def not_tried(report):
    """Returns what was not tried, and what was, of each access level that lacks something; none for older reports."""
    return [
        f"Not tried, {level['level']}: {'; '.join(one['attack'] for one in level['not_tried'])} "
        f"({reasons(level['not_tried'])}). Tried: {'; '.join(level['tried']) or 'nothing'}."
        for level in report.get("access", ())
        if level["not_tried"]
    ]


def of_hundred(rate):
    """`0.571` as `57`; what is not all or nothing never reads so."""
    cases = round(100 * rate)
    if cases == 100 and rate < 1:
        return "more than 99"
    if cases == 0 and rate > 0:
        return "fewer than 1"
    return str(cases)


def headline(report):
    """Returns one sentence on the strongest attack, on members or on reference records, whichever leak more."""
    strongest = strongest_of(worse_of(report))
    who = attacker(strongest["name"], strongest.get("threat_model"))
    members = of_hundred(report["attack_accuracy"])
    if not reference_is_worse(report):
        return f"{who} can tell members from non-members in {members} of 100 cases, where guessing gives 50."
    return (
        f"{who} can tell reference records, which the defence learned from, from non-members in "
        f"{of_hundred(worse_of(report)['attack_accuracy'])} of 100 cases, and members in {members}, where guessing "
        "gives 50."
    )


def certainty(report):
    """Returns one sentence on how reliable the main figure is."""
    accuracy = worse_of(report)["attack_accuracy"]
    low, high = (percent(limit).removesuffix(" %") for limit in accuracy.interval)
    if accuracy.low <= 0.5:
        return (
            "With so many records this is not distinguishable from guessing: the 95 % interval, "
            f"{low} to {high} of 100, includes 50. It is no proof that nothing leaks."
        )
    return f"95 % interval: {low} to {high} of 100, for all attacks together."


def few_but_certain(report, fpr=0.01):
    """What the attack that is best at few false alarms finds; None where the report does not say."""
    people = "reference records" if reference_is_worse(report) else "members"
    report = worse_of(report)
    for best in report.get("best_at_fpr", []):
        if best["fpr"] == fpr:
            rests = support(report, fpr)
            return (
                f"An average hides single people: with one false alarm in {round(1 / fpr)} non-members, the attack "
                f"“{best['attack']}” finds {percent_with_interval(best['tpr'])} of the {people}; guessing finds "
                f"{100 * fpr:g} %.{f' {rests}.' if rests else ''}"
            )
    return None


def of_front(names):
    """Which models no other beats, in one sentence.

    Args:
        names: of these, by rising test accuracy.
    """
    if len(names) == 1:
        return f"“{names[0]}” beats all others: none is as accurate or gives away as little."
    return f"No other beats these, each at its accuracy: {', '.join(f'“{name}”' for name in names)}."


def why_not_certain():
    """Why a record that no non-member looks like may have a middling probability, in two sentences."""
    return (
        "It is read off a curve that only rises with the score, fitted on other records and with one made-up "
        "non-member above all of them. Where few members score so high, the made-up one counts for much: a probability "
        "far below 100 % beside no non-member that looks like the record means that there is little evidence, not that "
        "it speaks against membership."
    )


def canaries(found):
    """What figures on canaries mean for the most exposed person, in a few sentences.

    Args:
        found: `canaries` of a report.
    """
    accuracy, tpr = found["attack_accuracy"], found["tpr_at_fpr"].get("0.01")
    sentences = [
        f"{found['members']:,} of the members and {found['nonmembers']:,} of the non-members were made to stand out "
        f"({_KINDS.get(found['kind'], found['kind'])}), as the most unusual person in the data does. The attack "
        f"“{found['strongest_attack']}” tells these apart in {of_hundred(accuracy)} of 100 cases "
        f"({percent_with_interval(accuracy)}), where guessing gives 50."
    ]
    if tpr is not None:
        sentences.append(
            f"With one false alarm in 100 it finds {percent_with_interval(tpr)} of those among the members."
        )
    if accuracy.low <= 0.5:
        sentences.append(
            "With so few records this is not distinguishable from guessing; it is no proof that the most exposed "
            "person is safe."
        )
    else:
        sentences.append(
            "Whoever stands out as they do must expect that somebody with their record finds out "
            f"{_EXPECTED[sum(float(accuracy) >= level for level in (0.6, 0.8))]}."
        )
    return " ".join(sentences)


_KINDS = {
    "mislabelled": "a wrong label",
    "out-of-distribution": "features unlike any record's",
    "twins": "near-duplicates with the same wrong label, in pairs that count once",
}
_EXPECTED = (
    "somewhat more often than by guessing whether they are in the training data",
    "in many cases whether they are in the training data",
    "almost always whether they are in the training data",
)


def support(report, fpr):
    """A note where too few non-members were judged for a rate at such a false positive rate; None elsewhere."""
    # The curve counts each record once, however many copies of it were judged; an older version kept none.
    curve = strongest_of(report).get("roc")
    nonmembers = report["nonmembers"] if curve is None else curve["false_positives"][-1]
    return supported_fpr(nonmembers, fpr)


def difference(name, report, first_name, first, difference):
    """Returns one sentence on what one model does better or worse than the first.

    Args:
        name, report: the model.
        first_name, first: the one it is compared with.
        difference: the entry of `differences` for it.
    """
    gain = 100 * difference["test_accuracy"]
    if abs(gain) < 0.05:
        paid = "the same test accuracy"
    else:
        paid = f"{abs(gain):.1f} points {'less' if gain < 0 else 'more'} test accuracy"
    cases, first_cases = (of_hundred(worse_of(one)["attack_accuracy"]) for one in (report, first))
    return (
        f"Against “{name}” the attack is right in {cases} of 100 cases, against “{first_name}” in {first_cases}; "
        f"“{name}” has {paid}."
    )


def measured(gate):
    """What a limit was set for, and whose it is: `0.71 (loss threshold, on reference records)`."""
    whose = [gate["attack"]] if gate["attack"] else []
    whose += ["on reference records"] if gate.get("of") == "reference" else []
    text = f"{gate['value']:.4g}" + (f" ({', '.join(whose)})" if whose else "")
    return f"{text}; {gate['note']}" if gate.get("note") else text


def verdict(gate):
    """The judgement on a limit."""
    if not gate["failed"]:
        return "within the limit"
    if gate["certain"]:
        return f"above the limit, and so is the low end of its interval, {gate['low']:.4g}"
    return f"above the limit, but the low end of its interval, {gate['low']:.4g}, is not"

"""Figures in plain words, for readers who have never heard of an ROC curve."""

from mpreg._text import percent, percent_with_interval
from mpreg.reports.schema import strongest_of


def attacker(name, threat_model=None):
    """Who carries out an attack, as "An attacker who ..."."""
    return f"An attacker who {threat_model or f'uses the attack “{name}”'}"


def of_hundred(rate):
    """`0.571` as `57`; what is not all or nothing never reads so."""
    cases = round(100 * rate)
    if cases == 100 and rate < 1:
        return "more than 99"
    if cases == 0 and rate > 0:
        return "fewer than 1"
    return str(cases)


def headline(report):
    """The strongest attack in one sentence."""
    strongest = strongest_of(report)
    return (
        f"{attacker(strongest['name'], strongest.get('threat_model'))} can tell members from non-members in "
        f"{of_hundred(report['attack_accuracy'])} of 100 cases, where guessing gives 50."
    )


def certainty(report):
    """How far the headline is to be trusted, in one sentence."""
    accuracy = report["attack_accuracy"]
    low, high = (percent(limit).removesuffix(" %") for limit in accuracy.interval)
    if accuracy.low <= 0.5:
        return (
            "With so many records this is not distinguishable from guessing: the 95 % interval, "
            f"{low} to {high} of 100, includes 50. It is no proof that nothing leaks."
        )
    return f"95 % interval: {low} to {high} of 100, for all attacks together."


def few_but_certain(report, fpr=0.01):
    """What the attack that is best at few false alarms finds; None where the report does not say."""
    for best in report.get("best_at_fpr", []):
        if best["fpr"] == fpr:
            return (
                f"An average hides single people: with one false alarm in {round(1 / fpr)} non-members, the attack "
                f"“{best['attack']}” finds {percent_with_interval(best['tpr'])} of the members; guessing finds "
                f"{100 * fpr:g} %."
            )
    return None


def difference(name, report, first_name, first, difference):
    """What one model does better or worse than the first, in one sentence.

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
    return (
        f"Against “{name}” the attack is right in {of_hundred(report['attack_accuracy'])} of 100 cases, against "
        f"“{first_name}” in {of_hundred(first['attack_accuracy'])}; “{name}” has {paid}."
    )


def measured(gate):
    """What a limit was set for, and whose it is: `0.71 (loss threshold)`."""
    whose = f" ({gate['attack']})" if gate["attack"] else ""
    return f"{gate['value']:.4g}{whose}"


def verdict(gate):
    """The judgement on a limit."""
    if not gate["failed"]:
        return "within the limit"
    if gate["certain"]:
        return f"above the limit, and so is the low end of its interval, {gate['low']:.4g}"
    return f"above the limit, but the low end of its interval, {gate['low']:.4g}, is not"

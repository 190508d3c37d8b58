"""Figures in plain words, for readers who have never heard of an ROC curve."""

from mpreg._text import percent, percent_with_interval


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
    return (
        f"{attacker(report.strongest_attack, report.strongest.threat_model)} can tell members from non-members in "
        f"{of_hundred(report.attack_accuracy)} of 100 cases, where guessing gives 50."
    )


def certainty(report):
    """How far the headline is to be trusted, in one sentence."""
    low, high = (percent(limit).removesuffix(" %") for limit in report.attack_accuracy.interval)
    if report.attack_accuracy.low <= 0.5:
        return (
            "With so many records this is not distinguishable from guessing: the 95 % interval, "
            f"{low} to {high} of 100, includes 50. It is no proof that nothing leaks."
        )
    return f"95 % interval: {low} to {high} of 100, for all attacks together."


def few_but_certain(report, fpr=0.01):
    """What the attack that is best at few false alarms finds; None where it was not measured."""
    able = [result for result in report.attacks.values() if fpr in result.tpr_at_fpr]
    if not able:
        return None
    best = max(able, key=lambda result: float(result.tpr_at_fpr[fpr]))
    return (
        f"An average hides single people: with one false alarm in {round(1 / fpr)} non-members, the attack "
        f"“{best.name}” finds {percent_with_interval(best.tpr_at_fpr[fpr])} of the members; guessing finds "
        f"{100 * fpr:g} %."
    )


def difference(name, report, first_name, first):
    """What one model does better or worse than the first, in one sentence."""
    cost = 100 * (float(first.test_accuracy) - float(report.test_accuracy))
    if abs(cost) < 0.05:
        paid = "the same test accuracy"
    else:
        paid = f"{abs(cost):.1f} points {'less' if cost > 0 else 'more'} test accuracy"
    return (
        f"Against “{name}” the attack is right in {of_hundred(report.attack_accuracy)} of 100 cases, against "
        f"“{first_name}” in {of_hundred(first.attack_accuracy)}; “{name}” has {paid}."
    )

"""Numbers, tables and names as text."""

import re


def percent(rate):
    """`0.571` as `57.1 %`; a low rate such as 0.0001 keeps the digits it needs."""
    text = f"{100 * rate:.1f}"
    return f"{100 * rate:.2g} %" if text == "0.0" and rate > 0 else f"{text} %"


def percent_with_interval(estimate):
    """`57.1 % [55.3, 58.9]`; a dash where the figure is undefined."""
    if estimate != estimate:
        return "-"
    return f"{percent(float(estimate))} [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def markdown_table(header, rows):
    """A Markdown table; bars and line breaks inside a cell cannot break it."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def plain_markdown(text):
    """Text that Markdown shows as it is: on one line, without markup of its own."""
    text = " ".join(str(text).split())
    # Brackets alone, as of intervals, are no markup.
    return re.sub(r"[\\`*_{}<>#|]|](?=[(\[:])", r"\\\g<0>", text)


def _cell(content):
    return " ".join(str(content).split()).replace("|", "\\|")

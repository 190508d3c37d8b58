"""Numbers and tables as text."""


def percent(rate):
    """`0.571` as `57.1 %`; a low rate such as 0.001 keeps the digits it needs."""
    return f"{100 * rate:.1f} %"


def percent_with_interval(estimate):
    """`57.1 % [55.3, 58.9]`; a dash where the figure is undefined."""
    if estimate != estimate:
        return "-"
    return f"{percent(float(estimate))} [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def markdown_table(header, rows):
    """A Markdown table; a bar inside a cell is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines
    )

"""Numbers, tables and names as text."""

import html
import re
import shutil
import textwrap
import unicodedata

MOST_NAMES = 100  # in one message
DIRECTIONS = {
    "LRE",
    "RLE",
    "LRO",
    "RLO",
    "PDF",
    "LRI",
    "RLI",
    "FSI",
    "PDI",
}  # overrides that hide what a name is


def percent(rate):
    """`0.571` as `57.1 %`; a low rate such as 0.0001 keeps the digits it needs."""
    text = f"{100 * rate:.1f}"
    return f"{100 * rate:.2g} %" if text == "0.0" and rate > 0 else f"{text} %"


def percent_with_interval(estimate):
    """`57.1 % [55.3, 58.9]`; a dash where the figure is undefined."""
    if estimate != estimate:
        return "-"
    return f"{percent(float(estimate))} [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def visible_text(text):
    """Text on one line; what would steer a terminal or turn the direction of reading is shown as an escape."""
    shown = " ".join(str(text).split())
    return "".join(mark.encode("unicode_escape").decode("ascii") if _steers(mark) else mark for mark in shown)


def listed(names, nothing="none"):
    """Names one after the other, as `visible_text`, the first hundred; `nothing` where there are none."""
    names = list(names)
    further = f", and {len(names) - MOST_NAMES:,} more" if len(names) > MOST_NAMES else ""
    return (", ".join(map(visible_text, names[:MOST_NAMES])) or nothing) + further


def _steers(mark):
    return unicodedata.category(mark) == "Cc" or unicodedata.bidirectional(mark) in DIRECTIONS


def figure_text(text):
    """Text that matplotlib draws as it is, without taking dollar signs for mathematics."""
    return visible_text(text).replace("$", r"\$")


def markdown_table(header, rows):
    """A Markdown table; bars and line breaks inside a cell cannot break it."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def html_table(header, rows):
    """An HTML table; its cells are text, whatever they hold."""
    head = "".join(f'<th scope="col">{html.escape(visible_text(cell))}</th>' for cell in header)
    body = "".join(
        f"<tr>{''.join(f'<td>{html.escape(visible_text(cell))}</td>' for cell in row)}</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def html_lines(text):
    """Text of several lines as HTML that keeps them."""
    return f'<pre style="white-space: pre-wrap">{html.escape(str(text))}</pre>'


def plain_markdown(text):
    """Text that Markdown shows as it is: on one line, without markup of its own."""
    # Brackets alone, as of intervals, are no markup.
    return re.sub(r"[\\`*_{}<>#|]|](?=[(\[:])", r"\\\g<0>", visible_text(text))


def _cell(content):
    return visible_text(content).replace("|", "\\|")


def plain_text(markdown, width=None):
    """Returns Markdown as text for a terminal: tables in aligned columns, and no markup.

    Args:
        markdown: text with tables as `markdown_table` writes them.
        width: characters a line of a table may have, where its words allow; None takes the terminal's.
    """
    width = width or shutil.get_terminal_size((120, 24)).columns
    lines, table = [], []
    for line in [*markdown.splitlines(), ""]:
        if line.startswith("|"):
            table.append([_unmarked(cell) for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
            continue
        if table:
            lines += _aligned(
                table[:1] + table[2:], width
            )  # the second row is the rule of the Markdown table
            table = []
        lines.append(_unmarked(line))
    return "\n".join(lines).rstrip()


def _unmarked(text):
    """Text without the markup of headings and strong words, and without what keeps marks from being markup."""
    text = re.sub(r"^#+ |\*\*", "", text.strip())
    return re.sub(r"\\([\\`*_{}<>#|\]])", r"\1", text)


def _aligned(rows, width):
    """Lines of a table whose widest columns are wrapped until it fits."""
    rows = [
        [re.sub(r", (?=[-+.\d]+\])", ",\u00a0", cell) for cell in row] for row in rows
    ]  # intervals stay whole
    least = [max(len(word) for row in rows for word in row[at].split(" ")) for at in range(len(rows[0]))]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    while sum(widths) + 2 * (len(widths) - 1) > width and widths != least:
        at = max((at for at in range(len(widths)) if widths[at] > least[at]), key=lambda at: widths[at])
        widths[at] -= 1
    for number, row in enumerate(rows):
        cells = [textwrap.wrap(cell, max(1, room)) or [""] for cell, room in zip(row, widths, strict=True)]
        for at in range(max(map(len, cells))):
            parts = [cell[at] if at < len(cell) else "" for cell in cells]
            yield "  ".join(map(str.ljust, parts, widths)).rstrip().replace("\u00a0", " ")
        if number == 0:
            yield "  ".join("-" * room for room in widths)

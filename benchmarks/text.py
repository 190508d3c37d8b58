"""`RESULTS.md` and its chart, from published figures."""

from matplotlib.figure import Figure as Picture

from benchmarks.figures import Figure


def write_results(published, text, chart):
    """Writes the page and the chart.

    Args:
        published: by benchmark, a dict with `machine`, `commit`, `date` and `figures`.
        text, chart: the paths.
    """
    lines = [
        "# Benchmarks",
        "",
        "Written by `python -m benchmarks.run`; what is measured stands in `config.toml`. Medians over alternating "
        "rounds in one process, with an interval of the median.",
    ]
    for name, one in published.items():
        machine = one["machine"]
        facts = [f"{machine['cores']} cores ({machine['processor']})", f"load {machine['load_average']:.1f}"]
        facts += [
            f"{key} {machine[key]}" for key in ("python", "tensorflow", "keras", "numpy") if key in machine
        ]
        lines += ["", f"## {name}", "", f"{one['date']}, commit {one['commit']}; {', '.join(facts)}.", ""]
        lines += ["| | figure | interval | unit | clock | bar |", "| --- | --- | --- | --- | --- | --- |"]
        for each in map(lambda fields: Figure(**fields), one["figures"]):
            interval = f"{each.low:.3g} to {each.high:.3g}" if each.rounds > 1 else "one round"
            lines.append(
                f"| {each.title} | {each.value:.3g} | {interval} | {each.unit} | {each.clock} | {each.bar} |"
            )
    lines += ["", f"![All ratios]({chart.name})", ""]
    text.write_text("\n".join(lines), encoding="utf-8")
    _draw(published, chart)


def _draw(published, path):
    """A bar for each ratio, on a logarithmic axis, with its interval and its bar as a mark."""
    shown = [Figure(**fields) for one in published.values() for fields in one["figures"]]
    shown = [each for each in shown if each.unit != "seconds"][::-1]
    picture = Picture(figsize=(9, 0.8 + 0.32 * len(shown)), layout="constrained")
    axes = picture.subplots()
    places = range(len(shown))
    axes.barh(places, [each.value for each in shown], color="tab:blue", alpha=0.6)
    for place, each in zip(places, shown, strict=True):
        axes.plot([each.low, each.high], [place, place], color="black", linewidth=1)
        bar = each.at_most if each.at_most is not None else each.at_least
        if bar is not None:
            axes.plot([bar], [place], "|", color="tab:red", markersize=12)
    axes.axvline(1.0, color="gray", linewidth=0.8)
    axes.set(xscale="log", xlabel="ratio (red: its bar)")
    axes.set_yticks(list(places), [each.title for each in shown], fontsize="small")
    picture.savefig(path, dpi=120)

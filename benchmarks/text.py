"""`RESULTS.md` and its charts, from published figures."""

import math

import numpy as np
from matplotlib.figure import Figure as Picture

from benchmarks.figures import Figure


def write_results(published, text, chart, growth):
    """Writes the page and the charts.

    Args:
        published: by benchmark, a dict with `machine`, `commit`, `date`, `peers`, `areas`, `curves` and `figures`.
        text, chart, growth: the paths.
    """
    lines = [
        "# Benchmarks",
        "",
        "Written by `python -m benchmarks.run`; what is measured stands in `config.toml`. Medians over alternating "
        "rounds, with an interval of the median: of 95 % from six rounds on, the least and the greatest of fewer.",
    ]
    for name, one in published.items():
        machine = one["machine"]
        others = ", ".join(
            f"{machine[f'others_{when}']:.0%} {when}"
            for when in ("before", "meanwhile")
            if machine[f"others_{when}"] is not None
        )
        facts = [f"{machine['cores']} cores ({machine['processor']}), of which other work took {others}"]
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
        if one["peers"]:
            lines += ["", *(f"- {peer}: {said}" for peer, said in one["peers"].items())]
        if one["areas"]:
            areas = (f"{way} {values[0]:.3f}" for way, values in one["areas"].items())
            lines += ["", f"Areas under the ROC (of the first signal): {', '.join(areas)}."]
        if one["curves"]:
            lines += ["", f"![Seconds by size]({growth.name})"]
            _draw_growth(one["curves"], growth)
    lines += ["", "## All ratios", "", f"![All ratios]({chart.name})", ""]
    text.write_text("\n".join(lines), encoding="utf-8")
    _draw(published, chart)


def _draw(published, path):
    """A bar for each ratio, on a logarithmic axis, with its interval and its bar as a mark."""
    shown = [Figure(**fields) for one in published.values() for fields in one["figures"]]
    shown = [each for each in shown if each.unit.startswith(("times", "of "))][::-1]
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
    axes.set(xscale="log", xlabel="ratio (red: its bar)", ylim=(-0.7, len(shown) - 0.3))
    axes.set_yticks(list(places), [each.title for each in shown], fontsize="small")
    picture.savefig(path, dpi=120)


def _draw_growth(curves, path):
    """A panel for each thing that grows, both axes logarithmic, with the exponent beside each curve's name."""
    grown = list(dict.fromkeys(curve["by"] for curve in curves))
    picture = Picture(figsize=(10, 4 * math.ceil(len(grown) / 2)), layout="constrained")
    panels = picture.subplots(math.ceil(len(grown) / 2), 2, squeeze=False).ravel()
    for by, axes in zip(grown, panels, strict=False):
        for curve in (each for each in curves if each["by"] == by):
            seconds = np.median(curve["seconds"]["wall"], axis=0)
            exponent = np.polyfit(np.log(curve["sizes"]), np.log(seconds), 1)[0]
            axes.plot(curve["sizes"], seconds, "o-", markersize=4, label=f"{curve['name']}: {exponent:.2f}")
        axes.set(xscale="log", yscale="log", xlabel=by, ylabel="seconds")
        low, high = axes.get_ylim()
        axes.set_ylim(low, high * (high / low) ** 0.45)  # room for the legend
        axes.legend(loc="upper left", title="work: exponent", fontsize="small", title_fontsize="small")
        axes.grid(alpha=0.3)
    for axes in panels[len(grown) :]:
        axes.remove()
    picture.savefig(path, dpi=120)

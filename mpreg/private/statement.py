"""The privacy statement of a model: what may be claimed, and under which assumptions."""

import textwrap

from mpreg._text import html_lines
from mpreg.private.accounting import publishes, spent
from mpreg.private.mechanism import tensorflow_privacy

WIDTH = 100
NOTHING = (
    "No private training step has been taken: nothing of the records has been used, and nothing is claimed."
)
DRAWN = {
    "poisson": "each of {examples} records was in each batch with probability {batch_size} / {examples}, independently "
    "(Poisson sampling), and the epsilon counts with amplification by sampling",
    "shuffled": "batches of {batch_size} were cut from {examples} shuffled records, so that every pass saw every "
    "record once. Amplification by sampling is not proven for shuffled batches and not counted: the epsilon is the "
    "larger one, of {passes} passes over each record. Give fit mpreg.poisson_batches to have it counted",
    "arbitrary": "mpreg could not look into the source of the batches, so it counts as if a record had been in every "
    "one of the {steps} batches. Give fit mpreg.poisson_batches, or arrays, for a smaller epsilon",
}
SAMPLING = {
    "poisson": "Poisson (mpreg drew who was in a batch, each record by itself)",
    "shuffled": "shuffled (each pass over the arrays saw each record once)",
    "arbitrary": "unknown (a record may have been in every batch)",
}
UNIT = {
    "row": "A record is one row: rows of one person are protected one by one, unless poisson_batches is told which "
    "belong together (groups).",
    "group": "A record is all rows of one of the groups given.",
}
UNSEEN = (
    "Whether a record stood several times in one batch could not be seen: mpreg does not know how the batches were "
    "made. It compared the rows of each batch and counts equal ones as one record, at most {copies} in a batch; what "
    "follows assumes that no record stood in a batch more often, for instance in altered copies."
)
SEEN = (
    "Who sees what: anybody may see the weights after every step, hence all checkpoints and all answers. Nobody sees "
    "the training log (loss and metrics), the noise, or who was in which batch, and no choice was made by looking at "
    "the training records."
)
TRIED = (
    "Apart: layers, loss and augmentation keep records apart on made-up batches and on some of the real ones; what "
    "none of those shows is assumed not to happen. Rounding is not counted."
)
START = (
    "Start: the weights that training began with, and those that were frozen, tell nothing of the records."
)


class Statement(str):
    """Holds text that a notebook shows with its line breaks."""

    def _repr_html_(self):
        return html_lines(self)


def write_statement(model, history, delta):
    """Returns the `Statement` on a `DPSGD` model with a history of segments, at a delta."""
    if not history:
        return Statement(NOTHING)
    cost = spent(history, delta)
    pld = "left out, as it says nothing at this size" if cost.pld is None else f"{cost.pld:.4g}"
    paragraphs = [
        *_warnings(model, history, delta),
        f"Epsilon {cost.epsilon:.4g} at delta {delta:g}, for adding or leaving out one record. Accountants: Renyi "
        f"(RDP) {cost.rdp:.4g}, privacy loss distribution (PLD) {pld}; both are upper bounds, and the smaller holds.",
    ]
    text = "\n\n".join(textwrap.fill(paragraph, WIDTH) for paragraph in paragraphs)
    text += "\n\nThis rests on:\n" + "\n".join(_item(line) for line in _assumptions(history, delta))
    text += "\n\nSteps:\n" + "\n".join(_item(line) for line in _steps(history))
    theirs = tensorflow_privacy_statement(history, delta)
    return Statement(f"{text}\n\nIn the words of tensorflow-privacy:\n\n{theirs}" if theirs else text)


def _warnings(model, history, delta):
    """What somebody must know who reads no further."""
    unseen = [segment.sampling.copies for segment in history if segment.sampling.repeats_unseen]
    if unseen:
        yield UNSEEN.format(copies=max(unseen))
    if any(segment.noise_multiplier == 0 for segment in history):
        yield "There is no privacy: the noise multiplier is 0."
    if model.seed is not None:
        yield "The noise came from a seed: there is no privacy from whoever knows it. Leave the seed out."
    examples = _examples(history)
    if examples and publishes(delta, examples):
        yield (
            f"The epsilon protects nobody: delta {delta:g} is not below 1 / {examples} records, so publishing one of "
            "them, drawn at random, would keep within it."
        )
    budget = model.budget
    excess = None if budget is None else budget.excess(history, model.noise_multiplier)
    if excess is not None:
        steps = sum(segment.steps for segment in history)
        yield (
            f"The budget is passed: the noise was found for epsilon {budget.epsilon:g} at delta {budget.delta:g} in "
            f"{budget.steps} steps, and {steps} steps have cost {excess:.4g}."
        )


def _assumptions(history, delta):
    units = {segment.sampling.unit for segment in history}
    yield (
        f"Unit: one record, added or left out, its gradient being taken as 0; for one exchanged for another, the noise "
        f"counts half. {UNIT['group' if units == {'group'} else 'row']}"
    )
    kinds = dict.fromkeys(segment.sampling.kind for segment in history)
    yield f"Sampling: {'; '.join(SAMPLING[kind] for kind in kinds)}."
    examples = _examples(history)
    known = f"here 1 / {examples} = {1 / examples:.2g}" if examples else "whose number mpreg does not know"
    yield f"Delta: {delta:g} must be well below 1 / records, {known}."
    yield TRIED
    yield SEEN
    yield START


def _examples(history):
    """The most records that are known of, 0 if none are."""
    return max((segment.sampling.examples or 0 for segment in history), default=0)


def _steps(history):
    """A line for each way of drawing and noise."""
    alike = {}
    for segment in history:
        key = segment.sampling, segment.sampling.unit, segment.noise_multiplier
        alike.setdefault(key, []).append(segment.steps)
    for (sampling, _, noise), counts in alike.items():
        words = DRAWN[sampling.kind].format(
            examples=sampling.examples,
            batch_size=sampling.batch_size,
            passes=sum(sampling.exposures(steps) for steps in counts),
            steps=sum(counts),
        )
        yield f"{sum(counts)} {'step' if sum(counts) == 1 else 'steps'} with noise multiplier {noise:.6g}: {words}."


def _item(line):
    return textwrap.fill(line, WIDTH, initial_indent="- ", subsequent_indent="  ")


def tensorflow_privacy_statement(history, delta):
    """Returns tensorflow-privacy's statement on one segment of known sampling, or None.

    Its number is that for Poisson sampling only where the batches were so drawn.
    """
    library = tensorflow_privacy("privacy.analysis.compute_dp_sgd_privacy_lib")
    if library is None or len(history) != 1 or history[0].sampling.kind != "poisson":
        return None
    (segment,) = history
    if not segment.noise_multiplier:
        return None
    drawn = segment.sampling
    return library.compute_dp_sgd_privacy_statement(
        number_of_examples=drawn.examples,
        batch_size=drawn.batch_size,
        # It rounds up to whole steps, which a last bit would make one more.
        num_epochs=segment.steps * drawn.batch_size / drawn.examples * (1 - 1e-9),
        noise_multiplier=segment.noise_multiplier,
        delta=delta,
        used_microbatching=False,
    )

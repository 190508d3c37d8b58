"""Song and Shmatikov 2019: whether a text model was trained on a user's words, on synthetic text.

The paper audits models of Reddit comments, SATED talks and dialogues. None of these may be handed on, so that the
text here is made up: each user writes by a chain of words of their own, near a chain that all share. Its figures are of
the attack at work, not of people.

Source: "Auditing Data Provenance in Text-Generation Models", KDD 2019.
"""

from pathlib import Path

import click
import keras
import numpy as np
from keras import layers

from mpreg._files import write_all
from mpreg._text import markdown_table, percent_with_interval
from mpreg._validate import check_count
from mpreg.attacks.user_level import audit_users, rank_rows, score_rows
from mpreg.metrics import Estimate, auc, auc_interval
from mpreg.progress import progress_bar
from mpreg.recipes import options
from mpreg.recipes.training import EpochBar
from mpreg.recipes.writing import console, print_table

WORDS, LENGTH = 200, 12
COMMON, OWN = 0.3, 0.5  # of the chains' Dirichlet draws, and the share of a user's own chain


def make_up_text(users, texts, *, seed=0):
    """Texts of made-up users.

    Args:
        users: their number.
        texts: of each user.
        seed: of the chains and texts.

    Returns:
        `(tokens, ids)`: int32 (users * texts, 13), and the user of each text, from 0.
    """
    rng = np.random.default_rng(seed)
    common = rng.dirichlet(np.full(WORDS, COMMON), size=WORDS)
    tokens = np.empty((users, texts, LENGTH + 1), np.int32)
    for user in range(users):
        habits = OWN * rng.dirichlet(np.full(WORDS, 0.02), size=WORDS) + (1 - OWN) * common
        steps = habits.cumsum(axis=1)
        tokens[user, :, 0] = rng.integers(0, WORDS, texts)
        for at in range(LENGTH):
            drawn = rng.random(texts)[:, None] > steps[tokens[user, :, at]]
            tokens[user, :, at + 1] = np.minimum(drawn.sum(axis=1), WORDS - 1)
    return tokens.reshape(-1, LENGTH + 1), np.repeat(np.arange(users), texts)


def text_model(*, hidden=128, seed=0):
    """The paper's model: an embedding and an LSTM of 128 units that tell the next word."""
    keras.utils.set_random_seed(seed)
    stack = [keras.Input((None,), dtype="int32"), layers.Embedding(WORDS, hidden)]
    model = keras.Sequential(
        [*stack, layers.LSTM(hidden, return_sequences=True), layers.Dense(WORDS, "softmax")]
    )
    model.compile(keras.optimizers.Adam(5e-3), "sparse_categorical_crossentropy")
    return model


def run(*, users=100, texts=80, epochs=20, out=None, seed=0):
    """Trains on half of the users, attacks all, prints what is found and writes it to a folder.

    Half of each user's texts are trained on, if any are; the attack looks at the others or at these.

    Args:
        users: their number, half of them members.
        texts: of each, half of them shown to the attacker alone.
        epochs: of the training.
        out: folder for `users.md`; None is `mpreg-song2019`.
        seed: of text, weights and attack.

    Returns:
        A dict of `Estimate`s of the AUC: `"text"` of single texts by their loss, `"user, own texts"`,
        `"user, other texts"`, and `"user, losses alone"`.

    Raises:
        ValueError: fewer than eight users, or two texts.
    """
    check_count("users", users, 8)
    check_count("texts", texts, 2)
    tokens, ids = make_up_text(users, texts, seed=seed)
    trained_on = np.tile(np.arange(texts) < texts // 2, users)
    member = ids < users // 2
    model = text_model(seed=seed)
    own = tokens[member & trained_on]
    with progress_bar("training a text model", epochs) as advance:
        model.fit(
            own[:, :-1], own[:, 1:], epochs=epochs, batch_size=64, verbose=0, callbacks=[EpochBar(advance)]
        )
    predictions = model.predict(tokens[:, :-1], batch_size=256, verbose=0)
    found = {}
    losses = np.log(np.take_along_axis(predictions, tokens[:, 1:, None], axis=2)[..., 0] + 1e-30).mean(axis=1)
    sides = losses[member & trained_on], losses[~member & trained_on]
    found["text"] = Estimate(auc(*sides), *auc_interval(*sides))
    for name, shown in (("user, own texts", trained_on), ("user, other texts", ~trained_on)):
        rows = [rank_rows(predictions[s], tokens[s, 1:], ids[s]) for s in (member & shown, ~member & shown)]
        found[name] = audit_users(*rows, seed=seed).auc
    rows = [score_rows(losses[s], ids[s]) for s in (member & trained_on, ~member & trained_on)]
    found["user, losses alone"] = audit_users(*rows, seed=seed).auc
    header, lines = ["judged", "AUC"], [[name, percent_with_interval(value)] for name, value in found.items()]
    title = f"{users} made-up users, {texts // 2} texts each trained on, {epochs} epochs"
    print_table(title, header, lines)
    out = Path(out) if out else Path("mpreg-song2019")
    note = "The text is made up by Markov chains, a common one and one of each user's own: no person wrote any of it."
    write_all(out, {"users.md": f"# {title}\n\n{note}\n\n{markdown_table(header, lines)}\n"})
    console.print(f"{note} 95 % intervals; guessing is 50 %. Table: {out / 'users.md'}")
    return found


@click.command(help=__doc__.partition("\n")[0])
@click.option(
    "--users",
    type=click.IntRange(min=8),
    default=100,
    show_default=True,
    help="Users, half of whom are members.",
)
@click.option(
    "--texts", type=click.IntRange(min=2), default=80, show_default=True, help="Texts of each user."
)
@click.option(
    "--epochs", type=click.IntRange(min=1), default=20, show_default=True, help="Epochs of the training."
)
@options.out
@options.seed
def command(**given):
    run(**given)

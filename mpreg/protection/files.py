"""`mpreg protect`: the protection of files of one's own."""

from pathlib import Path

from mpreg.catalogue import OwnData, load_plugin
from mpreg.datasets import OwnFile
from mpreg.protection.goal import Goal
from mpreg.protection.protect import run
from mpreg.protection.trials import Job
from mpreg.recipes.writing import console


def protect_files(
    *, model, data, label, drop, image_size, max_attack, max_loss, budget, epochs, out, seed, **options
):
    """The `Protected` of a data file, and of the layers of a saved model or a small network.

    Args:
        model: a `.keras` file, or None.
        data, label, drop, image_size: as of `mpreg.datasets.OwnFile`.
        max_attack, budget: as of `Goal`.
        max_loss: in percent points.
        epochs, out, seed: as of `protect`.
        **options: further ones of `mpreg.catalogue.OwnData`; None among them are its defaults.

    Raises:
        ValueError: as for these.
        OSError: a file cannot be read.
    """
    goal = Goal(max_attack=max_attack, max_loss=max_loss / 100, budget=budget)
    file = OwnFile(path=data, label=label, drop=drop, image_size=image_size)
    given = {name: value for name, value in options.items() if value is not None}
    own = OwnData(file=file, model=model, epochs=epochs, **given)
    setting = load_plugin(own)
    found, split = setting.draw(seed)
    console.print(f"{found.description}\n{split}\nThe goal: {goal}.", soft_wrap=True)
    job = Job(setting, found, split, seed, Path(out) / "steps")
    return run(job, goal, Path(out), rebuild=_rebuild(own, seed))


def _rebuild(own, seed):
    """Lines of a script that draw the split again."""
    file = {name: getattr(own.file, name) for name in ("path", "label", "drop", "image_size")}
    rest = {name: getattr(own, name) for name in ("model", "members", "reference", "epochs", "batch_size")}
    return (
        f"file = OwnFile({_options(file)})",
        f"setting = load_plugin(OwnData(file=file, {_options(rest)}))",
        f"data, split = setting.draw({seed})",
    )


def _options(values):
    return ", ".join(f"{name}={value!r}" for name, value in values.items() if value not in (None, ()))

"""Figures kept in files, with what they are of: those of another defence, setting or version are made anew."""

import json
import platform
from pathlib import Path

import mpreg
from mpreg._files import write_json
from mpreg.catalogue import Task, digest_of
from mpreg.catalogue.networks import network_of
from mpreg.datasets import loader_of
from mpreg.recipes.writing import console


def stamp_of(defence, setting, *, strength=None, attacks=()):
    """What figures are of: a dict of the versions, and of a digest of all that they follow from.

    Args:
        defence: a `Defence`.
        setting: a `Setting`.
        strength: of the defence; None is the usual one.
        attacks: attacks beside the standard ones.
    """
    strength = defence.strength_for(setting.dataset) if strength is None else strength
    epochs = defence.epochs_for(setting)
    of_defence = (defence.name, defence.build, Task, defence.consumes_reference, epochs, strength)
    return stamp_of_training(setting, of_defence, tuple(attacks))


def stamp_of_training(setting, *things):
    """As `stamp_of`, of a `Setting` and of whatever else figures follow from."""
    of_setting = (setting, network_of(setting.network), loader_of(setting.dataset))
    return {
        "made_by": f"mpreg {mpreg.__version__} on Python {'.'.join(platform.python_version_tuple()[:2])}",
        "digest": digest_of(of_setting, *things),
    }


def read_kept(path, stamp):
    """The content of a file that bears the stamp, or None; says in a line where it bears another.

    Args:
        path: of the file, which need not be there.
        stamp: as of `stamp_of`.
    """
    path = Path(path)
    if not path.exists():
        return None
    try:
        content = dict(json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError):
        console.print(f"{path} is made anew: it is damaged.", soft_wrap=True)
        return None
    if all(content.get(name) == value for name, value in stamp.items()):
        return content
    made_by = content.get("made_by")
    if made_by == stamp["made_by"]:
        why = "its defence, setting or attacks have changed"
    else:
        why = f"it was made by {made_by}" if made_by else "it does not say what it is of"
    console.print(f"{path} is made anew: {why}.", soft_wrap=True)
    return None


def keep(path, content, stamp):
    """Writes JSON content with a stamp to a file, whole or not at all; returns what reading it gives."""
    return json.loads(write_json({**content, **stamp}, path))

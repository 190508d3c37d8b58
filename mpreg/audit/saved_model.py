"""Loads a Keras model from a file safely: only registered layers run."""

import zipfile
from pathlib import Path

from mpreg.attacks.shadow.training import ShadowFleet
from mpreg.classifiers.like_target import clones_of
from mpreg.datasets.archives import DAMAGE, MADE_UP, check_size, most_bytes

PARTS = {"config.json", "model.weights.h5"}


def load_model(path, *, compiled=False):
    """Loads a `.keras` file in safe mode and returns the Keras model.

    Args:
        path: the file.
        compiled: whether its optimizer and loss are needed too.

    Raises:
        ValueError: no `.keras` file, Python code in it (a Lambda layer), or a layer that Keras does not know.
        OSError: the file cannot be read.
    """
    with Path(path).open("rb"):  # a missing file is an OSError, not a wrong one
        if Path(path).suffix != ".keras" or not zipfile.is_zipfile(path):
            raise ValueError(
                f"the model must be a .keras file, as model.save('model.keras') writes it. Received: {path}. "
                "For a model of another kind, save its predictions and give --member-predictions"
            )
    _check_parts(path)
    import keras

    from mpreg.classifiers.declared import check_declared

    try:
        check_declared(path, most_bytes())
    except ValueError as error:
        raise ValueError(
            f"{path} is refused: {error}. Save the model again, with model.save('model.keras')"
        ) from error
    try:
        return keras.models.load_model(path, compile=compiled, safe_mode=True)
    except Exception as error:  # a stranger's file can make Keras and HDF5 raise anything
        while (
            error.__cause__ or error.__context__
        ):  # Keras wraps the reason in the config of all that holds it
            error = error.__cause__ or error.__context__
        text = str(error).strip() or type(error).__name__
        reason = text.partition(" Full object config")[0].splitlines()[0]
        if reason.startswith("Requested the deserialization"):
            raise ValueError(
                f"{path} holds Python code (a Lambda layer), which is not run: it could do anything. Rebuild the model "
                "with a registered layer, or save its predictions and give --member-predictions"
            ) from error
        raise ValueError(
            f"{path} cannot be loaded: {reason} A model with layers of your own is audited by its predictions: "
            "give --member-predictions"
        ) from error


def _check_parts(path):
    """Raises a `ValueError` for a zip file without the parts of a model, that is damaged, or unpacks to too much."""
    try:
        with zipfile.ZipFile(path) as archive:
            check_size(archive, most_bytes())
            lacking = sorted(PARTS - set(archive.namelist()))
            damaged = None if lacking else archive.testzip()
    except (ValueError, OSError, *DAMAGE, *MADE_UP) as error:
        raise ValueError(
            f"{path} is no .keras file that can be read: {error or type(error).__name__}"
        ) from error
    if lacking or damaged:
        what = f"lacks {', '.join(lacking)}" if lacking else f"is damaged in {damaged}"
        raise ValueError(f"{path} {what}. Save the model again, with model.save('model.keras')")


def shadow_fleet(model, count, epochs, batch_size):
    """Returns a `ShadowFleet` with a saved model's layers, optimizer and loss.

    Raises:
        ValueError: the model was saved without its optimizer and loss, or is no Sequential or functional model.
    """
    if not getattr(model, "compiled", False):
        raise ValueError(
            "shadow models are trained like the model, which was saved without its optimizer and loss. "
            "Compile it, save it again, and audit that"
        )
    return ShadowFleet(clones_of(model), count=count, epochs=epochs, batch_size=batch_size)

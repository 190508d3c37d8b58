"""Plain training, and plain training stopped early: what every defence is measured by."""

import keras

from mpreg.catalogue.defence import Defence


def undefended(task, _):
    return task.trained()


def early_stopping(task, share):
    """Stops where the loss on reference records is least, or after a share of the epochs."""
    if share is not None:
        return task.fit(task.build_model(), epochs=max(1, round(share * task.setting.epochs)))
    patience = max(3, task.setting.epochs // 5)
    stop = keras.callbacks.EarlyStopping("val_loss", patience=patience, restore_best_weights=True)
    return task.fit(task.build_model(), callbacks=[stop], validation_data=task.split.reference)


FAMILY = (
    Defence(name="undefended", build=undefended, source="plain training"),
    Defence(
        name="early-stopping",
        build=early_stopping,
        source="plain training, stopped",
        knob="share of the epochs",
        strengths=(0.6, 0.4, 0.25, 0.15, 0.1),
        consumes_reference=True,
    ),
)

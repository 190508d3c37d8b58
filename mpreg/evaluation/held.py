"""The classifier that someone with the model's file can extract."""

from mpreg.classifiers.like_target import thawed


def undefended_classifier(model):
    """Returns the Keras classifier of a model or wrapper without output defences, or None if it has none."""
    if not hasattr(model, "predict_on_batch") or hasattr(model, "predict_proba"):
        return None
    from mpreg.outputs import classifier_behind  # it imports Keras, which other models do without

    classifier = thawed(classifier_behind(model)[0])
    return classifier if classifier.trainable_variables else None

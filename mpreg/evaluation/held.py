"""What somebody holds who has a model's file."""


def undefended_classifier(model):
    """The Keras classifier of a model or of a wrapper, without output defences; None where there is none to be held."""
    if not hasattr(model, "predict_on_batch") or hasattr(model, "predict_proba"):
        return None
    from mpreg.outputs import classifier_behind  # it imports Keras, which other models do without

    classifier, _ = classifier_behind(model)
    return classifier if classifier.trainable_variables else None

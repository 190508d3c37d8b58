"""What a recipe trains and drops leaves no graph behind."""

import gc

import keras
import numpy as np
from tensorflow.python.framework.func_graph import FuncGraph

from mpreg.recipes.studies.graphs import graphs_let_go


def train():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(np.zeros((4, 3)), np.zeros(4), verbose=0)
    return model


def graphs():
    keras.backend.clear_session()
    gc.collect()
    return {id(thing) for thing in gc.get_objects() if isinstance(thing, FuncGraph)}


def test_a_training_leaves_no_graph():
    train()  # what a first training sets up
    before = graphs()
    with graphs_let_go():
        train()
    assert not graphs() - before
    train()
    assert graphs() - before  # which it would without, or the manager is not needed any more


def test_models_from_before_train_on():
    model = train()
    with graphs_let_go():
        train()
    model.fit(np.zeros((4, 3)), np.zeros(4), verbose=0)
    model.fit(np.zeros((5, 3)), np.zeros(5), batch_size=5, verbose=0)  # traced anew

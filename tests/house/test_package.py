"""The package: names that load on first use, modules that import only from rows above their own, and their size."""

import ast
import importlib
import importlib.resources
import importlib.util
import json
import pickle
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import pytest
from support.graph import ROOT, circles, graph, imports_of, modules, room_of

import mpreg

HEAVY = (
    "tensorflow",
    "keras",
    "sklearn",
    "scipy",
    "scipy.stats",
    "scipy.optimize",
    "matplotlib",
    "pandas",
    "numpy",
)
ROWS = {
    "_checkout": 0,
    "_registration": 0,
    "_files": 0,
    "_on_use": 0,
    "_registry": 0,
    "_text": 0,
    "_threads": 0,
    "_deprecated": 0,
    "_validate": 0,
    "progress": 0,
    "metrics": 1,
    "data": 2,
    "reports": 2,
    "classifiers": 2,
    "datasets": 3,
    "signals": 3,
    "networks": 3,
    "gradients": 3,
    "fleet": 4,
    "internals": 4,
    "training": 5,
    "outputs": 5,
    "attacks": 5,
    "private": 6,
    "ensembles": 6,  # what they train, and what they distil into, may be defended itself
    "federated": 6,
    "evaluation": 6,
    "callbacks": 7,
    "audit": 7,
    "testing": 7,  # what a stranger's defences and attacks are checked by
    "catalogue": 8,
    "recipes": 9,
    "protection": 10,
    "cli": 11,
}
LONGEST_FILE, LARGEST_ROOM = 350, 3500  # lines
DEFENCES = {"training", "outputs", "private", "ensembles"}


def loaded_after(statement):
    """The heavy modules that a fresh process has loaded after a statement."""
    code = f"import json, sys; {statement}; print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    return json.loads(done.stdout.splitlines()[-1])


PLAIN_NAMES = (
    "AttackResult Comparison MembershipSplit PrivacyReport ShadowFleet ShadowModels ShadowTraining compare evaluate "
    "evaluate_predictions plant_canaries"
)
MODULES = modules()
GRAPH = graph()


def test_importing_the_package_imports_nothing_heavy():
    assert loaded_after("import mpreg; dir(mpreg); mpreg.__version__") == []


def test_rooms_without_models_load_without_keras():
    rooms = (
        "data",
        "metrics",
        "classifiers.arrays",
        "classifiers.kind",
        "signals",
        "datasets",
        "attacks",
        "evaluation",
    )
    loaded = loaded_after(
        "; ".join(f"import mpreg.{room}" for room in rooms)
        + "".join(f"; mpreg.{name}" for name in PLAIN_NAMES.split())
    )
    assert set(loaded) == {"numpy", "scipy"}


def test_thresholds_and_their_report_are_had_without_scikit_learn():
    answers = "np.eye(2)[[0, 1, 0, 1]], [0, 1, 0, 1], np.eye(2)[[0, 1, 0, 1]], [0, 1, 1, 0]"
    code = f"import numpy as np, mpreg; report = mpreg.evaluate_predictions({answers}, attacks='fast')"
    shown = "report.to_json(); report.to_markdown(); print(mpreg.compare({'one': report}))"
    assert set(loaded_after(f"{code}; {shown}")) == {"numpy", "scipy", "scipy.optimize"}


@pytest.mark.parametrize("name", mpreg.__all__)
def test_every_public_name_resolves(name):
    assert getattr(mpreg, name) is not None
    assert name in dir(mpreg)
    assert getattr(mpreg, name) is getattr(mpreg, name)


def test_an_unknown_name_is_an_attribute_error_that_lists_the_names():
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'. Public names: .*evaluate"):
        mpreg.nonsense  # noqa: B018


def test_attacks_that_load_on_first_use_are_those_that_type_checkers_are_told_of():
    source = ast.parse((ROOT / "mpreg" / "attacks" / "__init__.py").read_text("utf-8"))
    (checked,) = (node for node in source.body if isinstance(node, ast.If))
    told = {alias.name: node.module for node in checked.body for alias in node.names}
    assert "NetworkClassifier" in told
    for name, module in told.items():
        value = getattr(mpreg.attacks, name)
        assert getattr(importlib.import_module(module), name) is value
        assert name in dir(mpreg.attacks)
    with pytest.raises(AttributeError, match="'mpreg.attacks' has no attribute 'nonsense'"):
        mpreg.attacks.nonsense  # noqa: B018


def test_submodules_of_the_top_level_folders_import_as_mpreg():
    for folder in ("callbacks", "recipes"):
        module = importlib.import_module(f"mpreg.{folder}")
        assert Path(module.__file__).parent == ROOT / folder


def test_the_saved_classes_known_by_name_are_those_that_their_modules_register():
    for module, path in MODULES.items():
        if "register_keras_serializable" in path.read_text("utf-8"):
            importlib.import_module(module)
    known = {
        name: value
        for name, value in keras.saving.get_custom_objects().items()
        if isinstance(value, type) and value.__module__.startswith("mpreg.")
    }
    listed = {**mpreg._SAVED, **mpreg._SAVED_INSIDE}
    assert set(known) == {f"mpreg>{name}" for name in listed}
    for name, module in listed.items():
        assert getattr(importlib.import_module(module), name) is known[f"mpreg>{name}"]


@pytest.mark.parametrize(
    "imports",
    [
        "import mpreg, keras",
        pytest.param("import keras, mpreg", marks=pytest.mark.slow),  # outputs/ asks the same so
        pytest.param("from mpreg import networks; import keras", marks=pytest.mark.slow),
    ],
)
def test_saved_classes_are_known_and_a_model_loads_once_keras_and_mpreg_are_imported(imports, tmp_path):
    """A model of two classes, which only `defend` puts there, then the layers that the user names."""
    target = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, "sigmoid")])
    served = mpreg.defend(target, mpreg.Temperature(5.0), mpreg.TopK(1))
    served.save(tmp_path / "served.keras")
    known = "print(*sorted(keras.saving.get_custom_objects())); print(keras.__spec__.loader)"
    load = "model = keras.models.load_model('served.keras'); x = keras.ops.array([[1.0, 2.0]])"
    answer = "print(model.predict(x, verbose=0).tolist())"
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); {imports}; {known}; {load}; {answer}"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120
    )
    *_, known, loader, found = done.stdout.splitlines()
    assert {"mpreg>AdversarialRegularization", "mpreg>MemGuard", "mpreg>TopK"} <= set(known.split())
    assert "SourceFileLoader" in loader  # Keras is left as it was found
    answers = served.predict(np.array([[1.0, 2.0]]), verbose=0)
    np.testing.assert_allclose(json.loads(found), answers, rtol=1e-6)


@pytest.mark.parametrize(
    "module", ["mpreg.gradients.plan", pytest.param("mpreg.classifiers.tensors", marks=pytest.mark.slow)]
)
def test_a_module_that_imports_keras_can_be_the_first(module):
    assert "keras" in loaded_after(f"import {module}")


def test_a_checkout_shows_the_two_folders_and_nothing_else_beside_the_package():
    for stray in ("setup", "mpreg", "tests", "benchmarks", "callbacks.missing"):
        assert importlib.util.find_spec(f"mpreg.{stray}") is None
    assert importlib.resources.files("mpreg.recipes").joinpath("dpsgd.py").is_file()


def test_another_process_finds_what_was_pickled_of_the_two_folders():
    pickled = pickle.dumps(importlib.import_module("mpreg.recipes.studies.cells").Cell.make)
    code = f"import pickle; print(pickle.loads({pickled!r}).__code__.co_filename)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    assert Path(done.stdout.splitlines()[-1]) == ROOT / "recipes" / "studies" / "cells.py"


def test_asking_whether_keras_is_installed_does_not_import_it():
    assert loaded_after("import mpreg, importlib.util; assert importlib.util.find_spec('keras')") == []


def test_every_source_file_has_a_row():
    strays = [
        path.name
        for path in (ROOT / "mpreg").iterdir()
        if (path.suffix == ".py" or (path / "__init__.py").exists())
        and not path.name.startswith("__")
        and path.stem not in ROWS
    ]
    assert strays == []


@pytest.mark.parametrize("module", [module for module in MODULES if room_of(module) in ROWS])
def test_a_module_imports_only_from_rows_above_its_own(module):
    own = room_of(module)
    for other, line in imports_of(MODULES[module], MODULES):
        room = room_of(other)
        allowed = room in ("", own) or ROWS[room] < ROWS[own]
        assert allowed, f"{MODULES[module].relative_to(ROOT)}:{line} imports {room}, which is not above {own}"


def test_defences_and_attacks_never_import_each_other():
    for module, imported in GRAPH.items():
        rooms = {room_of(other) for other in imported}
        if room_of(module) in DEFENCES:
            assert "attacks" not in rooms, module
        if room_of(module) == "attacks":
            assert not rooms & DEFENCES, module


def test_no_modules_import_each_other_in_a_circle():
    assert circles(GRAPH) == []


def test_the_check_sees_an_import_of_any_form(tmp_path):
    bad, labels = tmp_path / "mpreg" / "data" / "bad.py", tmp_path / "mpreg" / "data" / "labels.py"
    bad.parent.mkdir(parents=True)
    bad.write_text(
        "import mpreg.attacks.gap\nfrom mpreg import signals\nfrom mpreg.training.game import x\n"
        "def f():\n    from ..evaluation import y\n    from . import labels\n    mpreg.defend(mpreg.networks)\n"
    )
    labels.write_text("from mpreg.data.bad import f\n")
    known = {
        *("mpreg.attacks.gap", "mpreg.signals", "mpreg.training.game", "mpreg.evaluation", "mpreg.networks"),
        *("mpreg.outputs.defend", "mpreg.data.labels", "mpreg.data.bad"),
    }
    assert {name for name, _ in imports_of(bad, known, tmp_path)} == known - {"mpreg.data.bad"}
    assert circles(graph(tmp_path)) == [["mpreg.data.bad", "mpreg.data.labels"]]


def test_circles_are_found_at_any_length():
    edges = {"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": {"e"}, "e": set(), "f": {"f"}, "g": {"a"}}
    assert circles(edges) == [["a", "b", "c"], ["f"]]


def test_no_file_but_tests_is_longer_than_a_few_screens():
    folders = ("mpreg", "callbacks", "recipes", "benchmarks", "docs")
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines())
        for path in (
            ROOT / "setup.py",
            *(path for folder in folders for path in (ROOT / folder).rglob("*.py")),
        )
    }
    assert {path: length for path, length in lengths.items() if length > LONGEST_FILE} == {}


def test_no_room_is_larger_than_one_can_know():
    sizes = Counter()
    for module, path in MODULES.items():
        # The design names the papers' recipes and the studies that run the catalogue as two rooms of one row.
        studies = module.startswith("mpreg.recipes.studies")
        sizes["recipes.studies" if studies else room_of(module)] += len(path.read_text("utf-8").splitlines())
    assert {room: size for room, size in sizes.items() if size > LARGEST_ROOM} == {}


def test_editors_are_told_of_all_exports():
    text = (ROOT / "mpreg" / "__init__.pyi").read_text("utf-8")
    told = re.findall(r"^from (\S+) import (\w+) as \2$", text, re.MULTILINE)
    assert {name for _, name in told} == set(mpreg.__all__)
    for module, name in told:
        assert getattr(importlib.import_module(module), name) is getattr(mpreg, name)

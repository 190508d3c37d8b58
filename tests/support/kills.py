"""Run as a program: kills something with SIGKILL at random moments, starts it again, prints what came of it.

`python kills.py CASE KILLS SEED FOLDER [SECONDS]`: so many kills, or as many as begin within the seconds. What it kills
are forks of one process that has imported everything and run nothing, as imports take longer than what is killed. Every
other kill falls at a random time of the run, the rest within milliseconds of a file's coming or going, where writes are
under way.
"""

import importlib
import json
import os
import random
import signal
import sys
import time
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import tensorflow as tf
from PIL import Image

import mpreg
from mpreg.attacks import LikelihoodRatioAttack, suites
from mpreg.callbacks import Backup

LOSS = "sparse_categorical_crossentropy"
EPOCHS = 12


def records(count):
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, 20)).astype("float32"), rng.integers(0, 3, count)


def network():
    keras.utils.set_random_seed(0)
    stack = [keras.layers.Dense(64, "relu"), keras.layers.Dropout(0.2), keras.layers.Dense(3, "softmax")]
    return keras.Sequential([keras.Input((20,)), *stack])


def fit(model, data, folder, noted=lambda: {}):
    """Trains with a backup; what is noted at the beginning of each epoch goes to a file, a line each."""

    def note(epoch, logs=None):
        with open(folder / "noted.txt", "a", encoding="utf-8") as file:
            file.write(json.dumps({"epoch": epoch, **noted()}) + "\n")

    model.compile("adam", LOSS)
    beside = [Backup(folder / "backup"), keras.callbacks.LambdaCallback(on_epoch_begin=note)]
    options = {"epochs": EPOCHS, "batch_size": 50, "shuffle": False, "verbose": 0}
    model.fit(*data, callbacks=beside, **options)
    done = {f"w{at}": weight for at, weight in enumerate(model.target_model.get_weights())}
    np.savez(folder / ".done.npz", **done, **{name: np.array(value) for name, value in noted().items()})
    os.replace(folder / ".done.npz", folder / "done.npz")


def game(folder):
    x, y = records(400)
    fit(
        mpreg.AdversarialRegularization(network(), (x[:100], y[:100]), penalty=1.0),
        (x[100:], y[100:]),
        folder,
    )


def private(folder):
    model = mpreg.DPSGD(network(), noise_multiplier=1.0, l2_norm_clip=1.0, delta=1e-3, seed=0)

    def spent():
        return {
            "steps": model.noisy_steps,
            "epsilon": model.privacy_spent().epsilon if model.noisy_steps else 0.0,
        }

    fit(model, records(400), folder, spent)


def train_and_attack_by_little():
    """It is not the attacks that are killed here; and tracing takes longer than trainings that are so small."""
    tf.config.run_functions_eagerly(True)
    fast = suites.SUITES["fast"]
    suites.SUITES.update(standard=fast, strong=lambda: [*fast(), LikelihoodRatioAttack()])


def table(folder):
    from mpreg.recipes.studies import defence_table

    train_and_attack_by_little()
    defence_table.CURVE = (("undefended", None), ("early-stopping", 0.4))
    asked = {"defences": "undefended,confidence-penalty", "suite": "standard", "seeds": 1, "epochs": 2}
    defence_table.run(("digits",), out=folder / "table", **asked)
    (folder / "done").touch()


def protect(folder):
    """With as few shadow models as there may be."""
    train_and_attack_by_little()
    for name in ("attacker", "search", "protect"):
        module = importlib.import_module(f"mpreg.protection.{name}")
        module.MIN_SHADOWS = module.MAX_SHADOWS = 2
    rng = np.random.default_rng(0)
    x = rng.normal(size=(260, 16)).astype(np.float32)
    y = (x[:, 0] + rng.normal(size=260) > 0).astype(int)
    split = mpreg.MembershipSplit.from_arrays(x, y, members=60, reference=100, seed=0)

    def build():
        return keras.Sequential(
            [keras.Input((16,)), keras.layers.Dense(32, "relu"), keras.layers.Dense(2, "softmax")]
        )

    mpreg.protect(build, split, out=folder / "out", max_attack=0.70, budget=1e6, epochs=3, seed=0)
    (folder / "done").touch()


CASES = {"game": game, "private": private, "table": table, "protect": protect}


def half_written(folder):
    """Files under names of their own that cannot be read to the end."""
    found = []
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if hidden or not path.is_file():
            continue
        try:
            if path.suffix == ".json":
                json.loads(path.read_text("utf-8"))
            elif path.suffix in (".npz", ".keras"):
                with zipfile.ZipFile(path) as file:
                    assert file.testzip() is None
            elif path.suffix == ".h5":
                with h5py.File(path) as file:
                    file.visititems(lambda name, item: item[()] if isinstance(item, h5py.Dataset) else None)
            elif path.suffix == ".png":
                with Image.open(path) as picture:
                    picture.load()
            elif path.suffix in (".md", ".html", ".py"):
                assert path.read_text("utf-8").endswith("</html>" if path.suffix == ".html" else "\n")
        except Exception as error:
            found.append(f"{path.name}: {type(error).__name__}: {error}")
    return found


def start(case, folder):
    """A fork that does it; its process id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        with open(folder / ".said", "a", encoding="utf-8") as said:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            CASES[case](folder)
        status = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def names(folder):
    """What lies in a folder, hidden files too."""
    return {os.path.join(at, name) for at, *held in os.walk(folder) for part in held for name in part}


def wait_for_write(child, folder, draws):
    """Until some files have come or gone, and a moment more, or the child has ended."""
    left, seen = draws.choice((1, 2, 3, 5, 8, 13)), names(folder)
    while left and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        now = names(folder)
        left, seen = left - (now != seen), now
    time.sleep(draws.uniform(0.0, 0.002))


def fate(child):
    """0, or the signal or code that ended it."""
    status = os.waitpid(child, 0)[1]
    return os.waitstatus_to_exitcode(status)


def figures(case, folder):
    """What must be the same whether it was killed or not."""
    if case in ("game", "private"):
        with np.load(folder / "done.npz") as file:
            return {name: file[name].tolist() for name in file.files}
    if case == "table":
        rows = json.loads((folder / "table" / "table.json").read_text("utf-8"))["digits"]
        return [{name: value for name, value in row.items() if "cost" not in name} for row in rows]
    steps = {}
    for path in sorted((folder / "out" / "steps").glob("*.json")):
        report = json.loads(path.read_text("utf-8"))
        steps[path.name] = [report["test_accuracy"], report["attack_accuracy"]]
    with zipfile.ZipFile(folder / "out" / "classifier.keras") as file:
        (folder / ".weights.h5").write_bytes(file.read("model.weights.h5"))
    weights = {}
    with h5py.File(folder / ".weights.h5") as file:
        file.visititems(
            lambda name, item: (
                weights.update({name: item[()].tolist()}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return {"steps": steps, "weights": weights}


def main(case, kills, seed, folder, seconds=float("inf")):
    end = time.monotonic() + seconds
    if case in ("table", "protect"):
        importlib.import_module(
            f"mpreg.{'recipes.studies.defence_table' if case == 'table' else 'protection.protect'}"
        )
    whole, broken = Path(folder) / "whole", Path(folder) / "broken"
    for each in (whole, broken):
        each.mkdir(parents=True)
    began = time.perf_counter()
    code = fate(start(case, whole))
    took = time.perf_counter() - began
    if code:
        sys.exit(f"it does not run: {(whole / '.said').read_text('utf-8')[-3000:]}")
    draws, fell, in_writes, unreadable, ended = random.Random(seed), 0, 0, [], []
    while fell < kills and time.monotonic() < end:
        lay = names(broken)
        child = start(case, broken)
        # Rather early, as most go on from where the last one was; where one comes to its end, all begins anew.
        if fell % 2:
            wait_for_write(child, broken, draws)
        else:
            time.sleep(took * draws.random() ** 2)
        os.kill(child, signal.SIGKILL)
        code = fate(child)
        if code > 0:
            sys.exit(f"after {fell} kills it does not go on: {(broken / '.said').read_text('utf-8')[-3000:]}")
        fell += code < 0
        in_writes += code < 0 and any("/." in new.replace("/.said", "") for new in names(broken) - lay)
        unreadable += half_written(broken)
        print(f"{fell} kills, {len(unreadable)} files half written", file=sys.stderr, flush=True)
        if code == 0:
            ended.append(broken.rename(broken.with_name(f"ended{len(ended)}")))
            broken.mkdir()
    code = fate(start(case, broken))
    if code:
        sys.exit(f"after {fell} kills it does not end: {(broken / '.said').read_text('utf-8')[-3000:]}")
    found = {
        "kills": fell,
        "in_writes": in_writes,  # what was under way lies there under a name of its own
        "seconds": took,
        "half_written": unreadable,
        "same": all(figures(case, each) == figures(case, whole) for each in (*ended, broken)),
    }
    if case == "private":
        found["noted"] = [
            [json.loads(line) for line in (each / "noted.txt").read_text("utf-8").splitlines()]
            for each in (whole, *ended, broken)
        ]
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], *map(float, sys.argv[5:]))

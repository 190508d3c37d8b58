"""What an installed mpreg must do anywhere: train, measure, save, reload. Run as a script, without pytest."""

import pathlib
import tempfile

import keras
import numpy as np
from click.testing import CliRunner

import mpreg
from mpreg.callbacks import AdversarialTraining, PrivacyMeter
from mpreg.cli import main as command


def main():
    data = mpreg.datasets.load("digits")
    split = mpreg.MembershipSplit.from_arrays(data.features, data.labels, members=200, reference=200, seed=0)
    target = mpreg.networks.location_mlp(features=64, classes=10)
    model = mpreg.AdversarialRegularization(target, split.reference, penalty=1.0)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    keras.utils.set_random_seed(0)  # of the order in which fit draws the records
    history = model.fit(*split.members, epochs=2, verbose=0, callbacks=[PrivacyMeter(split)]).history
    assert {"inference_accuracy", "attack_accuracy"} <= set(history), history.keys()
    plain = mpreg.networks.location_mlp(features=64, classes=10)
    plain.compile("adam", "sparse_categorical_crossentropy")
    keras.utils.set_random_seed(0)
    plain.fit(
        *split.members, epochs=2, verbose=0, callbacks=[AdversarialTraining(split.reference, penalty=1.0)]
    )
    np.testing.assert_allclose(
        plain.predict(data.features, verbose=0), target.predict(data.features, verbose=0), atol=1e-5
    )
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.keras"
        model.save(path)
        reloaded = keras.models.load_model(path)
    np.testing.assert_array_equal(
        reloaded.predict(data.features, verbose=0), model.predict(data.features, verbose=0)
    )
    print(mpreg.evaluate(model, split))
    strong_attacks(plain, split)
    train_privately(split)
    defences_that_compose(split)
    print("smoke: 1 passed, 0 failed")


def strong_attacks(plain, split):
    def build():
        model = keras.models.clone_model(plain)
        model.compile("adam", "sparse_categorical_crossentropy")
        return model

    served = mpreg.defend(plain, mpreg.Temperature(5.0), mpreg.TopK(3))
    shadows = mpreg.ShadowFleet(build, count=4, epochs=2)
    report = mpreg.evaluate(served, split, attacks="strong", shadows=shadows)
    assert "likelihood ratio" in report.attacks and report.cost["shadow_models"] == 4, report.cost


def train_privately(split):
    target = mpreg.networks.location_mlp(features=64, classes=10)
    model = mpreg.DPSGD(target, noise_multiplier=1.0, l2_norm_clip=1.0, delta=1e-3)
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(mpreg.poisson_batches(*split.members, batch_size=50), epochs=1, verbose=0)
    print(model.privacy_statement())


def defences_that_compose(split):
    """Nested wrappers and a distilled model, compared on one page, and a saved one audited by the command."""

    def build():
        model = mpreg.networks.location_mlp(features=64, classes=10)
        model.compile("adam", "sparse_categorical_crossentropy")
        return model

    inner = mpreg.MixUpMMD(build(), split.reference, mmd_weight=1.0)
    nested = mpreg.AdversarialRegularization(inner, split.reference, penalty=1.0)
    nested.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    nested.fit(*split.members, epochs=2, verbose=0)
    distilled = mpreg.SplitDistillation(build, submodels=4, held_out=2)
    distilled.fit(*split.members, epochs=2, verbose=0)
    reports = {
        name: mpreg.evaluate(model, split) for name, model in (("nested", nested), ("distilled", distilled))
    }
    assert reports["nested"].reference is not None and reports["distilled"].reference is None
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        mpreg.compare(reports).to_html(folder / "comparison.html", title="Nested and distilled")
        nested.target_model.save(folder / "model.keras")
        for name, (x, y) in (("members", split.members), ("nonmembers", split.nonmembers)):
            np.savez(folder / f"{name}.npz", x=x, y=y)
        files = [str(folder / name) for name in ("model.keras", "members.npz", "nonmembers.npz")]
        model, members, nonmembers = files
        options = ["--members", members, "--nonmembers", nonmembers, "--dpia", "--out", str(folder / "audit")]
        done = CliRunner().invoke(command, ["audit", model, *options, "--fail-above", "attack_accuracy=0.99"])
        assert done.exit_code == 0, done.output
        written = {path.name for path in (folder / "audit").iterdir()}
        assert {"report.html", "report.json", "member_scores.npz", "dpia.html"} <= written, written


if __name__ == "__main__":
    main()

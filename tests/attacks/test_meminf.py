"""The sample call of ml_privacy_meter's documentation, with the import changed and nothing else."""

import keras
import numpy as np
import pytest
from keras import layers

import mpreg as ml_privacy_meter
from mpreg import MembershipSplit

FEATURES, CLASSES, MEMBERS = 12, 3, 60


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A population of 150 as text and, of them, 60 members as an array of text."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 2, (150, FEATURES)), rng.integers(0, CLASSES, 150)
    x = np.unique(x, axis=0)
    y = y[: len(x)]
    lines = [f"{','.join(map(str, row))};{label}" for row, label in zip(x, y, strict=True)]
    folder = tmp_path_factory.mktemp("data")
    (folder / "population.txt").write_text("\n".join(lines) + "\n")
    np.save(folder / "members.npy", np.array(lines[:MEMBERS]))
    return folder, x.astype("float32"), y


@pytest.fixture(scope="module")
def cmodel(files):
    """A model of five layers, as in the sample."""
    _, x, y = files
    keras.utils.set_random_seed(0)
    hidden = [layers.Dense(16, "tanh") for _ in range(4)]
    model = keras.Sequential([keras.Input((FEATURES,)), *hidden, layers.Dense(CLASSES, "softmax")])
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(x[:MEMBERS], y[:MEMBERS], epochs=60, batch_size=16, verbose=0)
    return model


def test_the_sample_call_runs_and_finds_members(files, cmodel, tmp_path):
    folder, _, _ = files
    datahandler = ml_privacy_meter.attacks.meminf.attack_data(
        dataset_path=folder / "population.txt",
        saved_path=folder / "members.npy",
        batch_size=16,
        attack_percentage=50,
        input_shape=(FEATURES,),
    )
    attackobj = ml_privacy_meter.attacks.meminf.initialize(
        target_train_model=cmodel,
        target_attack_model=cmodel,
        train_datahandler=datahandler,
        attack_datahandler=datahandler,
        optimizer="adam",
        layers_to_exploit=[3, 4, 5],
        gradients_to_exploit=[5],
        exploit_loss=True,
        exploit_label=True,
        learning_rate=0.001,
        epochs=20,
    )
    attackobj.train_attack()
    assert attackobj.auc > 0.65
    picture = attackobj.test_attack(tmp_path / "logs")
    assert picture.stat().st_size > 5000
    saved = [np.load(tmp_path / "logs" / f"{side}_probs.npy") for side in ("member", "nonmember")]
    assert [len(side) for side in saved] == [MEMBERS // 2, MEMBERS // 2]
    assert all(((side >= 0) & (side <= 1)).all() for side in saved)
    assert saved[0].mean() > saved[1].mean()


def test_what_is_learned_from_is_not_judged_and_members_are_no_non_members(files):
    folder, x, _ = files
    handler = ml_privacy_meter.attacks.meminf.attack_data(folder / "population.txt", folder / "members.npy")
    known, judged = handler.parts()
    rows = [
        {tuple(row) for row in side[0]}
        for part in (known, judged)
        for side in (part.members, part.nonmembers)
    ]
    assert sum(map(len, rows)) == len(set.union(*rows)) == 2 * MEMBERS
    members = {tuple(row) for row in x[:MEMBERS]}
    assert rows[0] | rows[2] == members


def test_images_are_read_channel_by_channel_and_standardized(tmp_path):
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (8, 2, 3, 2))
    lines = [
        ";".join([*(",".join(map(str, image[..., channel].reshape(-1))) for channel in range(2)), "1"])
        for image in images
    ]
    (tmp_path / "all.txt").write_text("\n".join(lines))
    np.save(tmp_path / "members.npy", np.array([line.split(";") for line in lines[:3]]))
    paths = tmp_path / "all.txt", tmp_path / "members.npy"
    handler = ml_privacy_meter.attacks.meminf.attack_data(*paths, input_shape=(2, 3, 2))
    np.testing.assert_array_equal(handler.members[0], images[:3])
    handler = ml_privacy_meter.attacks.meminf.attack_data(*paths, input_shape=(2, 3, 2), normalization=True)
    np.testing.assert_allclose(handler.members[0].mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(handler.members[0].std(axis=(0, 1, 2)), 1, rtol=1e-5)


def test_a_file_of_objects_and_lines_that_are_no_records_are_refused(tmp_path):
    (tmp_path / "all.txt").write_text("1,0;1\n1,0,1;0\n")
    np.save(tmp_path / "members.npy", np.array(["1,0;1"]))
    meminf = ml_privacy_meter.attacks.meminf
    with pytest.raises(ValueError, match="same number of features"):
        meminf.attack_data(tmp_path / "all.txt", tmp_path / "members.npy")
    np.save(tmp_path / "objects.npy", np.array([["1,0", 1]], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        (tmp_path / "all.txt").write_text("1,0;1\n")
        meminf.attack_data(tmp_path / "all.txt", tmp_path / "objects.npy")
    with pytest.raises(ValueError, match="as many non-members as there are members, 1"):
        meminf.attack_data(tmp_path / "all.txt", tmp_path / "members.npy")
    with pytest.raises(TypeError, match="Received: 3"):
        meminf.initialize(None, None, 3, 3)


def test_a_split_is_a_datahandler_too(files, cmodel):
    _, x, y = files
    split = MembershipSplit(
        (x[:MEMBERS], y[:MEMBERS]), None, (x[MEMBERS : 2 * MEMBERS], y[MEMBERS : 2 * MEMBERS])
    )
    attack = ml_privacy_meter.attacks.meminf.initialize(
        cmodel, cmodel, split, split, layers_to_exploit=[5], epochs=5
    )
    attack.train_attack()
    assert len(attack.member_probs) == MEMBERS // 2
    with pytest.raises(RuntimeError, match="call train_attack"):
        ml_privacy_meter.attacks.meminf.initialize(
            cmodel, cmodel, split, split, layers_to_exploit=[5]
        ).test_attack()

"""The published sources of the data sets, one frozen `Spec` for each."""

from collections.abc import Callable
from dataclasses import dataclass

from mpreg.datasets import adult, images, tables

_GIGABYTE = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Source:
    """Describes one file as published; `digest` is `"sha256:..."` or `"git-blob:..."`."""

    file: str
    url: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Describes a data set that is read from files."""

    classes: int
    shape: tuple[int, ...]  # of one record
    values: str  # "binary" (kept as uint8), "pixel" (given as float32 from 0 to 1) or "real" (float32)
    origin: str
    sources: tuple[Source, ...]
    parse: Callable  # (paths, spec) -> (features, labels)
    max_bytes: int  # of anything downloaded or unpacked: a guard against bombs, not a forecast
    slow: bool = False  # worth keeping the parsed arrays
    prepared: tuple[tuple[str, Callable], ...] = ()  # other files MPREG_DATA_DIR may hold, and their readers
    refused: tuple[str, ...] = ()  # files of the same publisher that cannot be read safely


def _trustlab(topic, digest, *, classes, columns, about, max_bytes, slow=True):
    """A table of bits of privacytrustlab/datasets."""
    file = f"dataset_{topic}.tgz"
    url = f"https://github.com/privacytrustlab/datasets/raw/master/{file}"
    return Spec(
        classes=classes,
        shape=(columns,),
        values="binary",
        origin=f"{about} (privacytrustlab/datasets)",
        sources=(Source(file=file, url=url, digest=digest),),
        parse=getattr(tables, topic),
        max_bytes=max_bytes,
        slow=slow,
    )


def _cifar(classes, digest, *, about, **options):
    """CIFAR-10 or CIFAR-100."""
    file = f"cifar-{classes}-binary.tar.gz"
    return Spec(
        classes=classes,
        shape=(32, 32, 3),
        values="pixel",
        origin=f"{about} (CIFAR-{classes}, Krizhevsky 2009)",
        sources=(Source(file=file, url=f"https://www.cs.toronto.edu/~kriz/{file}", digest=digest),),
        parse=getattr(images, f"cifar{classes}"),
        max_bytes=2 * _GIGABYTE,
        refused=(f"cifar-{classes}-python.tar.gz",),
        **options,
    )


def _irvine(file, digest):
    url = f"https://archive.ics.uci.edu/ml/machine-learning-databases/adult/{file}"
    return Source(file=file, url=url, digest=digest)


SPECS = {
    "location30": _trustlab(
        "location",
        "sha256:927203f85a868f8ee17a0ded1dc61699efe602167beabe34fbf45b4b1de94b33",
        classes=30,
        columns=446,
        about="places visited by users of a check-in service in Bangkok",
        max_bytes=_GIGABYTE // 16,
        slow=False,
    ),
    # no sha256 is published for these two, but the repository's own ids bind their content
    "purchase100": _trustlab(
        "purchase",
        "git-blob:3efa7476ad5ed7ac3e558d28585a186b38fc5f19",
        classes=100,
        columns=600,
        about="products bought by shoppers, clustered into 100 styles",
        max_bytes=2 * _GIGABYTE,
    ),
    "texas100": _trustlab(
        "texas",
        "git-blob:966f7ff40b24cf5912ff84759aab9adb8c25f30e",
        classes=100,
        columns=6169,
        about="hospital stays in Texas, the class is the main procedure",
        max_bytes=4 * _GIGABYTE,
    ),
    "adult": Spec(
        classes=2,
        shape=(len(adult.COLUMNS),),
        values="real",
        origin="census records of 1994, the class is an income over 50,000 dollars (UCI)",
        sources=(
            _irvine("adult.data", "sha256:5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d"),
            _irvine("adult.test", "sha256:a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05"),
        ),
        parse=adult.adult,
        max_bytes=_GIGABYTE // 16,
    ),
    "cifar10": _cifar(
        10,
        "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        about="colour pictures of animals and vehicles",
        prepared=(("cifar10_jpeg.npz", images.cifar_jpeg),),
    ),
    "cifar100": _cifar(
        100,
        "sha256:58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        about="colour pictures of 100 kinds of things",
    ),
    "mnist": Spec(
        classes=10,
        shape=(28, 28, 1),
        values="pixel",
        origin="handwritten digits (MNIST, LeCun et al. 1998)",
        sources=(
            Source(
                file="mnist.npz",
                url="https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
                digest="sha256:731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
            ),
        ),
        parse=images.mnist,
        max_bytes=_GIGABYTE // 2,
    ),
}

_PICKLED = (
    "its files hold pickles, and reading those can run any code. Load it with Keras, and save plain arrays: "
    "numpy.savez('data.npz', x=x, y=y)"
)
_REGRESSION = "its labels are numbers to predict, and mpreg works on classifiers"

# Data sets of `keras.datasets` that are not among `SPECS`, and why.
KERAS = {
    "fashion-mnist": "no hash of its files is known here. Load it with Keras, and save plain arrays: "
    "numpy.savez('data.npz', x=x, y=y)",
    "imdb": _PICKLED,
    "reuters": _PICKLED,
    "boston-housing": _REGRESSION,
    "california-housing": _REGRESSION,
}

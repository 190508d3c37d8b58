"""Packaging: `callbacks/` and `recipes/` live at the top level and install as `mpreg.callbacks` and `mpreg.recipes`."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
MAPPED = {"mpreg.callbacks": "callbacks", "mpreg.recipes": "recipes"}

packages = find_packages(include=["mpreg", "mpreg.*"])
for name, folder in MAPPED.items():
    packages += [name] + [f"{name}.{child}" for child in find_packages(folder)]

setup(
    name="mpreg",
    version="0.1.0",
    description="Train Keras models that do not betray who they were trained on, and prove it.",
    long_description=(ROOT / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10,<3.14",
    packages=packages,
    package_dir={"mpreg": "mpreg", **MAPPED},
    package_data={"mpreg": ["py.typed"], "mpreg.reports.html": ["templates/*"]},
    zip_safe=False,
    install_requires=[
        "tensorflow>=2.20",
        "keras>=3.10",
        "numpy>=1.26",
        "scipy>=1.11",  # exact binomial and Kolmogorov quantiles; scikit-learn needs it anyway
        "scikit-learn>=1.3",
        "joblib>=1.3",  # replicas in processes or on a cluster; scikit-learn needs it anyway
        "threadpoolctl>=3.1",  # keeps small trees to one thread; scikit-learn needs it anyway
        "tensorboard>=2.20",
        "dp-accounting>=0.4.3",
        # tensorflow-privacy declares no support for Python 3.12 and newer, and older releases do not import on Keras 3.
        "tensorflow-privacy>=0.9,<0.10; python_version < '3.12'",
        "click>=8.1",  # the `mpreg` command
        "rich>=13",  # tables and progress bars
        "matplotlib>=3.8",  # ROC curves and histograms
        "jinja2>=3.1",  # the report as a page
        "pillow>=10",  # decodes JPEG archives of CIFAR; matplotlib needs it anyway
    ],
    extras_require={
        "dask": ["dask[distributed]"],  # a fleet on several machines, through joblib
        "stacking": ["skops>=0.13"],  # saves and loads scikit-learn's models without pickle
        # xdist, because tests trace more than they compute
        "test": ["pytest>=8", "pytest-xdist>=3.5", "ruff>=0.6", "skops>=0.13"],
    },
    entry_points={"console_scripts": ["mpreg = mpreg.cli:main"]},
    classifiers=[
        "Programming Language :: Python :: 3",
        "Intended Audience :: Developers",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Security",
    ],
)

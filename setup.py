"""Where the packages lie: top-level `callbacks/` and `recipes/` install as `mpreg.callbacks` and `mpreg.recipes`.

All else is in `pyproject.toml`: what is needed (tensorflow, keras, dp-accounting), and extras (tensorflow-privacy).
"""

from setuptools import find_packages, setup

MAPPED = {"mpreg.callbacks": "callbacks", "mpreg.recipes": "recipes"}

packages = find_packages(include=["mpreg", "mpreg.*"])
for name, folder in MAPPED.items():
    packages += [name] + [f"{name}.{child}" for child in find_packages(folder)]

setup(packages=packages, package_dir={"mpreg": "mpreg", **MAPPED})

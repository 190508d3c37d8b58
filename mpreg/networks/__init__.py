"""The papers' networks: target models and inference networks, as functions that return built Keras models."""

# Keras first: with it come the modules of saved classes, which import from here, and must not find this half done.
import keras  # noqa: F401

from mpreg.networks.inference import build_inference_network as build_inference_network
from mpreg.networks.inference import compact as compact
from mpreg.networks.inference import nasr2018 as nasr2018
from mpreg.networks.membership import nasr2019 as nasr2019
from mpreg.networks.targets import alexnet_cifar as alexnet_cifar
from mpreg.networks.targets import densenet_bc as densenet_bc
from mpreg.networks.targets import location_mlp as location_mlp
from mpreg.networks.targets import purchase_mlp as purchase_mlp
from mpreg.networks.targets import resnet20 as resnet20
from mpreg.networks.targets import texas_mlp as texas_mlp

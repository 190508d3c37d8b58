"""The settings in which defences are compared: those of the literature, sized for two cores."""

from mpreg.catalogue.setting import Setting

DIGITS = Setting(
    dataset="digits",
    members=400,
    reference=400,
    network="small_mlp",
    learning_rate=1e-3,
    epochs=30,
    batch_size=50,
)
LOCATION30 = Setting(
    dataset="location30",
    members=1_500,
    reference=1_500,
    network="location_mlp",
    learning_rate=1e-3,
    epochs=30,
)
PURCHASE100_LIKE = Setting(
    dataset="purchase100-like",
    members=10_000,
    reference=10_000,
    nonmembers=10_000,
    network="purchase_mlp",
    learning_rate=1e-3,
    epochs=15,
)
CIFAR10 = Setting(
    dataset="cifar10",
    members=2_000,
    reference=2_000,
    nonmembers=2_000,
    network="small_cnn",
    learning_rate=1e-3,
    epochs=30,
    batch_size=50,
)

FAMILY = (DIGITS, LOCATION30, PURCHASE100_LIKE, CIFAR10)

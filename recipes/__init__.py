"""Recipes, imported as `mpreg.recipes`: one file a paper, its table rebuilt, published figures beside measured ones.

`RECIPES` is what `mpreg recipe` offers: the module that has the click command as `command`, and one line of help, by
name. A new recipe is a line here. Nothing heavy is imported for it.
"""

RECIPES = {
    "carlini2022": (
        "mpreg.recipes.carlini2022",
        "Carlini et al. 2022: ROC at low false positive rates of attacks with one query and with shadow models.",
    ),
    "defence_table": (
        "mpreg.recipes.studies.defence_table",
        "All defences on several data sets, each judged by an attacker who knows it, and by its most exposed records.",
    ),
    "dpsgd": ("mpreg.recipes.dpsgd", "DP-SGD at epsilon 1, 2, 4 and 8: accuracy, attacks and an audit."),
    "federation": (
        "mpreg.recipes.studies.federation",
        "A federation attacked by participants and by servers that watch, raise losses or isolate.",
    ),
    "frontier": (
        "mpreg.recipes.studies.frontier",
        "A sweep of each defence's strength: what it costs in accuracy for what it saves in privacy.",
    ),
    "li2021": ("mpreg.recipes.li2021", "Li, Li and Ribeiro 2021: MixUp, MMD and both together."),
    "nasr2018": (
        "mpreg.recipes.nasr2018",
        "Nasr, Shokri and Houmansadr 2018: without and with adversarial regularization.",
    ),
    "nasr2019": (
        "mpreg.recipes.nasr2019",
        "Nasr, Shokri and Houmansadr 2019: attackers who hold the model, and snapshots of its training.",
    ),
    "salem2019": (
        "mpreg.recipes.salem2019",
        "Salem et al. 2019 (ML-Leaks): three adversaries with decreasing knowledge, transfer between tasks, dropout.",
    ),
    "screening": (
        "mpreg.recipes.studies.screening",
        "Whom screening leaves out of a data set's members, by class, and how many planted canaries.",
    ),
    "setups": (
        "mpreg.recipes.studies.setups",
        "What the attacker knows, and sweeps of training size and number of shadow models.",
    ),
    "shokri2017": (
        "mpreg.recipes.shokri2017",
        "Shokri et al. 2017: what served answers and L2 save, against attackers who know of it or do not.",
    ),
    "song2019": (
        "mpreg.recipes.song2019",
        "Song and Shmatikov 2019: whether a text model was trained on a user's words, on made-up text.",
    ),
}

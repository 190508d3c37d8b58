"""Recipes, imported as `mpreg.recipes`: one file a paper, its table rebuilt, published figures beside measured ones."""

"""Tables of a space: what every genotype reaches after training from scratch, with several seeds.

Four ship with the package, as ``NAME.csv.gz`` and a card ``NAME.yaml`` beside it.
"""

from atrc.cpbench._files import Entry, budget_steps, recipe_of, write_table

__all__ = ["Entry", "budget_steps", "recipe_of", "write_table"]

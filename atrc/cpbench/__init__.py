"""Tables of a space: what every genotype reaches after training from scratch, with several seeds.

Tables ship with the package, each as ``NAME.csv.gz`` with a card ``NAME.yaml`` beside it. Any other pair of files
that ``atrc cpbench make`` wrote can be used in the same way.
"""

from atrc.cpbench._files import Network, Points, budget_steps, recipe_of, results_of, write_table
from atrc.cpbench._sources import TABLE, answers_of, require_answers, table_for
from atrc.cpbench._tables import Card, Tabled, find_table, open_table, require_table, shipped_tables, table_of

__all__ = [
    "TABLE",
    "Card",
    "Network",
    "Points",
    "Tabled",
    "answers_of",
    "budget_steps",
    "find_table",
    "open_table",
    "recipe_of",
    "require_answers",
    "require_table",
    "results_of",
    "shipped_tables",
    "table_for",
    "table_of",
    "write_table",
]

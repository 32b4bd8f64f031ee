"""Ask and tell: a search over anything that gets a number, here the settings of a decision tree.

python own_objective.py [STRATEGY]     # any multi-trial strategy: evolution, bananas, optuna_tpe, nni_tpe, ...
"""

import sys

from sklearn.datasets import load_wine
from sklearn.model_selection import cross_val_score
from sklearn.tree import DecisionTreeClassifier

from searchspace import SearchSpace
from strategies import Budget, Search, build_strategy

SPACE = SearchSpace(
    "tree",
    {
        "depth": ["1", "2", "3", "4", "6", "8"],
        "criterion": ["gini", "entropy"],
        "leaf": ["1", "2", "4", "8", "16"],
        "features": ["all", "sqrt"],
    },
)


def accuracy(trial):
    """The score of a trial, higher is better; one that is not finite would count as a failure."""
    chosen = trial.genotype
    tree = DecisionTreeClassifier(
        max_depth=int(chosen["depth"]),
        criterion=chosen["criterion"],
        min_samples_leaf=int(chosen["leaf"]),
        max_features=None if chosen["features"] == "all" else "sqrt",
        random_state=0,
    )
    return cross_val_score(tree, *load_wine(return_X_y=True)).mean()


def main():
    name = sys.argv[1] if len(sys.argv) > 1 else "evolution"
    knobs = {"population": 10, "tournament": 3} if name == "evolution" else {}
    strategy = build_strategy(name, SPACE, seed=0, knobs=knobs)
    search = Search(strategy, score=accuracy, budget=Budget(trials=60))
    best = 0.0
    for event in search:
        if event.kind == "told" and event.score > best:
            best = event.score
            print(f"trial {event.trial.number}: {best:.3f} {dict(event.trial.genotype)}")
    print(f"best of {search.genotypes} genotypes: {best:.3f} {dict(search.genotype())}")


if __name__ == "__main__":
    main()

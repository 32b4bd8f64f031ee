"""A whole experiment from Python: search, retrain what was found, train a baseline, and predict with it.

    python experiment.py

It needs no ``if __name__ == "__main__"``: the processes that execute runs never import this file.
"""

import atrc

config = atrc.load_config(
    "demo",
    [
        "dataset={name: rooms, size: [32, 48], train: 24, val: 8}",
        "tasks=[semseg, depth]",
        "search.steps=12",
        "search.batch_size=4",
        "train.steps=12",
        "train.batch_size=4",
        "seeds=[0, 1]",
    ],
)
atrc.execute_experiment(config, "runs/tiny", ["multi"], jobs=2, quiet=True)

for run in atrc.find_runs(["runs/tiny"]):
    print(run.path, {task: round(value, 2) for task, value in run.result().metrics.items()})

found = atrc.open_run("runs/tiny/retrain/seed0")
maps = found.predict(found.split("val")[0].image)
print("found:", dict(found.genotype), "which predicts", {task: one.shape for task, one in maps.items()})

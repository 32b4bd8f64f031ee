"""Permutation importance: against full forward passes, on a network with a known answer, and over runs."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from analysis import correlate, load_runs
from analysis.agreement import agreement
from analysis.blocks import Blocks
from analysis.importance import block_importance, permuted_metrics
from analysis.source_importance import (
    importance_against_agreement,
    kept_importance,
    measure_importance,
    source_importance,
)
from atrc.backbones import BACKBONES
from atrc.config import parse_config
from atrc.data import Batch
from atrc.distillation import NoDistillation
from atrc.experiments import create_train
from atrc.networks import Encoded, MultiTaskNetwork, Parts
from atrc.runs import RunDirectory
from atrc.supernets import ContextSupernet
from atrc.tasks import TASKS as TASK_TYPES
from atrc.training import Interrupted, execute
from searchspace import CPSpace, InputError, block

from .conftest import SINGLE, TASKS, Write, keep, of, write_baselines, write_search

IMAGES = 7


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def tiny() -> torch.nn.Module:
    return BACKBONES.create("tiny", {"width": 0.25})


def drawn(sizes: list[int], seed: int = 0, padded: bool = False) -> list[Batch]:
    """Noise, with labels of segmentation and depth."""
    generator = torch.Generator().manual_seed(seed)
    batches = []
    for size in sizes:
        valid = torch.ones(size, 1, 32, 48, dtype=torch.bool)
        if padded:
            valid[..., -8:] = False
        labels = {
            "semseg": torch.randint(0, 3, (size, 32, 48), generator=generator),
            "depth": 1 + torch.rand(size, 32, 48, generator=generator),
        }
        image = torch.randn(size, 3, 32, 48, generator=generator)
        batches.append(Batch(image, labels, valid, [str(i) for i in range(size)]))
    return batches


def some_tasks() -> dict:
    return {"semseg": TASK_TYPES.create("semseg", {"classes": 3}), "depth": TASK_TYPES.create("depth", {})}


SPACE = CPSpace(["semseg", "depth"])
MIXED = SPACE.genotype(
    {
        block("semseg", "semseg"): "global",
        block("semseg", "depth"): "s_label",
        block("depth", "semseg"): "none",
        block("depth", "depth"): "local",
    }
)


def shaken(network: torch.nn.Module) -> torch.nn.Module:
    """Away from its initialisation, where the blocks say nothing."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return network.eval()


def parts() -> Parts:
    return Parts(some_tasks(), tiny)


def derived() -> Blocks:
    torch.manual_seed(0)
    return Blocks(shaken(ContextSupernet.network(parts(), MIXED)))


def sampled() -> Blocks:
    torch.manual_seed(0)
    return Blocks(shaken(ContextSupernet(parts(), SPACE)), MIXED)


@pytest.mark.parametrize("make", [derived, sampled])
@pytest.mark.parametrize("padded", [False, True])
def test_it_is_what_full_forward_passes_give(make: Callable[[], Blocks], padded: bool) -> None:
    blocks, batches = make(), drawn([3, 3, 1], padded=padded)
    found = block_importance(blocks, batches, IMAGES, permutations=2, seed=5, quiet=True)
    generator = np.random.default_rng(5)
    orders = [torch.from_numpy(generator.permutation(IMAGES)) for _ in range(2)]
    assert len(found) == 4 * 2
    for row in found.to_dict("records"):
        if row["context"] == "none":
            assert row["drop"] == 0
            continue
        drawn_orders = orders[row["permutation"]], torch.arange(IMAGES)
        full, still = permuted_metrics(blocks, batches, row["target"], row["source"], drawn_orders)
        assert row["after"] == pytest.approx(full[row["target"]], rel=1e-6)
        assert row["before"] == pytest.approx(still[row["target"]], rel=1e-6)
        (other,) = {"semseg", "depth"} - {row["target"]}
        assert full[other] == pytest.approx(still[other], rel=1e-6), "a block reaches its target only"
        sign = 1 if row["target"] == "semseg" else -1
        assert row["drop"] == sign * (row["before"] - row["after"])
    assert (found["drop"] != 0).any()


def test_what_a_permutation_leaves_is_predicted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once without any permutation, and for each permutation once for all blocks of a row."""
    blocks, predicted = derived(), dict.fromkeys(SPACE.tasks, 0)
    finish = blocks.finish

    def counted(target: str, row: Tensor) -> Tensor:
        predicted[target] += len(row)
        return finish(target, row)

    monkeypatch.setattr(blocks, "finish", counted)
    block_importance(blocks, drawn([3, 3, 1]), IMAGES, permutations=20, seed=5, quiet=True)
    generator = np.random.default_rng(5)
    kept = [int((generator.permutation(IMAGES) == np.arange(IMAGES)).sum()) for _ in range(20)]
    assert sum(kept) > 0
    for target, several in (("semseg", 2), ("depth", 1)):  # one block of depth is cut
        assert predicted[target] == IMAGES + sum(kept) + several * (20 * IMAGES - sum(kept))


def test_the_identity_changes_nothing() -> None:
    """Of two images, half of the permutations leave both where they are."""
    found = block_importance(derived(), drawn([1, 1]), 2, permutations=12, seed=0, quiet=True)
    generator = np.random.default_rng(0)
    same = [bool((generator.permutation(2) == np.arange(2)).all()) for _ in range(12)]
    assert 0 < sum(same) < 12
    left = found[found["permutation"].map(dict(enumerate(same)))]
    assert (left["after"] == left["before"]).all()
    assert (found["drop"] != 0).any()


def test_files_hold_what_memory_does_not() -> None:
    blocks, batches = derived(), drawn([4, 3])
    in_memory = block_importance(blocks, batches, IMAGES, permutations=2, quiet=True)
    pd.testing.assert_frame_equal(
        in_memory, block_importance(blocks, batches, IMAGES, permutations=2, memory=0, quiet=True)
    )


def test_a_network_that_reads_one_block_only() -> None:
    """Depth is predicted from the block of segmentation, which passes on a number that the image holds."""

    class Known(MultiTaskNetwork):
        def encode(self, image: Tensor, selection: object = None) -> Encoded:
            return Encoded(dict.fromkeys(self.tasks, image[:, :1, ::4, ::4]), {}, {})

    space = CPSpace(["semseg", "depth"])
    distillation = ContextSupernet.network(parts(), space.uniform("global")).distillation
    network = Known(tiny(), some_tasks(), distillation)
    module = network.distillation
    module.pool = lambda features, regions, valid: {  # type: ignore[method-assign,assignment]
        task: {"semseg": features[task], "depth": 0 * features[task]} for task in space.tasks
    }
    network.eval()
    module.rows["depth"] = torch.nn.Module()
    module.rows["depth"].before_relu = lambda features, pooled: sum(pooled)
    module.rows["depth"].effects = lambda widths: [torch.ones(1, 1), torch.ones(1, 1)]
    network.predict["depth"] = torch.nn.Identity()
    levels = torch.arange(1.0, 6.0)
    image = levels.view(5, 1, 1, 1).expand(5, 3, 32, 48)
    labels = {"depth": levels.view(5, 1, 1).expand(5, 32, 48), "semseg": torch.zeros(5, 32, 48, dtype=torch.long)}
    batch = Batch(image, labels, torch.ones(5, 1, 32, 48, dtype=torch.bool), list("abcde"))
    module.rows["semseg"] = torch.nn.Module()
    module.rows["semseg"].before_relu = lambda features, pooled: features.expand(-1, 3, -1, -1)
    module.rows["semseg"].effects = lambda widths: [torch.zeros(3, 1), torch.zeros(3, 1)]
    network.predict["semseg"] = torch.nn.Identity()

    found = block_importance(Blocks(network), [batch], 5, permutations=3, seed=2, quiet=True)
    orders = np.random.default_rng(2)
    for number in range(3):
        order = orders.permutation(5)
        exact = math.sqrt(np.mean((order - np.arange(5)) ** 2))  # RMSE of the numbers that the others brought
        row = found[(found["target"] == "depth") & (found["source"] == "semseg") & (found["permutation"] == number)]
        assert float(row["before"].iloc[0]) == pytest.approx(0, abs=1e-6)
        assert float(row["drop"].iloc[0]) == pytest.approx(exact, rel=1e-5)
    others = found[(found["target"] != "depth") | (found["source"] != "semseg")]
    assert (others["drop"] == 0).all()


@pytest.mark.parametrize(("permutations", "images"), [(0, 7), (1, 1), (1, 9)])
def test_refusals(permutations: int, images: int) -> None:
    with pytest.raises(InputError):
        block_importance(derived(), drawn([4, 3]), images, permutations=permutations, quiet=True)


def test_a_baseline_has_no_blocks() -> None:
    with pytest.raises(InputError, match="no context-pooling blocks"):
        Blocks(MultiTaskNetwork(tiny(), some_tasks(), NoDistillation({})))
    with pytest.raises(InputError, match="genotype"):
        Blocks(ContextSupernet(parts(), SPACE))


# -- over runs ------------------------------------------------------------------------------------------------------


def test_means_over_runs_in_units_of_delta_m(write: Write, tmp_path: Path) -> None:
    space = CPSpace(TASKS)
    write_baselines(write)
    drops = [{"semseg<-depth": 3.802}, {"semseg<-depth": 0.0}]
    for seed, context in enumerate(("global", "none")):
        run = write("retrain", seed, of((38.9, 0.6, 20.5, 76.3)), genotype=space.uniform(context))
        keep(run.path, drops[seed], space.uniform(context))
    table = source_importance(load_runs([tmp_path]), "demo").set_index(["target", "source"])
    row = table.loc[("semseg", "depth")]
    assert row["delta_m"] == pytest.approx(100 * 3.802 / 2 / SINGLE[0] / 4)
    assert (row["n"], row["cut"], row["permutations"]) == (2, 0.5, 2)
    assert row["drop"] == pytest.approx(3.802 / 2)
    assert row["share"] == pytest.approx(100 * 3.802 / 2 / 50)
    assert (row["low"], row["high"]) == pytest.approx((0, 100 * 3.802 / SINGLE[0] / 4))
    assert table.loc[("edge", "edge"), "delta_m"] == 0


def test_importance_against_agreement(write: Write, tmp_path: Path) -> None:
    space = CPSpace(TASKS)
    write_baselines(write)
    differing = space.genotype({**space.uniform("global"), "semseg<-depth": "local"})
    for seed, found in enumerate((space.uniform("global"), differing)):
        write_search(write, seed, found)
        run = write("retrain", seed, of((38.9, 0.6, 20.5, 76.3)), genotype=found)
        keep(run.path, {"semseg<-depth": -1.0}, found)
    runs = load_runs([tmp_path])
    searches = agreement(list(runs.found("demo").values()))
    both = importance_against_agreement(source_importance(runs, "demo"), searches.table)
    table = both.set_index(["target", "source"])
    assert len(table) == 16
    assert table.loc[("semseg", "depth"), "agreement"] == 0
    assert (table.drop(("semseg", "depth"))["agreement"] == 1).all()
    assert correlate(table["importance"], table["agreement"])["value"].tolist() == pytest.approx([1, 1])


def test_without_baselines_the_drop_is_relative(write: Write, tmp_path: Path) -> None:
    run = write("retrain", 0, of((38.9, 0.6, 20.5, 76.3)), genotype=CPSpace(TASKS).uniform("global"))
    keep(run.path, {"edge<-edge": 5.0}, CPSpace(TASKS).uniform("global"))
    table = source_importance(load_runs([tmp_path]), "demo").set_index(["target", "source"])
    assert math.isnan(table.loc[("edge", "edge"), "delta_m"])
    assert table.loc[("edge", "edge"), "share"] == pytest.approx(10)
    assert source_importance(load_runs([tmp_path]), "demo", "multi").empty


SMALL = """
name: tiny-test
dataset: {name: rooms, size: [32, 48], train: 4, val: 3}
tasks: [semseg, depth]
backbone: {name: tiny, width: 0.25}
"""


def small(folder: Path, *overrides: str) -> RunDirectory:
    """A training of two tasks that attend to each other, before its first step."""
    (run,) = create_train(parse_config(SMALL, "test", overrides), ["all-global"], folder / "exp")
    return run


def test_it_is_measured_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATRC_CACHE", str(tmp_path / "cache"))
    run = small(tmp_path, "train={steps: 2, batch_size: 2}")
    execute(run, quiet=True)
    first = measure_importance(run, permutations=2, quiet=True)
    metrics = run.result().metrics
    assert dict(zip(first["target"], first["before"], strict=True)) == pytest.approx(metrics)
    kept = (run.path / "importance.csv").stat().st_mtime_ns
    pd.testing.assert_frame_equal(first, measure_importance(run, permutations=2, quiet=True), rtol=1e-9)
    assert (run.path / "importance.csv").stat().st_mtime_ns == kept
    for path in run.checkpoints.iterdir():
        path.unlink()
    pd.testing.assert_frame_equal(first, measure_importance(run, permutations=2, quiet=True), rtol=1e-9)
    with pytest.raises(InputError, match="no checkpoint"):
        measure_importance(run, permutations=3, quiet=True)


def test_what_was_measured_of_other_weights_or_data_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was stopped, looked at, and resumed; and a validation set whose files were replaced."""
    monkeypatch.setenv("ATRC_CACHE", str(tmp_path / "cache"))
    run = small(tmp_path, "train={steps: 6, batch_size: 2, lr: 0.1}", "log_every=2")
    with run.listening(lambda *_: signal.raise_signal(signal.SIGTERM)), pytest.raises(Interrupted):
        execute(run, quiet=True)
    assert not run.finished
    early = measure_importance(run, permutations=2, quiet=True)
    execute(run, quiet=True)
    assert kept_importance(run) is None, "nor do tables read it"
    late = measure_importance(run, permutations=2, quiet=True)
    assert dict(zip(late["target"], late["before"], strict=True)) == pytest.approx(run.result().metrics)
    assert not np.allclose(early["before"], late["before"], rtol=1e-4)  # a table that is read is rounded
    (images,) = (tmp_path / "cache" / "rooms").glob("val*/**/image.npy")
    np.save(images, 255 - np.load(images))
    other = measure_importance(run, permutations=2, quiet=True)
    assert not np.allclose(other["before"], late["before"], rtol=1e-4)


# -- correlation ----------------------------------------------------------------------------------------------------


def test_correlation_is_that_of_scipy() -> None:
    from scipy import stats

    generator = np.random.default_rng(0)
    x = generator.normal(size=40)
    y = x + generator.normal(size=40)
    found = correlate(x, np.append(y[:-1], math.nan)).set_index("coefficient")
    pearson, spearman = stats.pearsonr(x[:-1], y[:-1]), stats.spearmanr(x[:-1], y[:-1])
    assert found.loc["pearson", "value"] == pytest.approx(pearson.statistic)
    assert found.loc["spearman", "value"] == pytest.approx(spearman.statistic)
    assert (found["n"] == 39).all()
    exact = pearson.confidence_interval(0.95)
    assert found.loc["pearson", "low"] == pytest.approx(exact.low, abs=0.1)
    assert found.loc["pearson", "high"] == pytest.approx(exact.high, abs=0.1)


@pytest.mark.parametrize("x", [[1.0, 2.0], [1.0, 1.0, 1.0], []])
def test_a_correlation_that_is_not_defined(x: list[float]) -> None:
    assert correlate(np.array(x), np.arange(len(x)))["value"].isna().all()

"""Branched backbones: what is shared is shared, what is not reached is not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from atrc.backbones import BACKBONES, Backbone, BranchedBackbone, Tiny
from atrc.config import Config, Cost, parse_config
from atrc.costs import Counter, count_multiply_adds, count_parameters
from atrc.experiments import create_retrain, create_search
from atrc.runs import RunDirectory
from atrc.setup import Setup
from atrc.training import execute
from searchspace import BMTASSpace, InputError, Selection, Weighted

TASKS = ("semseg", "depth", "edge")
SPACE = BMTASSpace(TASKS)
TREE = SPACE.from_tree([[TASKS], [TASKS], [("semseg",), ("depth", "edge")], [("semseg",), ("depth",), ("edge",)]])
IMAGE = torch.randn(2, 3, 33, 48, generator=torch.Generator().manual_seed(0))


def tiny() -> Backbone:
    return Tiny(width=0.25)


def branched(genotype=None) -> BranchedBackbone:
    torch.manual_seed(0)
    return BranchedBackbone(tiny, SPACE, genotype).eval()


def settings(config: Config, **changes: object) -> Config:
    text = config.model_copy(update={"space": config.space.model_copy(update={"name": "bmtas"}), **changes}).to_yaml()
    return parse_config(text, "branching test")


def copied(tree: BranchedBackbone, supernet: BranchedBackbone) -> None:
    own = supernet.state_dict()
    tree.load_state_dict({name: own[name] for name in tree.state_dict()})


@torch.no_grad()
def test_a_tree_is_what_the_supernet_computes_under_its_selection() -> None:
    supernet, tree = branched(), branched(TREE)
    copied(tree, supernet)
    for genotype in (TREE, SPACE.shared(), SPACE.split()):
        tree = branched(genotype)
        copied(tree, supernet)
        expected, found = supernet(IMAGE, Selection.of(genotype)), tree(IMAGE)
        assert list(found) == list(TASKS)
        for task in TASKS:
            assert all(torch.equal(a, b) for a, b in zip(found[task], expected[task], strict=True))


@torch.no_grad()
def test_one_branch_is_the_backbone_and_shares_its_maps() -> None:
    tree = branched(SPACE.shared())
    torch.manual_seed(0)
    plain = tiny().eval()
    maps = tree(IMAGE)
    for task in TASKS:
        assert all(torch.equal(a, b) for a, b in zip(maps[task], plain(IMAGE), strict=True))
    assert count_parameters(tree) == count_parameters(plain)
    assert count_parameters(branched(SPACE.split())) == len(TASKS) * count_parameters(plain)


def test_only_reached_nodes_are_built_and_learn() -> None:
    tree = branched(TREE)
    stages = {task: sorted(of) for task, of in ((task, list(of)) for task, of in tree.nodes.items())}
    assert stages == {
        "semseg": ["stage1", "stage2", "stage3", "stage4"],
        "depth": ["stage3", "stage4"],
        "edge": ["stage4"],
    }
    sum(x.sum() for maps in tree.train()(IMAGE).values() for x in maps).backward()
    assert all(p.grad is not None for p in tree.parameters())


@torch.no_grad()
def test_what_a_node_reads_is_the_weighted_sum_of_its_parents() -> None:
    """By hand for two parents of one node of the second stage."""
    supernet = branched()
    weights = torch.tensor([0.3, 0.7])
    selection = Selection(
        {**Selection.of(TREE).options, "stage2:semseg": tuple(map(Weighted, ("semseg", "edge"), weights))}
    )
    first = {task: supernet.nodes[task]["stage1"]([IMAGE])[0] for task in ("semseg", "edge")}  # type: ignore[index]
    maps = [0.3 * first["semseg"] + 0.7 * first["edge"]]
    for stage in ("stage2", "stage3", "stage4"):
        maps = supernet.nodes["semseg"][stage](maps)  # type: ignore[index]
    for a, b in zip(supernet(IMAGE, selection)["semseg"], maps, strict=True):
        torch.testing.assert_close(a, b)


def test_parents_learn_in_proportion_to_their_weights_and_weights_learn() -> None:
    supernet = branched()
    weights = torch.tensor([0.5, 0.5, 0.0], requires_grad=True)
    options = {choice: tuple(map(Weighted, TASKS, weights.unbind())) for choice in SPACE}
    maps = supernet(IMAGE, Selection(options))
    sum(x.square().sum() for x in maps["depth"]).backward()
    assert weights.grad is not None
    assert weights.grad.abs().min() > 0
    of_edge = [p.grad.abs().sum() for p in supernet.nodes["edge"].parameters() if p.grad is not None]
    assert sum(of_edge) == 0, "a parent of weight 0 learns nothing"


@pytest.mark.parametrize(
    "name",
    ["tiny", pytest.param("hrnet18", marks=pytest.mark.slow), pytest.param("resnet50", marks=pytest.mark.slow)],
)
def test_a_stage_costs_what_it_adds_to_a_network(config: Config, name: str) -> None:
    options = {"name": name, "width": 0.25} if name == "tiny" else {"name": name}
    chosen = settings(config, backbone=config.backbone.model_validate(options), cost=Cost())
    space = Setup.of(chosen).space
    assert isinstance(space, BMTASSpace)
    names = space.tasks
    late = space.from_tree([[names], [names], [names[:2], names[2:]], [names[:1], names[1:2], names[2:]]])
    counter = Counter((64, 96))
    for measure in ("multiply_adds", "parameters"):
        priced = chosen.model_copy(update={"cost": Cost(measure=measure)})
        costs = Setup.of(priced).costs(torch.device("cpu"), (64, 96))
        with torch.device("meta"):
            networks = [
                Setup.of(chosen).network("x", genotype, pretrained=False)
                for genotype in (space.shared(), late, space.split())
            ]
        whole = [counter.multiply_adds(n) if measure == "multiply_adds" else count_parameters(n) for n in networks]
        for genotype, count in zip((late, space.split()), whole[1:], strict=True):
            gain = costs.of(genotype) - costs.of(space.shared())
            assert gain == count - whole[0]


def test_the_supernet_counts_what_a_selection_computes(config: Config) -> None:
    chosen = settings(config)
    supernet = Setup.of(chosen).supernet()
    space = supernet.space
    for genotype in (space.shared(), space.split()):
        derived = supernet.derive(genotype)
        assert count_multiply_adds(supernet, (32, 48), Selection.of(genotype)) == count_multiply_adds(
            derived, (32, 48)
        )


@pytest.mark.parametrize("strategy", ["gumbel_entropy", "random"])
def test_a_tree_is_searched_trained_and_given_contexts(
    config: Config, strategy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    knobs = {"lr": 0.2} if strategy == "gumbel_entropy" else {}
    chosen = settings(
        config,
        strategy=config.strategy.model_validate({"name": strategy, **knobs}),
        cost=Cost(weight=0.5),
        trials=config.trials.model_copy(update={"steps": 2, "images": 4}),
    )
    (search,) = create_search(chosen, Path("runs"))
    execute(search, quiet=True)
    found = search.genotype()
    assert found is not None
    assert found.space == "bmtas"
    (retrained,) = create_retrain([search])
    result = execute(retrained, quiet=True)
    assert set(result.metrics) == set(config.tasks)
    network = Setup.of(chosen).network("x", found)
    assert result.parameters == count_parameters(network)
    if strategy == "random":
        return
    where = str(search.path / "genotype.json")
    contexts = parse_config(
        config.model_copy(update={"backbone": chosen.backbone.model_copy(update={"branches": where})}).to_yaml(), "x"
    )
    (with_contexts,) = create_search(contexts, Path("contexts"))
    assert set(execute(with_contexts, quiet=True).metrics) == set(config.tasks)
    assert with_contexts.genotype().space == "cp"  # type: ignore[union-attr]
    assert RunDirectory.open(with_contexts.path).finished


def test_trees_that_do_not_fit_are_one_line(config: Config, tmp_path: Path) -> None:
    def branches(path: Path) -> Config:
        return parse_config(
            config.model_copy(
                update={"backbone": config.backbone.model_copy(update={"branches": str(path)})}
            ).to_yaml(),
            "x",
        )

    with pytest.raises(
        InputError, match=r"backbone.branches: .* does not exist.*; search a tree with the space bmtas"
    ):
        Setup.of(branches(tmp_path / "none.json")).network("multi", None)
    other = tmp_path / "other.json"
    other.write_text(json.dumps(TREE.to_json()))
    with pytest.raises(
        InputError, match="must be a genotype of the space bmtas for the tasks semseg, depth, normals"
    ):
        Setup.of(branches(other)).network("multi", None)
    with pytest.raises(
        InputError, match=r"the space has 3 stages, but the backbone 'tiny' has 4: set space.stages to 4"
    ):
        BranchedBackbone(tiny, BMTASSpace(TASKS, stages=3))
    assert "tiny" in BACKBONES

"""Predictions written during an evaluation: known maps at known places, without padding, inside their folder only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from atrc.data import Batch, Dataset, DatasetInfo, Sample, eval_transform, evaluation_batches
from atrc.data.decode import read_label
from atrc.inference import evaluate
from atrc.inference.prediction_files import PredictionFiles, folder_of_each_run
from atrc.networks import Predictions
from atrc.tasks import Depth, Normals, Saliency, SemSeg, Task
from searchspace import InputError

CPU = torch.device("cpu")
TASKS: dict[str, Task] = {"semseg": SemSeg(3), "saliency": Saliency(), "depth": Depth(), "normals": Normals()}


class Mixed(Dataset):
    """Images of several sizes, evaluated on a canvas of 9 x 12; every value of an image is its own number."""

    info = DatasetInfo("mixed", {}, (9, 12))
    sizes = ((9, 12), (4, 12), (7, 5))
    names = ("whole", "street/flat", "street/day 1/small.jpg")

    @classmethod
    def describe(cls) -> DatasetInfo:
        return cls.info

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: int) -> Sample:
        size = self.sizes[index]
        depth = 1 + index + np.arange(size[0] * size[1], dtype=np.float32).reshape(size) / 100
        labels = {
            "semseg": (depth * 100).astype(np.uint8) % 3,
            "saliency": (depth > depth.mean()).astype(np.uint8),
            "depth": depth,
            "normals": np.stack([depth, depth, depth], axis=-1) / np.sqrt(3) / depth[..., None],
        }
        return Sample(self.names[index], np.zeros((*size, 3), np.uint8), labels)


def read_off(batch: Batch) -> Predictions:
    """What a network without error answers: the labels, and 7 in the padding, where nothing may be read."""
    classes = torch.nn.functional.one_hot(batch.labels["semseg"].clamp(max=2), 3).movedim(-1, 1)
    salient = batch.labels["saliency"].float() * 2 - 1
    final = {
        "semseg": classes.float(),
        "saliency": torch.stack((-salient, salient), 1),
        "depth": batch.labels["depth"][:, None],
        "normals": batch.labels["normals"],
    }
    return Predictions({task: torch.where(batch.valid, raw, 7.0) for task, raw in final.items()}, {})


@pytest.mark.parametrize("workers", [0, 1])
def test_known_maps_without_padding(tmp_path: Path, workers: int) -> None:
    def batches() -> list[Batch]:
        return list(evaluation_batches(Mixed(), TASKS, eval_transform((9, 12)), batch_size=2, workers=workers))

    plain = evaluate(read_off, batches(), TASKS, CPU)
    saved = evaluate(read_off, batches(), TASKS, CPU, save=PredictionFiles(tmp_path / "maps", TASKS))
    assert saved == plain
    assert plain["semseg"] == 100
    assert plain["depth"] == 0
    for sample in (Mixed()[index] for index in range(3)):
        found = {
            task: read_label(tmp_path / "maps" / task / f"{sample.id}.{kind}")
            for task, kind in {"semseg": "png", "saliency": "png", "depth": "npy", "normals": "npy"}.items()
        }
        np.testing.assert_array_equal(found["semseg"], sample.labels["semseg"])
        np.testing.assert_array_equal(found["depth"], sample.labels["depth"])
        np.testing.assert_allclose(found["normals"], sample.labels["normals"], atol=1e-6)
        # Logits of -1 and 1 are a probability of 1 / (1 + exp(-2)) = 0.880797 on the right side.
        expected = np.where(sample.labels["saliency"] == 1, 57723, 65535 - 57723)
        np.testing.assert_array_equal(found["saliency"], expected)
        assert [found[task].dtype for task in TASKS] == [np.uint8, np.uint16, np.float32, np.float32]
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 4 * 3, "nothing half written is left"


def batch_of(*ids: str) -> tuple[Batch, dict[str, torch.Tensor]]:
    """Images of one pixel under the given names, and their depth."""
    image, valid = torch.zeros(len(ids), 3, 1, 1), torch.ones(len(ids), 1, 1, 1, dtype=torch.bool)
    return Batch(image, {}, valid, list(ids)), {"depth": torch.arange(1.0, 1 + len(ids)).view(-1, 1, 1)}


@pytest.mark.parametrize("entry", ["", ".", "..", "../a", "a/../../b", "/a", "a\0"])
def test_an_id_leads_nowhere_else(tmp_path: Path, entry: str) -> None:
    files = PredictionFiles(tmp_path / "maps", {"depth": Depth()})
    with pytest.raises(InputError, match="sample id"):
        files(*batch_of("fine", entry))
    assert not list(tmp_path.iterdir())


def test_one_file_per_sample(tmp_path: Path) -> None:
    files = PredictionFiles(tmp_path, {"depth": Depth()})
    files(*batch_of("a", "b"))
    with pytest.raises(InputError, match="two samples of the split have the id 'b'"):
        files(*batch_of("b"))
    assert np.load(tmp_path / "depth/b.npy").tolist() == [[2]]
    PredictionFiles(tmp_path, {"depth": Depth()})(*batch_of("b"))  # a later evaluation
    assert np.load(tmp_path / "depth/b.npy").tolist() == [[1]]


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "depth").write_text("a file where the task's folder should be")
    with pytest.raises(InputError, match=r"depth/a\.npy cannot be written"):
        PredictionFiles(tmp_path, {"depth": Depth()})(*batch_of("a"))
    with pytest.raises(InputError, match="depth is a file"):
        PredictionFiles(tmp_path / "depth", {})


def test_folder_of_each_run() -> None:
    out = Path("out")
    assert folder_of_each_run(out, [Path("runs/x/multi/seed0")]) == {Path("runs/x/multi/seed0"): out}
    for first, second, names in [
        ("runs/x/multi/seed0", "runs/x/multi/seed1", ("seed0", "seed1")),
        ("runs/x/multi/seed0", "runs/y/multi/seed0", ("x/multi/seed0", "y/multi/seed0")),
        ("runs/x", "runs/x/inner", ("x", "x/inner")),
        ("here/run", Path("there/run").absolute(), ("here/run", "there/run")),
    ]:
        found = folder_of_each_run(out, [Path(first), Path(second)])
        assert tuple(found.values()) == tuple(out / name for name in names)

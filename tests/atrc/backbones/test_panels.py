"""The backbone of planted problems: every task sees its own panel, cell by cell, and nothing else."""

from __future__ import annotations

import pytest
import torch

from atrc.backbones import BACKBONES, PanelLayout, Panels, Pyramid
from atrc.heads import HEADS
from searchspace import InputError


@pytest.fixture
def backbone() -> Panels:
    torch.manual_seed(0)
    return Panels(["a", "b", "c"], grid=4, width=5).eval()


def image(backbone: Panels) -> torch.Tensor:
    return torch.randn(2, 3, *backbone.layout.size, generator=torch.Generator().manual_seed(0))


def test_two_maps_for_every_task(backbone: Panels) -> None:
    maps = backbone(image(backbone))
    assert list(maps) == ["a", "b", "c"]
    assert [tuple(x.shape) for x in maps["b"]] == [(2, 5, 4, 4), (2, 3 * 6 * 6, 4, 4)]
    assert backbone.channels == (5, 108)
    assert backbone.grid(backbone.layout.size) == (4, 4)


@pytest.mark.parametrize(("panels", "size"), [(1, (24, 24)), (2, (24, 48)), (3, (48, 48)), (5, (56, 84))])
def test_panels_are_laid_out_nearly_in_a_square_and_do_not_overlap(panels: int, size: tuple[int, int]) -> None:
    layout = PanelLayout(panels, 4)
    assert layout.size == size
    covered = torch.zeros(size)
    for panel in range(panels):
        covered[layout.place(panel)] += 1
    assert covered.max() == 1
    assert covered.sum() == panels * (4 * layout.cell) ** 2


def test_a_pixel_reaches_the_features_of_its_own_cell_and_task_only(backbone: Panels) -> None:
    picture = image(backbone).requires_grad_()
    backbone(picture)["b"][0][0, :, 1, 2].sum().backward()
    assert picture.grad is not None
    reached = picture.grad[0].abs().sum(0).nonzero()
    rows, columns = backbone.layout.place(1)
    cell, (top, left) = backbone.layout.cell, (rows.start, columns.start)
    # the tile of the cell in row 1 and column 2, without the ground around it
    assert reached.min(0).values.tolist() == [top + cell + 1, left + 2 * cell + 1]
    assert reached.max(0).values.tolist() == [top + 2 * cell - 2, left + 3 * cell - 2]


def test_the_last_map_holds_the_cells_as_they_are(backbone: Panels) -> None:
    picture = image(backbone)
    (rows, columns), cell = backbone.layout.place(2), backbone.layout.cell
    pixels = backbone(picture)["c"][1][0, :, 3, 0].unflatten(0, (3, cell, cell))
    assert torch.equal(pixels, picture[0][:, rows, columns][:, 3 * cell :, :cell])


def test_pointwise_heads_look_at_one_pixel_and_leave_the_backbone_alone(backbone: Panels) -> None:
    heads = HEADS.create("pointwise", {"channels": 7}, backbone.channels)
    maps = [x.detach().requires_grad_() for x in backbone(image(backbone))["a"]]
    features = heads.task_head().eval()(Pyramid(maps))
    assert features.shape == (2, 7, 4, 4)
    features[0, :, 1, 1].sum().backward()
    assert maps[0].grad is not None
    assert maps[0].grad.abs().sum((0, 1)).nonzero().tolist() == [[1, 1]]
    regions = heads.auxiliary_head(4)(Pyramid(maps))
    assert regions.shape == (2, 4, 4, 4)
    regions.sum().backward()
    assert maps[1].grad is None


@pytest.mark.parametrize("options", [{"tasks": []}, {"tasks": ["a", "a"]}, {"tasks": ["a"], "grid": 0}])
def test_what_makes_no_sense_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(InputError, match="the backbone 'panels'"):
        BACKBONES.create("panels", options)


def test_a_picture_of_another_layout_is_refused(backbone: Panels) -> None:
    with pytest.raises(InputError, match="takes images of 48 x 48 pixels, but got 24 x 24"):
        backbone(torch.zeros(1, 3, 24, 24))

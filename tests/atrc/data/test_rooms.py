"""The embedded rooms: exact geometry, consistent labels, and a cache that is whole or absent."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from atrc.data import DATASETS
from atrc.data.rooms import CLASSES, PARTS, Rendering, Rooms, dataset, render
from atrc.data.rooms.camera import Camera, aim
from atrc.data.rooms.labels import FREE_STANDING, PERSON, instance_edges, salient
from atrc.data.rooms.layout import furnish
from atrc.data.rooms.raycast import Surface, cast
from atrc.data.rooms.scene import ROOM_FACES, Dice, Material, Piece, Placed, Room, Scene, Shape, Solid, Texture, pack
from atrc.data.rooms.shadows import lit
from atrc.data.rooms.viewpoint import view
from atrc.machine.files import atomic_folder, cache_root
from searchspace.errors import InputError, UnknownNameError

GREY = Material(Texture.PLAIN, (0.5, 0.5, 0.5))
SMALL = {"size": [16, 24], "train": 3, "val": 2}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATRC_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def renderings() -> list[Rendering]:
    return [render(7, "train", index, (48, 64)) for index in range(100)]


def room_with(*solids: Solid, at: tuple[float, float, float] = (2.0, 3.0, 0.0), yaw: float = 0.0) -> Scene:
    """A 4 x 6 x 3 m room with one piece of the given solids."""
    piece = Piece("box", 1.0, 1.0, 1.0, list(solids))
    return pack(Room(4.0, 6.0, 3.0, [GREY] * 6), [Placed(piece, *at, yaw)] if solids else [])


def looking_ahead(tangent: float = 0.5) -> Camera:
    """From 3 m before the far wall, at the middle of the room's width, straight at that wall."""
    return aim((2.0, 3.0, 1.5), (2.0, 6.0, 1.5), 0.0, 2 * np.degrees(np.arctan(tangent)))


def camera_normals(surface: Surface, camera: Camera) -> np.ndarray:
    right, up, forward = camera.axes
    return np.stack([right, up, -forward]) @ surface.normal


def test_a_wall_three_metres_ahead_is_three_metres_deep_and_faces_the_camera() -> None:
    camera = looking_ahead(0.3)
    surface = cast(room_with(), camera, *camera.grid((24, 32)))
    np.testing.assert_allclose(surface.depth, 3, atol=1e-5)
    np.testing.assert_allclose(camera_normals(surface, camera), np.array([[0], [0], [1]]) * np.ones(768), atol=1e-6)
    assert set(surface.solid) == {3}


def test_the_faces_of_the_room_are_told_apart() -> None:
    camera = looking_ahead(2.0)
    surface = cast(room_with(), camera, *camera.grid((60, 80)))
    faces = surface.solid.reshape(60, 80)
    # ahead +y, left -x, right +x, below the floor, above the ceiling
    assert (faces[30, 40], faces[30, 0], faces[30, 79], faces[59, 40], faces[0, 40]) == (3, 0, 1, 4, 5)
    _, _, z = surface.point
    np.testing.assert_allclose(z[surface.solid == 4], 0, atol=1e-5)
    np.testing.assert_allclose(z[surface.solid == 5], 3, atol=1e-5)


@pytest.mark.parametrize("half", [(0.5, 0.5, 0.5), (0.6, 0.3, 0.4)])
def test_an_ellipsoid_has_the_depth_and_normals_of_its_equation(half: tuple[float, float, float]) -> None:
    camera = looking_ahead(0.4)
    scene = room_with(Solid(Shape.ROUND, (0.0, 2.0, 1.5), half, GREY))
    surface = cast(scene, camera, *camera.grid((81, 81)))
    middle = 40 * 81 + 40
    assert surface.depth[middle] == pytest.approx(2 - half[1], abs=1e-5)
    on = surface.solid == ROOM_FACES
    offset = (surface.point[:, on] - np.array([[2.0], [5.0], [1.5]])) / np.array(half)[:, None]
    np.testing.assert_allclose((offset**2).sum(axis=0), 1, atol=1e-4)
    gradient = offset / np.array(half)[:, None]
    np.testing.assert_allclose(surface.normal[:, on], gradient / np.linalg.norm(gradient, axis=0), atol=1e-3)
    assert 300 < on.sum() < 6000


def marched(inside: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """First step at which a ray is inside a solid, inf where none is. ``inside`` is (steps, P)."""
    return np.where(inside.any(axis=0), steps[inside.argmax(axis=0)], np.inf)


@pytest.mark.parametrize(
    ("shape", "stretch"), [(Shape.BOX, 0.0), (Shape.ROUND, 0.0), (Shape.ROUND, 1.5), (Shape.CYLINDER, 0.0)]
)
def test_intersections_agree_with_marching_along_the_rays(shape: Shape, stretch: float) -> None:
    rng = np.random.default_rng(3)
    for _ in range(4):
        half = tuple(rng.uniform(0.2, 0.5, 3).tolist())
        axes = None
        if shape is Shape.ROUND:
            q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
            axes = tuple(map(tuple, q.tolist()))
        centre = tuple(rng.uniform((-0.4, -0.3, 1.0), (0.4, 0.5, 1.8)).tolist())
        scene = room_with(Solid(shape, centre, half, GREY, axes, stretch), yaw=float(rng.uniform(0, 6)))
        position = (2.0 + float(rng.uniform(-1, 1)), 0.3, float(rng.uniform(0.5, 2.5)))
        camera = aim(position, (2.0, 3.0, 1.4), 0.1, 45.0)
        columns, rows = camera.grid((18, 24))
        surface = cast(scene, camera, columns, rows)
        right, up, forward = camera.axes
        rays = forward[:, None, None] + right[:, None, None] * columns + up[:, None, None] * rows[:, None]
        steps = np.arange(0.3, 6.5, 0.004)
        points = camera.position[:, None, None] + rays.reshape(3, 1, -1) * steps[:, None]
        local = np.einsum("ij,jsp->isp", scene.to_local[-1], points - scene.centre[-1][:, None, None])
        if shape is Shape.BOX:
            inside = (np.abs(local) < 1).all(axis=0)
        elif shape is Shape.CYLINDER:
            inside = (local[0] ** 2 + local[1] ** 2 < 1) & (np.abs(local[2]) < 1)
        else:
            local[2] -= np.clip(local[2], -stretch, stretch)
            inside = (local**2).sum(axis=0) < 1
        expected = marched(inside, steps)
        hit = surface.solid == ROOM_FACES
        # marching misses chords shorter than a step
        assert (hit != np.isfinite(expected)).mean() < 0.01
        both = hit & np.isfinite(expected)
        assert both.sum() > 10
        np.testing.assert_allclose(surface.depth[both], expected[both], atol=0.005)


def test_shadow_rays_agree_with_marching_towards_the_light() -> None:
    rng = np.random.default_rng(5)
    solids = [
        Solid(Shape.BOX, (0.4, 0.2, 0.6), (0.3, 0.2, 0.1), GREY),
        Solid(Shape.ROUND, (-0.6, 0.0, 0.9), (0.2, 0.3, 0.25), GREY),
        Solid(Shape.CYLINDER, (0.0, -0.9, 0.5), (0.2, 0.2, 0.5), GREY),
    ]
    scene = room_with(*solids, yaw=0.7)
    points = rng.uniform((0.2, 0.5, 0.0), (3.8, 5.5, 0.4), (3000, 3)).T
    light = np.array([[2.2, 2.7, 2.8]])
    surface = cast(scene, looking_ahead(), *looking_ahead().grid((30, 100)))
    surface.point, surface.normal = points.astype(np.float32), np.zeros((3, 3000), np.float32)
    answer = lit(scene, surface, np.ones(3000, bool), light, np.zeros(3000, np.intp))
    steps = np.linspace(0, 1, 1500)
    way = points[:, None] + (light.T[:, None] - points[:, None]) * steps[:, None]
    dark = np.zeros(3000, bool)
    for i, solid in enumerate(solids, start=ROOM_FACES):
        local = np.einsum("ij,jsp->isp", scene.to_local[i], way - scene.centre[i][:, None, None])
        if solid.shape is Shape.BOX:
            inside = (np.abs(local) < 1).all(axis=0)
        elif solid.shape is Shape.CYLINDER:
            inside = (local[0] ** 2 + local[1] ** 2 < 1) & (np.abs(local[2]) < 1)
        else:
            inside = (local**2).sum(axis=0) < 1
        dark |= inside.any(axis=0)
    assert 0.05 < dark.mean() < 0.5
    assert ((answer == 0) != dark).mean() < 0.01


def test_the_same_arguments_give_the_same_bits_in_any_order() -> None:
    first = {index: render(3, "val", index, (24, 32)) for index in (0, 1, 2)}
    for index in (2, 0):
        again = render(3, "val", index, (24, 32))
        for name in vars(again):
            np.testing.assert_array_equal(getattr(again, name), getattr(first[index], name))
    others = [render(3, "train", 0, (24, 32)), render(4, "val", 0, (24, 32)), first[1]]
    assert all((other.depth != first[0].depth).any() for other in others)


def test_oversampling_changes_the_image_only() -> None:
    plain, fine = render(0, "train", 5, (24, 32)), render(0, "train", 5, (24, 32), oversample=2)
    for name in ("semseg", "depth", "normals", "edge", "human_parts", "saliency", "instances"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(fine, name))
    difference = np.abs(plain.image.astype(int) - fine.image)
    assert 0 < difference.mean() < 25


def test_maps_have_their_types_and_ranges(renderings: list[Rendering]) -> None:
    for r in renderings:
        assert r.image.shape == (48, 64, 3)
        assert r.normals.shape == (48, 64, 3)
        assert [m.dtype for m in (r.image, r.semseg, r.edge, r.human_parts, r.saliency)] == [np.uint8] * 5
        assert r.depth.dtype == r.normals.dtype == np.float32
        assert r.depth.min() > 0.5
        assert r.depth.max() < 10
        assert r.semseg.max() < len(CLASSES)
        assert r.human_parts.max() < len(PARTS)
        assert set(np.unique(r.edge)) <= {0, 1}
        assert r.image.mean() > 40
        assert r.image.std() > 12


def test_normals_are_unit_vectors_towards_the_camera() -> None:
    for index in range(6):
        dice = Dice(np.random.default_rng(index))
        layout = furnish(dice, populated=True)
        camera = view(layout)
        surface = cast(pack(layout.room, layout.placed), camera, *camera.grid((48, 64)))
        np.testing.assert_allclose((surface.normal**2).sum(axis=0), 1, atol=1e-5)
        assert (surface.normal * surface.toward).sum(axis=0).min() > 0


def test_normals_are_those_of_the_depth_on_planes() -> None:
    size, checked = (96, 128), 0
    for index in range(6):
        dice = Dice(np.random.default_rng(index))

        layout = furnish(dice, populated=False)
        camera = view(layout)
        columns, rows = camera.grid(size)
        surface = cast(pack(layout.room, layout.placed), camera, columns, rows)
        depth = surface.depth.reshape(size).astype(np.float64)
        points = np.stack([depth * columns, depth * rows[:, None], -depth])
        normals = np.cross(
            points[:, 1:-1, 2:] - points[:, 1:-1, :-2], points[:, :-2, 1:-1] - points[:, 2:, 1:-1], axis=0
        )
        normals /= np.linalg.norm(normals, axis=0)
        face = surface.solid.reshape(size)
        inner = face[1:-1, 1:-1] < ROOM_FACES
        for shifted in (face[:-2, 1:-1], face[2:, 1:-1], face[1:-1, :-2], face[1:-1, 2:]):
            inner &= shifted == face[1:-1, 1:-1]
        stored = camera_normals(surface, camera).reshape(3, *size)[:, 1:-1, 1:-1]
        cosine = (normals * stored).sum(axis=0)[inner]
        assert cosine.min() > 0.9995
        checked += len(cosine)
    assert checked > 10_000


def test_edges_are_where_instances_change(renderings: list[Rendering]) -> None:
    for r in renderings[:5]:
        expected = np.zeros((48, 64), np.uint8)
        for i in range(48):
            for j in range(64):
                here = r.instances[i, j]
                below = i < 47 and r.instances[i + 1, j] != here
                beside = j < 63 and r.instances[i, j + 1] != here
                expected[i, j] = below or beside
        np.testing.assert_array_equal(r.edge, expected)
        assert 0.01 < r.edge.mean() < 0.5
    assert instance_edges(np.array([[1, 1, 2], [1, 1, 2]])).tolist() == [[0, 1, 0], [0, 1, 0]]


def test_parts_are_persons_and_persons_are_salient(renderings: list[Rendering]) -> None:
    for r in renderings:
        persons = r.semseg == PERSON
        np.testing.assert_array_equal(r.human_parts > 0, persons)
        if persons.any():
            np.testing.assert_array_equal(r.saliency > 0, persons)
        else:
            chosen = np.unique(r.semseg[r.saliency > 0])
            assert len(chosen) <= 1
            assert set(chosen) <= set(FREE_STANDING)
        # one class per instance
        pairs = np.unique(np.stack([r.instances.ravel(), r.semseg.ravel()]), axis=1)
        assert len(np.unique(pairs[0])) == pairs.shape[1]


def test_without_persons_the_larger_and_more_central_solid_is_salient() -> None:
    box, rug = CLASSES.index("box"), CLASSES.index("rug")
    semseg, instances = np.zeros((20, 20), np.uint8), np.zeros((20, 20), np.int32)
    semseg[0:5, 0:5], instances[0:5, 0:5] = box, 6
    semseg[8:12, 8:12], instances[8:12, 8:12] = box, 7
    semseg[14:20, :], instances[14:20, :] = rug, 8
    np.testing.assert_array_equal(salient(semseg, instances), instances == 7)
    assert not salient(np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.int32)).any()


def test_every_class_and_part_is_common_enough_to_learn(renderings: list[Rendering]) -> None:
    for index, name in enumerate(CLASSES):
        share = np.mean([(r.semseg == index).any() for r in renderings])
        assert share >= 0.05, name
    for index, name in enumerate(PARTS):
        share = np.mean([(r.human_parts == index).any() for r in renderings])
        assert share >= 0.4, name
    assert 0.55 < np.mean([(r.human_parts > 0).any() for r in renderings]) < 0.9


def test_samples_are_what_was_rendered() -> None:
    tasks = ["semseg", "depth", "normals", "edge", "human_parts", "saliency"]
    rooms = Rooms("val", tasks, **SMALL)
    assert len(rooms) == 2
    sample, expected = rooms[1], render(0, "val", 1, (16, 24))
    assert sample.id == "val_00001"
    np.testing.assert_array_equal(sample.image, expected.image)
    assert list(sample.labels) == tasks
    for task in tasks:
        assert sample.labels[task].dtype == getattr(expected, task).dtype
        if task == "normals":
            np.testing.assert_allclose(sample.labels[task], expected.normals, atol=1e-3)
            np.testing.assert_allclose((sample.labels[task] ** 2).sum(axis=-1), 1, atol=1e-5)
        else:
            np.testing.assert_array_equal(sample.labels[task], getattr(expected, task))


def test_the_cache_is_rendered_once_and_again_for_a_new_version(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(
        dataset, "render", lambda seed, split, i, size: calls.append(i) or render(seed, split, i, size)
    )
    Rooms("train", ["edge"], **SMALL)
    Rooms("train", ["depth"], profile="people", **SMALL)
    assert calls == [0, 1, 2]
    monkeypatch.setattr(dataset, "VERSION", dataset.VERSION + 1)
    Rooms("train", ["edge"], **SMALL)
    assert calls == [0, 1, 2] * 2


def test_a_render_that_fails_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(seed: int, split: str, index: int, size: tuple[int, int]) -> Rendering:
        raise RuntimeError("no light")

    with monkeypatch.context() as patch:
        patch.setattr(dataset, "render", fail)
        with pytest.raises(RuntimeError, match="no light"):
            Rooms("train", [], **SMALL)
    assert not any(path.is_file() for path in cache_root().rglob("*"))
    assert Rooms("train", [], **SMALL)[0].labels == {}


def test_a_damaged_file_is_named() -> None:
    rooms = Rooms("val", ["depth"], **SMALL)
    (broken,) = cache_root().rglob("depth.npy")
    broken.write_bytes(b"not an array")
    with pytest.raises(InputError, match=r"depth\.npy cannot be read"):
        rooms[0]


def test_a_pickled_dataset_carries_no_images() -> None:
    rooms = Rooms("train", ["semseg"], **SMALL)
    before = rooms[0]
    data = pickle.dumps(rooms)
    assert len(data) < 5000
    np.testing.assert_array_equal(pickle.loads(data)[0].labels["semseg"], before.labels["semseg"])


FIRST_USE = """
import sys
from atrc.data.rooms import Rooms

rooms = Rooms("train", ["depth"], size=(16, 24), train=6, val=1)
sys.stdout.buffer.write(rooms[5].labels["depth"].tobytes())
"""


def test_two_processes_may_be_first() -> None:
    command = [sys.executable, "-c", FIRST_USE]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    answers = [process.communicate()[0] for process in processes]
    assert answers == [render(0, "train", 5, (16, 24)).depth.tobytes()] * 2
    (folder,) = (cache_root() / "rooms").iterdir()
    assert [path.name for path in folder.iterdir()] == ["images"]


def test_atomic_folder_keeps_what_somebody_else_finished(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "folder"
    with atomic_folder(target) as mine:
        (mine / "a").write_text("mine")
        target.mkdir()
        (target / "a").write_text("theirs")
    assert (target / "a").read_text() == "theirs"
    assert list(target.parent.iterdir()) == [target]


def test_cache_root_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_root() == tmp_path / "cache"
    monkeypatch.delenv("ATRC_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root() == tmp_path / "atrc"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_root() == tmp_path / ".cache" / "atrc"


def test_the_registry_and_the_description_know_the_dataset() -> None:
    assert DATASETS["rooms"] is Rooms
    indoor, people = Rooms.describe(), Rooms.describe(profile="people", size=(32, 48))
    assert list(indoor.tasks) == ["semseg", "depth", "normals", "edge"]
    assert list(people.tasks) == ["semseg", "human_parts", "saliency", "normals", "edge"]
    assert indoor.tasks["semseg"]["classes"] == list(CLASSES)
    assert len(people.tasks["human_parts"]["classes"]) == 7
    assert (indoor.size, people.size) == ((96, 128), (32, 48))
    assert not cache_root().exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (96,)}, "size must be"),
        ({"size": (8, 64)}, "size must be"),
        ({"size": "96x128"}, "size must be"),
        ({"size": (64.0, 64)}, "size must be"),
        ({"train": 0}, "train must be an integer >= 1, but got 0"),
        ({"val": True}, "val must be an integer"),
        ({"seed": -1}, "seed must be an integer >= 0"),
        ({"profile": "indor"}, "did you mean 'indoor'"),
        ({"sizes": (96, 128)}, "did you mean 'size'"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Rooms("train", ["semseg"], **options)
    with pytest.raises(InputError, match=message):
        Rooms.describe(**options)


def test_an_unknown_split_is_not_rendered() -> None:
    with pytest.raises(UnknownNameError, match="unknown split"):
        render(0, "test", 0)

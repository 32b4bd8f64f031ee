"""A random room: its size, openings, furniture and persons."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from atrc.data.rooms import fixtures, furniture
from atrc.data.rooms.mannequin import POSES, mannequin
from atrc.data.rooms.palettes import Style, make_style
from atrc.data.rooms.scene import Dice, Piece, Placed, Room

__all__ = ["Layout", "furnish"]

_QUARTER = math.pi / 2


@dataclass
class _Wall:
    """A wall: its start (its left end, seen from inside), its direction, and the parts that are occupied."""

    origin: tuple[float, float]
    along: tuple[float, float]
    inward: tuple[float, float]
    yaw: float
    length: float
    taken: list[tuple[float, float, float, float]] = field(default_factory=list)

    def free(self, start: float, stop: float, low: float, high: float) -> bool:
        """Returns whether nothing hangs or stands between ``start`` and ``stop`` from height ``low`` to ``high``."""
        return all(stop <= a or start >= b or high <= c or low >= d for a, b, c, d in self.taken)

    def at(self, distance: float, out: float) -> tuple[float, float]:
        """Returns the point ``distance`` metres along the wall and ``out`` metres off it."""
        return (
            self.origin[0] + self.along[0] * distance + self.inward[0] * out,
            self.origin[1] + self.along[1] * distance + self.inward[1] * out,
        )


class Layout:
    """A room that is being filled."""

    def __init__(self, dice: Dice, style: Style) -> None:
        self.dice = dice
        self.style = style
        self.width, self.depth = dice.between(3.4, 5.6), dice.between(3.8, 6.4)
        self.height = dice.between(2.4, 2.9)
        w, d = self.width, self.depth
        self.walls = [
            _Wall((0, 0), (1, 0), (0, 1), 0.0, w),
            _Wall((w, 0), (0, 1), (-1, 0), _QUARTER, d),
            _Wall((w, d), (-1, 0), (0, -1), 2 * _QUARTER, w),
            _Wall((0, d), (0, -1), (1, 0), -_QUARTER, d),
        ]
        self.placed: list[Placed] = []
        self.blocked: list[tuple[float, float, float, float]] = []
        self.persons: list[Placed] = []

    @property
    def room(self) -> Room:
        """The empty room."""
        return Room(self.width, self.depth, self.height, self.style.faces)

    def fits(self, x: float, y: float, hx: float, hy: float, gap: float = 0.03) -> bool:
        """Returns whether the rectangle is inside the room and overlaps nothing."""
        if x - hx < 0 or y - hy < 0 or x + hx > self.width or y + hy > self.depth:
            return False
        return all(
            abs(x - bx) >= hx + bhx + gap or abs(y - by) >= hy + bhy + gap for bx, by, bhx, bhy in self.blocked
        )

    def put(self, item: Placed, solid: bool = True) -> Placed:
        """Adds a piece; ``solid`` keeps others off its footprint."""
        self.placed.append(item)
        if solid:
            self.blocked.append((item.x, item.y, *item.extent))
        return item

    def hang(self, piece: Piece, low: float, clearance: float = 0.0, margin: float = 0.12) -> Placed | None:
        """Fixes a piece to a free stretch of wall, its origin at height ``low``."""
        for _ in range(10):
            wall = self.dice.pick(self.walls)
            reach = piece.width / 2 + margin
            if wall.length < 2 * reach:
                continue
            s = self.dice.between(reach, wall.length - reach)
            if not wall.free(s - reach, s + reach, low - 0.08, low + piece.height + 0.08):
                continue
            if clearance:
                x, y = wall.at(s, clearance / 2)
                hx, hy = (piece.width / 2, clearance / 2) if wall.along[0] else (clearance / 2, piece.width / 2)
                if not self.fits(x, y, hx, hy):
                    continue
                self.blocked.append((x, y, hx, hy))
            wall.taken.append((s - piece.width / 2, s + piece.width / 2, low - 0.08, low + piece.height + 0.08))
            x, y = wall.at(s, 0)
            return self.put(Placed(piece, x, y, low, wall.yaw, shadow=False), solid=False)
        return None

    def lean(self, piece: Piece, wall: _Wall | None = None) -> Placed | None:
        """Stands a piece with its back to a wall."""
        for _ in range(12):
            chosen = wall or self.dice.pick(self.walls)
            reach = piece.width / 2 + 0.03
            if chosen.length < 2 * reach:
                continue
            # furniture is put into corners first
            s = self.dice.between(reach, chosen.length - reach)
            if self.dice.chance(0.3):
                s = self.dice.pick((reach, chosen.length - reach))
            if not chosen.free(s - piece.width / 2, s + piece.width / 2, 0.0, piece.height):
                continue
            x, y = chosen.at(s, piece.depth / 2 + 0.03)
            item = Placed(piece, x, y, 0.0, chosen.yaw)
            if self.fits(x, y, *item.extent):
                chosen.taken.append((s - piece.width / 2, s + piece.width / 2, 0.0, piece.height))
                return self.put(item)
        return None

    def stand(self, piece: Piece, yaw: float | None = None, gap: float = 0.08) -> Placed | None:
        """Stands a piece somewhere on the free floor."""
        for _ in range(14):
            turn = self.dice.between(0, 2 * math.pi) if yaw is None else yaw
            item = Placed(piece, 0, 0, 0.0, turn)
            hx, hy = item.extent
            item.x = self.dice.between(hx, max(hx, self.width - hx))
            item.y = self.dice.between(hy, max(hy, self.depth - hy))
            if self.fits(item.x, item.y, hx, hy, gap):
                return self.put(item)
        return None

    def beside(self, base: Placed, piece: Piece, x: float, y: float, turn: float = 0.0) -> Placed | None:
        """Stands a piece at ``(x, y)`` in the frame of another, if there is room."""
        c, s = math.cos(base.yaw), math.sin(base.yaw)
        item = Placed(piece, base.x + c * x - s * y, base.y + s * x + c * y, 0.0, base.yaw + turn)
        return self.put(item) if self.fits(item.x, item.y, *item.extent, gap=0.0) else None

    def on_top(self, base: Placed, piece: Piece, x: float = 0.0, y: float = 0.0, turn: float = 0.0) -> Placed:
        """Sets a piece on another's top."""
        c, s = math.cos(base.yaw), math.sin(base.yaw)
        item = Placed(piece, base.x + c * x - s * y, base.y + s * x + c * y, base.piece.height, base.yaw + turn)
        return self.put(item, solid=False)


def furnish(dice: Dice, populated: bool) -> Layout:
    """Returns a room with furniture and, if ``populated``, one or two persons."""
    style = make_style(dice)
    layout = Layout(dice, style)
    for _ in range(dice.pick((1, 1, 2))):
        layout.hang(fixtures.window(dice, style), dice.between(0.85, 1.0))
    layout.hang(fixtures.door(dice, style), 0.0, clearance=0.75)
    theme = dice.pick((_bedroom, _living_room, _living_room, _dining_room, _study))
    theme(layout)
    _extras(layout)
    if populated:
        _people(layout)
    for _ in range(dice.pick((1, 2, 2, 3))):
        layout.hang(fixtures.picture(dice, style), dice.between(1.25, 1.5))
    return layout


def _bedroom(layout: Layout) -> None:
    dice, style = layout.dice, layout.style
    bed = layout.lean(furniture.bed(dice, style))
    if bed:
        for side in dice.shuffled((-1, 1))[: dice.pick((1, 2))]:
            stand = furniture.cabinet(dice, style, low=True)
            if stand.width < 0.75:
                x = side * (bed.piece.width / 2 + stand.width / 2 + 0.05)
                put = layout.beside(bed, stand, x, -bed.piece.depth / 2 + stand.depth / 2)
                if put and dice.chance(0.8):
                    layout.on_top(put, fixtures.table_lamp(dice, style))
        _lay_rug(layout, bed, 0.6)
    layout.lean(furniture.cabinet(dice, style, low=False))
    if dice.chance(0.5):
        _sideboard(layout)
    if dice.chance(0.5):
        layout.lean(furniture.chair(dice, style))


def _living_room(layout: Layout) -> None:
    dice, style = layout.dice, layout.style
    sofa = layout.lean(furniture.sofa(dice, style))
    if sofa:
        table = furniture.coffee_table(dice, style)
        if dice.chance(0.75):
            put = layout.beside(sofa, table, 0, sofa.piece.depth / 2 + table.depth / 2 + 0.4)
            if put and dice.chance(0.3):
                layout.on_top(put, furniture.plant(dice, style) if dice.chance(0.2) else furniture.box(dice, style))
        if dice.chance(0.7):
            _lay_rug(layout, sofa, 0.8)
        if dice.chance(0.5):
            side = dice.pick((-1, 1)) * (sofa.piece.width / 2 + 0.3)
            layout.beside(sofa, fixtures.floor_lamp(dice, style), side, -0.1)
    _sideboard(layout, television=0.85)
    if dice.chance(0.5):
        layout.lean(furniture.sofa(dice, style))
    if dice.chance(0.6):
        layout.lean(furniture.shelf(dice, style))


def _dining_room(layout: Layout) -> None:
    dice, style = layout.dice, layout.style
    if dice.chance(0.7):
        layout.lean(furniture.counter(dice, style))
    table = layout.stand(furniture.dining_table(dice, style), dice.pick((0.0, _QUARTER)), gap=0.45)
    if table:
        if dice.chance(0.35):
            _lay_rug(layout, table, 0.0)
        _chairs(layout, table)
        if dice.chance(0.4):
            thing = dice.pick((furniture.box, fixtures.table_lamp, furniture.ball))
            layout.on_top(table, thing(dice, style), dice.between(-0.2, 0.2))
    layout.lean(furniture.shelf(dice, style) if dice.chance(0.5) else furniture.cabinet(dice, style, low=False))
    if dice.chance(0.4):
        _sideboard(layout)


def _study(layout: Layout) -> None:
    dice, style = layout.dice, layout.style
    desk = layout.lean(furniture.dining_table(dice, style))
    if desk:
        chair = furniture.chair(dice, style)
        layout.beside(desk, chair, dice.between(-0.2, 0.2), desk.piece.depth / 2 + chair.depth / 2 + 0.02, math.pi)
        if dice.chance(0.7):
            layout.on_top(desk, fixtures.television(dice, style, stand=True), 0.0, -0.12)
        if dice.chance(0.5) and desk.piece.width > 1.3:
            layout.on_top(desk, fixtures.table_lamp(dice, style), 0.45 * dice.pick((-1, 1)), -0.15)
        _lay_rug(layout, desk, 0.5)
    for _ in range(2):
        layout.lean(furniture.shelf(dice, style))
    layout.lean(furniture.bed(dice, style) if dice.chance(0.4) else furniture.sofa(dice, style))


def _sideboard(layout: Layout, television: float = 0.4) -> None:
    """Adds a low cabinet with something on it, and perhaps a television above it."""
    dice, style = layout.dice, layout.style
    board = layout.lean(furniture.cabinet(dice, style, low=True))
    if not board:
        return
    if dice.chance(television) and board.piece.width > 0.8:
        layout.on_top(board, fixtures.television(dice, style, stand=True))
    elif dice.chance(0.7):
        thing = dice.pick((fixtures.table_lamp, furniture.box, furniture.ball))
        layout.on_top(board, thing(dice, style), dice.between(-0.1, 0.1), 0.0, dice.between(-0.3, 0.3))


def _chairs(layout: Layout, table: Placed) -> None:
    """Adds two to four chairs of one design around a table."""
    dice, style = layout.dice, layout.style
    chair = furniture.chair(dice, style)
    w, d = table.piece.width / 2, table.piece.depth / 2
    places = [(0.0, -d, 0.0), (0.0, d, math.pi), (-w, 0.0, -_QUARTER), (w, 0.0, _QUARTER)]
    if w > 0.75:
        places = [(x, y, turn) for x in (-0.35, 0.35) for y, turn in ((-d, 0.0), (d, math.pi))]
    for x, y, turn in dice.shuffled(places)[: dice.pick((2, 3, 4))]:
        # facing the table: a chair's front looks along its +y
        back = dice.between(0.24, 0.45)
        px, py = x + math.sin(turn) * back, y - math.cos(turn) * back
        layout.beside(table, chair, px, py, turn + dice.between(-0.2, 0.2))


def _lay_rug(layout: Layout, base: Placed, ahead: float) -> None:
    """Adds a rug under or before a piece; it may run under furniture, but not through a wall."""
    rug = fixtures.rug(layout.dice, layout.style)
    c, s = math.cos(base.yaw), math.sin(base.yaw)
    item = Placed(rug, base.x - s * ahead, base.y + c * ahead, 0.0, base.yaw, shadow=False)
    hx, hy = item.extent
    if hx < layout.width / 2 - 0.1 and hy < layout.depth / 2 - 0.1:
        item.x = min(max(item.x, hx + 0.05), layout.width - hx - 0.05)
        item.y = min(max(item.y, hy + 0.05), layout.depth - hy - 0.05)
        layout.put(item, solid=False)


def _extras(layout: Layout) -> None:
    """Adds plants, lamps, boxes and balls."""
    dice, style = layout.dice, layout.style
    if not any(item.piece.name == "rug" for item in layout.placed) and dice.chance(0.6):
        middle = Placed(furniture.box(dice, style), layout.width / 2, layout.depth / 2)
        _lay_rug(layout, middle, 0.0)
    if not any(item.piece.name == "tv" for item in layout.placed) and dice.chance(0.35):
        layout.hang(fixtures.television(dice, style, stand=False), dice.between(0.95, 1.15))
    if dice.chance(0.55):
        layout.lean(furniture.plant(dice, style))
    if dice.chance(0.35):
        layout.lean(fixtures.floor_lamp(dice, style))
    for _ in range(dice.pick((0, 1, 1, 2))):
        layout.stand(furniture.box(dice, style))
    for _ in range(dice.pick((0, 1, 1))):
        layout.stand(furniture.ball(dice, style))
    if dice.chance(0.3):
        layout.stand(furniture.chair(dice, style))
    if dice.chance(0.5):
        lamp = fixtures.ceiling_lamp(dice, style)
        x, y = layout.width * dice.between(0.4, 0.6), layout.depth * dice.between(0.4, 0.6)
        layout.put(Placed(lamp, x, y, layout.height, shadow=False), solid=False)


def _people(layout: Layout) -> None:
    """Adds one or two persons: seated if there is a seat, or standing on the free floor."""
    dice = layout.dice
    seats = [item for item in layout.placed if item.piece.seat is not None]
    for _ in range(dice.pick((1, 1, 1, 2, 2))):
        if seats and dice.chance(0.35):
            base = seats.pop(int(dice.unit() * len(seats)))
            assert base.piece.seat is not None
            y, height = base.piece.seat
            c, s = math.cos(base.yaw), math.sin(base.yaw)
            person = Placed(mannequin(dice, "seated", height), base.x - s * y, base.y + c * y, 0.0, base.yaw)
            # the floor before the seat must be free for the legs
            reach = base.piece.depth / 2 + 0.25
            if layout.fits(base.x - s * reach, base.y + c * reach, 0.2, 0.2, 0.0):
                layout.persons.append(layout.put(person))
                continue
        piece = mannequin(dice, dice.pick(POSES[:-1]))
        put = layout.stand(piece)
        if put:
            layout.persons.append(put)

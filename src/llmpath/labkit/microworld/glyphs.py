"""Tiny coloured pictures of the world's things, with captions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from llmpath.labkit.microworld.chance import Chance
from llmpath.labkit.microworld.world import World

SIZE = 8
Pixel = tuple[int, int, int]

# Six by six, so that each can stand in nine places of an eight by eight picture.
_DRAWN = """
ball     kite     drum     book     lamp     hat      bell     rope
..##..   ..##..   ######   ##..##   ..##..   ..##..   ..##..   .####.
.####.   .####.   #....#   #.##.#   .####.   .####.   .####.   #....#
######   ######   ######   #.##.#   ######   .####.   .####.   #.##.#
######   .####.   #.##.#   #.##.#   ..##..   .####.   .####.   #.##.#
.####.   ..##..   #.##.#   #.##.#   ..##..   ######   ######   #....#
..##..   .#....   ######   ##..##   .####.   ######   ..##..   .####.
"""
_ROWS = [line.split() for line in _DRAWN.strip().splitlines()]
SHAPES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {name: tuple(row[i] for row in _ROWS[1:]) for i, name in enumerate(_ROWS[0])}
)
INK: Mapping[str, Pixel] = MappingProxyType(
    {
        "red": (220, 40, 40),
        "blue": (40, 70, 220),
        "green": (40, 160, 60),
        "yellow": (240, 210, 40),
        "white": (255, 255, 255),
        "black": (20, 20, 20),
        "brown": (130, 80, 40),
        "pink": (245, 150, 190),
    }
)
_PAPER = 128


@dataclass(frozen=True, slots=True)
class Glyph:
    """One picture.

    Attributes:
        pixels: (8, 8, 3), rows of red, green and blue from 0 to 255.
        caption: such as "A red ball.".
        thing: what is drawn.
        colour: of its ink.
        held: whether this pair of thing and colour is kept out of training.
    """

    pixels: tuple[tuple[Pixel, ...], ...]
    caption: str
    thing: str
    colour: str
    held: bool


def glyphs(
    world: World,
    count: int,
    seed: int = 1,
    noise: int = 16,
    held_out: bool = False,
    share: float = 0.2,
) -> list[Glyph]:
    """Pictures of a thing in a colour, on grey paper, with captions.

    Args:
        world: whose things and colours are drawn.
        count: how many.
        seed: decides thing, colour, place (one of nine) and noise.
        noise: each value of each pixel is up to so much brighter or darker, evenly.
        held_out: True for pairs of thing and colour that are held out, False for the others.
        share: of all pairs, how many are held out; the same ones for all seeds.
    """
    chance = Chance("glyphs", world.seed, seed, int(held_out))
    pairs = [(t, c) for t in world.domains["thing"] for c in world.domains["colour"]]
    pairs = Chance("glyph pairs", world.seed).shuffled(pairs)
    kept = round(share * len(pairs))
    pairs = pairs[:kept] if held_out else pairs[kept:]
    if not pairs:
        raise ValueError(f"A share of {share} leaves no pairs to draw.")
    made = []
    for _ in range(count):
        thing, colour = chance.choice(pairs)
        pixels = _draw(thing, INK[colour], noise, chance)
        made.append(Glyph(pixels, f"A {colour} {thing}.", thing, colour, held_out))
    return made


def _draw(thing: str, ink: Pixel, noise: int, chance: Chance) -> tuple[tuple[Pixel, ...], ...]:
    shape = SHAPES[thing]
    down, right = chance.below(SIZE - 5), chance.below(SIZE - 5)

    def value(row: int, column: int, channel: int) -> int:
        y, x = row - down, column - right
        inked = 0 <= y < 6 and 0 <= x < 6 and shape[y][x] == "#"
        bright = (ink[channel] if inked else _PAPER) + chance.below(2 * noise + 1) - noise
        return min(255, max(0, bright))

    return tuple(
        tuple((value(y, x, 0), value(y, x, 1), value(y, x, 2)) for x in range(SIZE))
        for y in range(SIZE)
    )

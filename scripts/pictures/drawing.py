"""What the pictures of terminals share: what is searched in them, and how a screen is drawn."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pyte
import pytest
from PIL import Image, ImageDraw, ImageFont

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
FONTS = Path("/usr/share/fonts/truetype/dejavu")
# The second has what the first lacks.
FONT, FONT_OF_SIGNS, SIGNS = FONTS / "DejaVuSansMono.ttf", FONTS / "DejaVuSans.ttf", "⋮"

# Twice the 800 points that a README shows, for screens with small pixels.
FONT_SIZE, LEADING, MARGIN = 30, 38, 36
PAPER, INK, CURSOR = (22, 24, 33), (205, 209, 220), (125, 132, 150)
COLOURS = {
    "red": (240, 113, 120),
    "green": (152, 205, 130),
    "brown": (235, 200, 120),
    "blue": (120, 170, 250),
    "magenta": (200, 150, 240),
    "cyan": (110, 205, 215),
}

Colour = tuple[int, int, int]


def make_project(base: Path) -> Path:
    """A repository with pytest's own sources, as installed, in a folder below `base`."""
    folder = base / "pytest"
    sources = Path(pytest.__file__).parents[1] / "_pytest"
    shutil.copytree(sources, folder / "src" / "_pytest", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    return folder


class Pen:
    """Draws the screens of a terminal of so many columns and rows."""

    def __init__(self, columns: int, rows: int) -> None:
        self._columns, self._rows = columns, rows
        self._font = ImageFont.truetype(str(FONT), FONT_SIZE)
        self._signs = ImageFont.truetype(str(FONT_OF_SIGNS), FONT_SIZE)
        self._advance = self._font.getlength("m")

    def draw(self, screen: pyte.Screen) -> Image.Image:
        """What stands on the screen, and the cursor."""
        width, height = self._place(self._columns, self._rows)
        picture = Image.new("RGB", (round(width) + MARGIN, height + MARGIN), PAPER)
        pen = ImageDraw.Draw(picture)
        for row in range(self._rows):
            for column in range(self._columns):
                self._draw_cell(pen, self._place(column, row), screen.buffer[row][column])
        if not screen.cursor.hidden:
            left, top = self._place(screen.cursor.x, screen.cursor.y)
            pen.rectangle((left, top, left + self._advance, top + LEADING - 4), fill=CURSOR)
        return picture

    def _draw_cell(self, pen: ImageDraw.ImageDraw, place: tuple[float, int], cell: pyte.screens.Char) -> None:
        ink, paper = _colour(cell.fg, INK), _colour(cell.bg, PAPER)
        if cell.reverse:
            ink, paper = paper, ink
        left, top = place
        if paper != PAPER:
            pen.rectangle((left, top, left + self._advance, top + LEADING - 1), fill=paper)
        if cell.data.strip():
            pen.text(place, cell.data, font=self._signs if cell.data in SIGNS else self._font, fill=ink)

    def _place(self, column: int, row: int) -> tuple[float, int]:
        return MARGIN + column * self._advance, MARGIN + row * LEADING


def _colour(name: str, default: Colour) -> Colour:
    """A colour by its name, or by six digits."""
    if name in COLOURS:
        return COLOURS[name]
    if re.fullmatch("[0-9a-f]{6}", name):
        red, green, blue = bytes.fromhex(name)
        return red, green, blue
    return default

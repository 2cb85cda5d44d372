#!/usr/bin/env python3
"""Draws an asciicast (version 2) as one SVG file that plays it, and that shows its end where nothing is played. What is drawn
anew faster than it can be read is slowed down.

    tools/terminal/picture.py run.cast > run.svg
"""
import json
import re
import sys
from html import escape

# Of a character, and around all of them.
WIDTH, HEIGHT, SIDE, TOP = 8.4, 17, 14, 38
# Seconds: of the shortest frame, of the longest pause, of what a program draws, which may be faster than can be read, and of
# the end before it begins anew.
SHORTEST, PAUSE, READ, END = 0.05, 2.0, 1.2, 6.0
BACKGROUND, TEXT = "#0d1117", "#e6edf3"
COLOURS = dict(enumerate(["#484f58", "#ff7b72", "#3fb950", "#d29922", "#58a6ff", "#bc8cff", "#39c5cf", "#b1bac4"], 30))
COLOURS |= dict(enumerate(["#6e7681", "#ffa198", "#56d364", "#e3b341", "#79c0ff", "#d2a8ff", "#56d4dd", "#ffffff"], 90))
UP, DOWN, LEFT, RIGHT = 1, 2, 4, 8
# Lines are drawn and not written: those of a font meet only where its lines are as high as its letters.
LINES = {"─": LEFT | RIGHT, "│": UP | DOWN, "┌": DOWN | RIGHT, "┐": DOWN | LEFT, "└": UP | RIGHT, "┘": UP | LEFT}
LINES |= {"├": UP | DOWN | RIGHT, "┤": UP | DOWN | LEFT, "┬": LEFT | RIGHT | DOWN, "┴": LEFT | RIGHT | UP, "┼": 15}
LINES |= {"╌": LEFT | RIGHT, "╎": UP | DOWN, "┆": UP | DOWN}
# What fonts may have as a coloured picture, or not at all.
SHAPES = {
    "╭": "M4.2 17V12Q4.2 8.5 8.4 8.5", "╮": "M4.2 17V12Q4.2 8.5 0 8.5", "╰": "M4.2 0V5Q4.2 8.5 8.4 8.5", "╯": "M4.2 0V5Q4.2 8.5 0 8.5",
    "╱": "M0 17L8.4 0", "╲": "M0 0L8.4 17", "✔": "M.8 9.2L3.2 12.2L7.6 4.8", "✘": "M1.4 5L7.2 12M7.2 5L1.4 12",
    "▼": "M.6 5.5H7.8L4.2 12Z", "▲": "M.6 11.5H7.8L4.2 5Z", "■": "M1 5H7.4V12H1Z",
    "●": "M1.2 8.5a3 3 0 1 0 6 0a3 3 0 1 0 -6 0Z",
    "◉": "M.6 8.5a3.6 3.6 0 1 0 7.2 0a3.6 3.6 0 1 0 -7.2 0ZM2.7 8.5a1.5 1.5 0 1 0 3 0a1.5 1.5 0 1 0 -3 0Z",
}
FILLED, DASHED = "▼▲■●", "╌╎┆"


class Screen:
    """As much of a terminal as a picture needs: letters, colours, and the moves and erasures of a program that draws."""

    PARTS = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|\x1b[()=>][A-Z0-9]?|([\r\n\b\x07])|([^\x1b\r\n\b\x07]+)", re.DOTALL)

    def __init__(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.cells = [self.blank() for _ in range(rows)]
        self.row = self.column = 0
        self.style = (None, False)

    def blank(self):
        return [(" ", (None, False))] * self.columns

    def write(self, text):
        for numbers, verb, move, letters in self.PARTS.findall(text):
            if verb:
                self.obey(verb, [int(number or 0) for number in numbers.split(";")] if "?" not in numbers else None)
            elif move == "\r":
                self.column = 0
            elif move == "\n":
                self.down()
            elif move == "\b":
                self.column = max(0, self.column - 1)
            for letter in letters:
                if self.column == self.columns:
                    self.column = 0
                    self.down()
                self.cells[self.row][self.column] = (letter, self.style)
                self.column += 1

    def down(self):
        self.row += 1
        if self.row == self.rows:
            self.cells = [*self.cells[1:], self.blank()]
            self.row -= 1

    def obey(self, verb, numbers):
        if numbers is None:
            return
        first = numbers[0]
        if verb == "A":
            self.row = max(0, self.row - max(1, first))
        elif verb == "C":
            self.column = min(self.columns - 1, self.column + max(1, first))
        elif verb == "H":
            self.row, self.column = [max(1, number) - 1 for number in [*numbers, 1][:2]]
        elif verb == "K" and first == 0:
            self.cells[self.row][self.column :] = self.blank()[self.column :]
        elif verb == "J":
            if first == 0:
                self.cells[self.row][self.column :] = self.blank()[self.column :]
            for row in range(0 if first else self.row + 1, self.rows):
                self.cells[row] = self.blank()
        elif verb == "m":
            for number in numbers:
                colour, bold = self.style
                if number == 0:
                    self.style = (None, False)
                elif number in (1, 22):
                    self.style = (colour, number == 1)
                elif number in COLOURS or number == 39:
                    self.style = (COLOURS.get(number), bold)
        else:
            sys.exit(f"error: this terminal does not know the code {numbers} {verb}")


def number(value):
    return f"{value:.1f}".removesuffix(".0")


def shape(letter, column, colour):
    """A character that is drawn."""
    paint = f'stroke="{colour or TEXT}"'
    if ways := LINES.get(letter):
        x, y, across, down = (column + 0.5) * WIDTH, HEIGHT / 2, WIDTH / 2, HEIGHT / 2
        ends = [(0, -down, UP), (0, down, DOWN), (-across, 0, LEFT), (across, 0, RIGHT)]
        path = "".join(f"M{number(x)} {number(y)}l{number(right)} {number(low)}" for right, low, way in ends if ways & way)
        dashes = ' stroke-dasharray="2.5 2.5"' if letter in DASHED else ""
        return f'<path d="{path}" {paint}{dashes} fill="none"/>'
    wide = ' stroke-width="2"' if letter in "✔✘" else ""
    fill = (colour or TEXT) if letter in FILLED else "none"
    return f'<path d="{SHAPES[letter]}" transform="translate({number(column * WIDTH)})" {paint}{wide} fill="{fill}"/>'


def line(cells):
    """One line of the screen: words at their places, whatever the widths of the font's letters are."""
    drawn, column = [], 0
    while column < len(cells):
        letter, (colour, bold) = cells[column]
        if letter == " ":
            column += 1
            continue
        if letter in LINES or letter in SHAPES:
            drawn.append(shape(letter, column, colour))
            column += 1
            continue
        begin, word = column, ""
        while column < len(cells) and cells[column][1] == (colour, bold) and (letter := cells[column][0]) != " ":
            if letter in LINES or letter in SHAPES:
                break
            word, column = word + letter, column + 1
        paint = (f' fill="{colour}"' if colour else "") + (' font-weight="bold"' if bold else "")
        length = f' textLength="{number(len(word) * WIDTH)}" lengthAdjust="spacingAndGlyphs"'
        drawn.append(f'<text x="{number(begin * WIDTH)}" y="13"{length}{paint}>{escape(word)}</text>')
    return "".join(drawn)


def frames(events, screen):
    """What the terminal shows, each with how long."""
    shown, last, clock, least = [], 0.0, 0.0, 0.0
    for at, kind, text in events:
        if kind != "o":
            continue
        passed, last = min(at - last, PAUSE), at
        clock += max(passed, least)
        least = READ if "\x1b[J" in text else 0.0
        screen.write(text)
        lines = tuple(line(row) for row in screen.cells)
        if shown and clock - shown[-1][0] < SHORTEST:
            shown[-1] = (shown[-1][0], lines)
        elif not shown or shown[-1][1] != lines:
            shown.append((clock, lines))
    return shown, clock + END


def main():
    with open(sys.argv[1], encoding="utf-8") as cast:
        header, *events = [json.loads(row) for row in cast]
    screen = Screen(header["width"], header["height"])
    shown, length = frames(events, screen)
    used = max(index + 1 for _, lines in shown for index, drawn in enumerate(lines) if drawn)
    width, height = header["width"] * WIDTH + 2 * SIDE, used * HEIGHT + TOP + SIDE
    known = {drawn: f"l{at}" for at, drawn in enumerate(dict.fromkeys(drawn for _, lines in shown for drawn in lines if drawn))}
    film = []
    for at, (_, lines) in enumerate(shown):
        uses = (f'<use href="#{known[drawn]}" y="{row * HEIGHT}"/>' for row, drawn in enumerate(lines) if drawn)
        film.append(f'<g transform="translate({number(at * width)})">{"".join(uses)}</g>')
    stops = (f"{at / length * 100:.2f}%{{transform:translateX({number(-index * width)}px)}}" for index, (at, _) in enumerate(shown))
    font = 'ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono","Liberation Mono",monospace'
    dots = "".join(f'<circle cx="{20 + 18 * at}" cy="19" r="5.5" fill="{fill}"/>' for at, fill in enumerate(["#ff5f56", "#ffbd2e", "#27c93f"]))
    print(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{number(width)}" height="{height}" viewBox="0 0 {number(width)} {height}">'
        f"<title>{escape(header['title'])}</title>"
        f"<style>svg{{font:14px {font};fill:{TEXT};stroke-width:1.2}}"
        f".film{{animation:film {number(length)}s step-end infinite}}@keyframes film{{{''.join(stops)}}}"
        "@media (prefers-reduced-motion:reduce){.film{animation:none}}</style>"
        f'<rect x=".5" y=".5" width="{number(width - 1)}" height="{height - 1}" rx="8" fill="{BACKGROUND}" stroke="#30363d"/>{dots}'
        f"<defs>{''.join(f'<g id={chr(34)}{name}{chr(34)}>{drawn}</g>' for drawn, name in known.items())}</defs>"
        f'<svg x="{SIDE}" y="{TOP}" width="{number(width - 2 * SIDE)}" height="{used * HEIGHT}">'
        f'<g class="film" transform="translate({number(-(len(shown) - 1) * width)})">{"".join(film)}</g></svg></svg>'
    )


main()

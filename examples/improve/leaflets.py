"""Leaflets of invented places, written by a program: enough documents to split by source, and no two with the same figures.

They are short and alike, so what is measured on them holds for leaflets of this kind.
"""

from autodata_core import Source
from autodata_core.meta.population import seeded

PLACES = ("Alder", "Birch", "Cedar", "Dune", "Elm", "Fern", "Gorse", "Hazel")
"""One leaflet of each theme for each place."""

# Theme: what it sells, price from and to (euros), weight from and to (grams), what takes time, from and to (minutes).
THEMES = {
    "bakery": (
        "Rye loaf, Spelt loaf, Seeded roll, Butter plait, Corn bread, Cheese stick",
        (2, 8), (80, 1200), "Baking times", (12, 65),
    ),
    "museum": (
        "Adult ticket, Child ticket, Guided tour, Audio guide, Museum map, Poster",
        (2, 18), (20, 300), "Visiting times", (15, 95),
    ),
    "laundry": (
        "Small machine, Large machine, Tumble dryer, Soap sachet, Ironing board, Linen bag",
        (1, 9), (50, 900), "Washing times", (20, 110),
    ),
    "tearoom": (
        "Filter coffee, Flat white, Green tea, Cocoa, Almond cake, Cheese toast",
        (2, 9), (60, 450), "Serving times", (2, 25),
    ),
    "workshop": (
        "Brake pads, Chain, Tyre, Bell, Pump, Saddle",
        (4, 48), (40, 1500), "Repair times", (10, 90),
    ),
    "nursery": (
        "Tomato plant, Basil pot, Rose bush, Seed box, Peat sack, Lavender pot",
        (2, 24), (150, 9000), "Potting times", (5, 40),
    ),
    "pool": (
        "Day pass, Evening pass, Swim cap, Locker key, Towel, Goggles",
        (1, 14), (15, 700), "Course times", (25, 90),
    ),
    "printer": (
        "Business cards, Poster roll, Wedding cards, Brochure, Photo book, Calendar",
        (6, 55), (100, 2500), "Printing times", (8, 75),
    ),
    "ferry": (
        "Foot passenger, Bicycle, Small car, Trailer, Cabin, Deck chair",
        (3, 60), (500, 4000), "Crossing times", (20, 140),
    ),
    "smithy": (
        "Gate hinge, Door knocker, Fire poker, Coat hook, Lantern, Trivet",
        (5, 70), (90, 3600), "Forging times", (15, 120),
    ),
}  # fmt: skip


def leaflet(place: str, theme: str) -> Source:
    """Return the leaflet of a place."""
    chance = seeded("leaflet", place, theme)
    names, price, weight, heading, minutes = THEMES[theme]
    items = names.split(", ")
    sold, timed = chance.sample(items, 4), chance.sample(items, 4)
    rows = [
        f"| {item} | {chance.randint(20 * price[0], 20 * price[1]) / 20:.2f} | {chance.randint(*weight)} |"
        for item in sold
    ]
    lines = [f"- {item}: {chance.randint(*minutes)} minutes" for item in timed]
    text = "\n".join(
        [f"# {place} {theme}", "", f"What the {theme} in {place} Lane offers.", "", "## Price list", "",
         "| Item | Price (EUR) | Weight (g) |", "|---|---|---|", *rows, "", f"## {heading}", "", *lines, ""]
    )  # fmt: skip
    return Source.create(text, id=f"{theme}-{place.lower()}.md", licence="CC0-1.0")


SOURCES = tuple(leaflet(place, theme) for theme in THEMES for place in PLACES)

"""`autodata recipe`: the versions of a folder, what differs between them, their release notes, and the way back."""

from __future__ import annotations

import json
from pathlib import Path

from autodata_adapters.stores.recipes import RecipeRegistry
from autodata_core.errors import RecipeError
from autodata_core.meta.notes import notes_for, recipe_diff
from autodata_core.meta.notes_page import notes_text
from autodata_core.prompts import visible
from autodata_core.ready import READY
from autodata_core.recipe import Recipe

__all__ = ["diff_text", "folder_of", "list_text", "notes_of", "recipe_text", "roll_back", "start_of"]


def start_of(name: str | None, base_dir: Path) -> Recipe | None:
    """Return the recipe that a recipe file starts from, where it is in a folder: `DIR` or `DIR@VERSION`.

    Raises:
        RecipeError: It is neither shipped nor a folder with recipes.
    """
    if name is None or name in READY:
        return None
    _, _, version = name.partition("@")
    place = folder_of(name, base_dir)
    if place is None or not (place / "recipes").is_dir():
        raise RecipeError(
            f"recipe = {name!r} is no folder with recipes, and no shipped one. Shipped: {', '.join(READY)}."
        )
    return RecipeRegistry(place).load(version or "head")


def folder_of(name: str | None, base_dir: Path) -> Path | None:
    """Return the folder of the search that a recipe file starts from, None where it starts from none."""
    return None if name is None or name in READY else base_dir / name.partition("@")[0]


def list_text(folder: Path) -> str:
    """Return the versions, the one in force marked, and every time that another came into force."""
    registry = RecipeRegistry(folder)
    versions, head = registry.versions(), registry.head()
    lines = [f"{'':<2}{'version':<14}{'parent':<14}{'iteration':<11}{'validation':<22}change"]
    for version in versions:
        notes = registry.notes(version)
        parent = (notes.parent or "")[:12] if notes else ""
        measured = "baseline" if notes and notes.parent is None else "–"
        if notes and notes.comparison:
            gain = notes.comparison.gain
            measured = f"{gain.gain:+.3f} ({gain.low:+.2f} {gain.high:+.2f})"
        change = " ".join((notes.change if notes else "").split())[:70]
        made = str(notes.iteration) if notes else "–"
        mark = "* " if version == head else "  "
        lines.append(f"{mark}{version[:12]:<14}{parent:<14}{made:<11}{measured:<22}{change}".rstrip())
    for move in registry.moves():
        lines.append(f"in force since {move.at}: {move.version[:12]}  {move.why}")
    return visible("\n".join(lines))


def recipe_text(folder: Path, version: str, *, toml: bool = False) -> str:
    """Return a version's texts, for people or as the table of a recipe file."""
    recipe = RecipeRegistry(folder).load(version)
    if toml:
        # JSON strings are TOML basic strings, but for one escape that JSON does not need.
        texts = (("challenger", recipe.challenger), ("check", recipe.check))
        lines = [f"{name} = {_escaped(json.dumps(text, ensure_ascii=False))}" for name, text in texts]
        return "\n".join(["[texts]", *lines])
    shape = recipe.domain.rubric_shape
    parts = [f"{recipe.name} {recipe.version}", f"domain {recipe.domain.name}, parent {recipe.parent or 'none'}"]
    parts += ["", "challenger", "", recipe.challenger, "", "check", "", recipe.check]
    parts += ["", f"rubric: {shape.describe()}"] if shape else []
    parts += ["", "learnings", "", *(f"- {x.text}" for x in recipe.learnings)] if recipe.learnings else []
    return visible("\n".join(parts))


def _escaped(text: str) -> str:
    """Return a string of TOML in which nothing is hidden from whoever reads it on a screen."""
    return "".join(
        c if visible(c) == c and c != "\x7f" else f"\\u{ord(c):04X}" if ord(c) < 0x10000 else f"\\U{ord(c):08X}"
        for c in text
    )


def diff_text(folder: Path, one: str, other: str) -> str:
    """Return what changed from one version to another."""
    registry = RecipeRegistry(folder)
    return (
        visible(recipe_diff(registry.load(one), registry.load(other))).rstrip("\n") or "nothing that is asked differs"
    )


def notes_of(folder: Path, version: str) -> str:
    """Return the release notes of a version."""
    registry = RecipeRegistry(folder)
    recipe = registry.load(version)
    found = registry.notes(version)
    return visible(notes_text(found if found is not None else notes_for(recipe, None, None))).rstrip("\n")


def roll_back(folder: Path, version: str, why: str) -> str:
    """Put a version in force and say what was and is."""
    registry = RecipeRegistry(folder)
    before = registry.head()
    wanted = registry.resolve(version)
    if not registry.put_in_force(wanted, why or "rolled back by hand"):
        return f"{wanted[:12]} is in force already"
    return f"{wanted[:12]} is in force, {before[:12]} was"

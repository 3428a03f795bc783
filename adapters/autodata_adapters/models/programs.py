"""Models that are programs, by name: exact and free, for examples, controls and tests. Each lives in its own file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from autodata_core.errors import ModelError
from autodata_core.ports import Model

__all__ = ["PROGRAMS", "create_program"]


def _word_problems(options: Mapping[str, Any]) -> Model:
    from autodata_adapters.models.word_problems import WordProblemChallenger

    return WordProblemChallenger(**options)


def _exact(options: Mapping[str, Any]) -> Model:
    from autodata_adapters.models.word_problems import ExactSolver

    return ExactSolver(**options)


def _count_failures(options: Mapping[str, Any]) -> Model:
    from autodata_adapters.models.word_problems.improving import FailureCounter

    return FailureCounter(**options)


def _change_one_setting(options: Mapping[str, Any]) -> Model:
    from autodata_adapters.models.word_problems.improving import SettingChanger

    return SettingChanger(**options)


PROGRAMS: dict[str, Callable[[Mapping[str, Any]], Model]] = {
    "word_problems": _word_problems,
    "exact": _exact,
    "count_failures": _count_failures,
    "change_one_setting": _change_one_setting,
}
"""What `program:NAME` makes, from the options of the recipe."""


def create_program(name: str, options: Mapping[str, Any]) -> Model:
    """Return the program called `name`.

    Raises:
        ModelError: There is no such program, or it does not take these options.
    """
    if name not in PROGRAMS:
        raise ModelError(f"There is no program {name!r}. Known: {', '.join(sorted(PROGRAMS))}.")
    try:
        return PROGRAMS[name](options)
    except TypeError as error:
        raise ModelError(f"The program {name!r} does not take these options: {error}.") from error

"""Prompts: texts a recipe may change, texts it may not, and the rendering that every host shares."""

from autodata_core.prompts.rendering import (
    Fence,
    again,
    render_challenger,
    render_check,
    render_critic,
    render_debate,
    render_judge,
    render_solver,
    render_study,
    visible,
)

__all__ = [
    "Fence",
    "again",
    "render_challenger",
    "render_check",
    "render_critic",
    "render_debate",
    "render_judge",
    "render_solver",
    "render_study",
    "visible",
]

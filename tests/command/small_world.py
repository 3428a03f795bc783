"""A small scripted search as files: models that note every call, and an implementer that knows the rules."""

import io
import sys

import pytest

WORLD = '''
import os
from autodata_core.calls import call_key
from autodata_core.testing import ScriptedModel
from autodata_core.testing.optimizing import GOOD, RULES, optimizing_models, optimizing_sources, proposal_of


class Metered:
    """Notes a call when it arrives, before anything is answered: what is noted would be on the bill."""

    def __init__(self, model):
        self.model, self.identity = model, model.identity

    def note(self, request):
        if "METER" in os.environ:
            handle = os.open(os.environ["METER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            os.write(handle, call_key(request, self.identity).encode() + b"\\n")
            os.close(handle)

    def complete(self, request):
        self.note(request)
        return self.model.complete(request)

    async def acomplete(self, request):
        return self.complete(request)


def all_good(request):
    challenger, check = request.view["challenger"], request.view["check"]
    if RULES["specific"] in challenger:
        return "Nothing more."
    made = proposal_of("positive", challenger, check)
    return {**made, "challenger": made["challenger"] + "".join(f"\\n- {RULES[n]}" for n in GOOD if n != "positive")}


made = {**optimizing_models(), "implementer": ScriptedModel(all_good, name="scripted/implementer")}
CHALLENGER, CHECK, WEAK, STRONG = (Metered(made[role]) for role in ("challenger", "check", "weak", "strong"))
JUDGE, ANALYZER, IMPLEMENTER = (Metered(made[role]) for role in ("judge", "analyzer", "implementer"))
SOURCES = optimizing_sources(30)
'''

RECIPE = """
name = "small"
domain = "cs_research"
[sources]
loader = "small_world:SOURCES"
[models]
challenger = "small_world:CHALLENGER"
check = "small_world:CHECK"
weak = "small_world:WEAK"
strong = "small_world:STRONG"
judge = "small_world:JUDGE"
analyzer = "small_world:ANALYZER"
implementer = "small_world:IMPLEMENTER"
[budget]
rounds = 2
[coverage]
embedder = "none"
"""


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "small_world.py").write_text(WORLD)
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    return path


def answering(monkeypatch, *lines):
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))

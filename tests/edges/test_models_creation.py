"""From the recipe's line to a model: specs, options, keys, objects and programs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from autodata_adapters.models import create_model
from autodata_adapters.models.programs import PROGRAMS
from autodata_core.errors import MissingExtraError, ModelAuthError, ModelError, RecipeError
from autodata_core.ports import Model, ModelReply, ModelRequest
from autodata_core.records import Message, ModelIdentity

ASKED = ModelRequest(role="weak", item="i", round=1, step="s", messages=(Message(role="user", content="q"),), seed=5)

MODULE = """
from langchain_core.language_models.fake_chat_models import FakeListChatModel

from autodata_core.ports import ModelReply
from autodata_core.records import ModelIdentity


class Own:
    identity = ModelIdentity(name="own")

    def complete(self, request):
        return ModelReply(text="own")

    async def acomplete(self, request):
        return self.complete(request)


class Box:
    chat = FakeListChatModel(responses=["boxed"])


chat = FakeListChatModel(responses=["hello"])
number = 7


def make():
    return chat


def needs(something):
    return chat
"""


def make(spec: str, base_dir: Path = Path(), **options: Any) -> Model:
    return create_model(spec, role="judge", options=options, base_dir=base_dir)


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Return a folder with a module in it whose name is unique, since modules stay imported."""
    (tmp_path / f"{_name(request)}.py").write_text(MODULE)
    return tmp_path


@pytest.fixture
def module(request: pytest.FixtureRequest) -> str:
    return _name(request)


def _name(request: pytest.FixtureRequest) -> str:
    return "mine_" + "".join(c if c.isalnum() else "_" for c in request.node.name)


@pytest.mark.parametrize(
    ("path", "text"), [("chat", "hello"), ("make", "hello"), ("Box.chat", "boxed"), ("Own", "own")]
)
def test_objects_beside_the_recipe_become_models(folder: Path, module: str, path: str, text: str) -> None:
    before = list(sys.path)
    model = make(f"{module}:{path}", folder)
    assert model.complete(ASKED).text == text
    assert sys.path[: len(before)] == before, "a module beside a recipe must not replace an installed one"
    if path != "Own":
        assert model.identity.name == f"{module}:{path}"


@pytest.mark.parametrize(
    ("path", "said"), [("number", "is a int, not a model"), ("needs", "is a function"), ("gone", "has no")]
)
def test_objects_that_are_no_models_are_refused_by_name(folder: Path, module: str, path: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        make(f"{module}:{path}", folder)


def test_a_dot_makes_it_a_module() -> None:
    with pytest.raises(RecipeError, match=r"no_such_package\.thing"):
        make("no_such_package.thing:MODEL")


@pytest.mark.parametrize("spec", ["gpt", "openai:", ":x", ""])
def test_a_spec_has_two_parts(spec: str) -> None:
    with pytest.raises(RecipeError, match="provider:model"):
        make(spec)


def test_an_unknown_provider_names_its_neighbour() -> None:
    pytest.importorskip("langchain")
    with pytest.raises(RecipeError, match="Did you mean 'openai'"):
        make("opena:gpt")


def test_unknown_and_wrong_options_are_refused() -> None:
    with pytest.raises(RecipeError, match="Did you mean 'temperature'"):
        make("openai:x", temprature=1)
    with pytest.raises(RecipeError, match="api_key_env"):
        make("openai:x", api_key="sk-1")
    with pytest.raises(RecipeError, match="max_tokens"):
        make("openai:x", max_tokens=1.5)
    with pytest.raises(RecipeError, match="temperature"):
        make("openai:x", temperature="hot")


def test_a_missing_key_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("langchain_openai")
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ModelAuthError, match="NO_SUCH_KEY"):
        make("openai:x", api_key_env="NO_SUCH_KEY")
    with pytest.raises(ModelAuthError, match="api_key_env"):
        make("openai:x")


def test_identity_holds_what_changes_answers_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("langchain_openai")
    monkeypatch.setenv("SOME_KEY", "sk-canary")
    url = "http://user:pass@127.0.0.1:9/v1?key=sk-canary"
    identity = make("openai:x", base_url=url, api_key_env="SOME_KEY", timeout_s=3, price_in=1.0).identity
    assert identity.endpoint == "http://127.0.0.1:9/v1"
    assert identity.params == {"temperature": 0.0, "max_tokens": 4096, "structured": "prompt"}
    assert "canary" not in identity.model_dump_json()


def test_a_model_that_refuses_temperatures_is_sent_none(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("langchain_openai")
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    for name in ("o3-mini", "gpt-5", "gpt-5.1-codex"):
        assert "temperature" not in make(f"openai:{name}").identity.params
    for name in ("gpt-4o", "gpt-5-chat-latest", "o3000x"):
        assert make(f"openai:{name}").identity.params["temperature"] == 0.0


def test_a_provider_without_its_package_says_what_to_install() -> None:
    pytest.importorskip("langchain")
    with pytest.raises((ModelError, MissingExtraError), match="pip install"):
        make("fireworks:x")


def test_programs_are_made_by_name_with_their_own_options(monkeypatch: pytest.MonkeyPatch) -> None:
    class Program:
        identity = ModelIdentity(name="program:p")

        def __init__(self, level: int = 1) -> None:
            self.level = level

        def complete(self, request: ModelRequest) -> ModelReply:
            return ModelReply(text=str(self.level))

        async def acomplete(self, request: ModelRequest) -> ModelReply:
            return self.complete(request)

    monkeypatch.setitem(PROGRAMS, "p", lambda options: Program(**options))
    assert make("program:p", level=3, timeout_s=5).complete(ASKED).text == "3"
    with pytest.raises(ModelError, match="does not take"):
        make("program:p", colour="red")
    with pytest.raises(ModelError, match="Known: "):
        make("program:none")


def test_a_local_model_without_weights_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("xllamacpp")
    monkeypatch.setenv("AUTODATA_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="autodata models pull smollm2"):
        make("local:smollm2")
    with pytest.raises(ModelError, match="Known: smollm2"):
        make("local:unknown")
    (tmp_path / "models" / "smollm2").mkdir(parents=True)
    (tmp_path / "models" / "smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf").write_bytes(b"torn")
    with pytest.raises(ModelError, match="damaged"):
        make("local:smollm2")


def test_importing_the_door_loads_no_framework() -> None:
    heavy = ("langchain", "langchain_core", "langchain_openai", "dspy", "litellm", "xllamacpp", "tiktoken")
    code = f"import sys, autodata_adapters.models; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

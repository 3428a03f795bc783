"""Models of either host, and specs, play any role: a LangChain chat model, a `dspy.LM`, a string."""

import json

import dspy
import pytest
from dspy import lm15
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage

from autodata_core import EvaluationProtocol, Recipe
from autodata_core.errors import RecipeError
from autodata_dspy import AutoData
from autodata_langgraph import AutodataContext, create_autodata_graph

RECIPE = Recipe.for_domain("math_objects")
PROTOCOL = EvaluationProtocol.create(RECIPE.domain, quality_check=False, final_check=False, rounds=3)
SOURCE = {"source": {"id": "pool.md", "text": "# Tickets\n\n- Adult ticket: 5.50 EUR\n- Towel: 1.75 EUR\n"}}


def langchain_weak():
    replies = (AIMessage(json.dumps({"answer": f"{n}.99"})) for n in range(100))
    return GenericFakeChatModel(messages=replies)


class _Engine:
    def __deepcopy__(self, memo):
        return self

    def complete(self, request):
        return lm15.Response(
            id=None,
            model=request.model,
            message=lm15.Message.assistant('{"answer": "0.99"}'),
            finish_reason="stop",
            usage=lm15.Usage(input_tokens=7, output_tokens=3),
        )


class _AsyncEngine(_Engine):
    async def complete(self, request):
        return super().complete(request)


def dspy_weak():
    return dspy.LM("scripted/weak", engine=_Engine(), async_engine=_AsyncEngine(), cache=False)


@pytest.mark.parametrize("weak", [langchain_weak, dspy_weak], ids=["langchain", "dspy"])
def test_the_graph_takes_chat_models_dspy_lms_and_specs(weak):
    models = {"challenger": "program:word_problems", "weak": weak(), "strong": "program:exact"}
    found = create_autodata_graph(RECIPE, PROTOCOL).compile().invoke(SOURCE, context=AutodataContext(models=models))
    assert found["status"] == "accepted"
    assert found["example"]["provenance"]["models"]["strong"]["params"]["privileged"] is True
    assert found["example"]["provenance"]["usage"]["weak"]["calls"] == 4


@pytest.mark.parametrize("weak", [langchain_weak, dspy_weak], ids=["langchain", "dspy"])
def test_the_dspy_module_takes_the_same(weak):
    models = {"challenger": "program:word_problems", "weak": weak(), "strong": "program:exact"}
    made = AutoData(RECIPE, models, protocol=PROTOCOL)(source=SOURCE["source"])
    assert made.status == "accepted"


def test_what_is_no_model_is_named_with_what_would_be():
    with pytest.raises(RecipeError, match="LangChain chat model"):
        create_autodata_graph(RECIPE, PROTOCOL).compile().invoke(SOURCE, context=AutodataContext(models={"weak": 7}))


def test_a_missing_role_is_named_before_anything_is_asked():
    models = {"challenger": "program:word_problems", "strong": "program:exact"}
    with pytest.raises(RecipeError, match="a model in the role 'weak'"):
        create_autodata_graph(RECIPE, PROTOCOL).compile().invoke(SOURCE, context=AutodataContext(models=models))


def test_a_missing_reviewer_is_named_with_how_to_do_without():
    models = {"challenger": "program:word_problems", "weak": langchain_weak(), "strong": "program:exact"}
    with pytest.raises(RecipeError, match="quality_check=False"):
        create_autodata_graph(RECIPE).compile().invoke(SOURCE, context=AutodataContext(models=models))

"""A small model in this process as a LangChain chat model: no server to start, no network. The engine is in `llama`."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field, field_validator

from autodata_adapters.models.llama import LlamaError, LlamaPool, pool_for
from autodata_adapters.models.replies import clean_text
from autodata_core.errors import MissingExtraError, ModelError

__all__ = ["LocalChatModel"]

_ROLES = {"system": "system", "human": "user", "ai": "assistant"}


class LocalChatModel(BaseChatModel):
    """A GGUF file, answered by llama.cpp in process.

    With equal seed, messages and settings the text is equal on one machine, whatever else is asked at the same time. A call
    may give its own `seed`, `temperature`, `max_tokens`, `response_format` and `timeout_s`.
    """

    weights: Path
    """Path of the GGUF file; `weights.path_for("smollm2")` for the one we know."""
    seed: int = 0
    temperature: float = Field(default=1.0, ge=0)
    max_tokens: int = Field(default=512, ge=1)
    n_ctx: int = Field(default=4096, ge=128)
    """Tokens of messages and answer together, at most."""
    timeout_s: float = Field(default=600.0, gt=0)
    """Deadline of a call that does not bring its own."""

    @field_validator("weights")
    @classmethod
    def _there(cls, path: Path) -> Path:
        if importlib.util.find_spec("xllamacpp") is None:
            raise MissingExtraError("xllamacpp", "local", "The local model")
        if not path.is_file():
            raise ModelError(f"There are no weights at {str(path)!r}. For SmolLM2 run: autodata models pull smollm2")
        return path

    @property
    def _llm_type(self) -> str:
        return "autodata-local"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {name: str(getattr(self, name)) for name in ("weights", "seed", "temperature", "max_tokens", "n_ctx")}

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return self._result(self._pool().complete(*self._request(messages, stop, kwargs)))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return self._result(await self._pool().acomplete(*self._request(messages, stop, kwargs)))

    def _pool(self) -> LlamaPool:
        return pool_for(self.weights, self.n_ctx)

    def _request(
        self, messages: Sequence[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]
    ) -> tuple[dict[str, Any], float]:
        """Return the body of the request and its deadline in seconds."""
        body: dict[str, Any] = {
            "messages": [_sent(message) for message in messages],
            # llama.cpp takes 32 bits, where all ones mean "random".
            "seed": int(kwargs.get("seed", self.seed)) & 0x7FFFFFFF,
            "temperature": kwargs.get("temperature", self.temperature),
            "max_tokens": kwargs.get("max_tokens", self.max_tokens),
        }
        if stop:
            body["stop"] = list(stop)
        if kwargs.get("response_format") is not None:
            body["response_format"] = kwargs["response_format"]
        return body, float(kwargs.get("timeout_s", self.timeout_s))

    def _result(self, answer: dict[str, Any]) -> ChatResult:
        usage = answer["usage"]
        message = AIMessage(
            content=answer["text"],
            response_metadata={"model_name": self.weights.stem, "finish_reason": answer["finish_reason"]},
        )
        if usage:
            asked, written = int(usage["prompt_tokens"]), int(usage["completion_tokens"])
            message.usage_metadata = {
                "input_tokens": asked,
                "output_tokens": written,
                "total_tokens": asked + written,
            }
        return ChatResult(generations=[ChatGeneration(message=message)])


def _sent(message: BaseMessage) -> dict[str, str]:
    if message.type not in _ROLES:
        raise LlamaError(f"The local model takes system, user and assistant messages, not {message.type!r}.", 400)
    # The tokeniser would read <|im_end|> in a document as the end of the message, and let the document speak for us.
    content = clean_text(str(message.text)).replace("<|", "‹|").replace("|>", "|›")
    return {"role": _ROLES[message.type], "content": content}

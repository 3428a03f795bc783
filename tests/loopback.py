"""A scripted OpenAI-compatible server on loopback: a whole cs_research world behind real HTTP, with a meter of every call.

Roles are told apart by what the messages say, as a provider would see them; nothing depends on the order of calls.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Chat = list[dict[str, str]]
Reply = Callable[[str, Chat], str]
Fault = Callable[[BaseHTTPRequestHandler, dict[str, Any]], bool]
"""Answers a request in place of the server, wrongly; False leaves this one to the server."""


def role_of(messages: Chat) -> str:
    system = messages[0]["content"]
    for start, role in (
        ("You write", "challenger"),
        ("You review", "check"),
        ("You mark", "judge"),
        ("You compare", "judge"),
        ("Answer the question", "solver"),
    ):
        if system.startswith(start):
            return role
    return "probe"


def cs_reply(model: str, messages: Chat) -> str:
    """Answer as a well-behaved provider: too easy in the first round, in from the second."""
    role, user = role_of(messages), messages[1]["content"] if len(messages) > 1 else messages[0]["content"]
    if role == "challenger":
        return json.dumps(_candidate(user))
    if role == "check":
        names = ("grounded", "self_contained", "no_leak", "answer_correct", "overall")
        return json.dumps({**dict.fromkeys(names, True), "feedback": "fine"})
    if role == "judge":
        weights = [int(w) for w in re.findall(r"^\d+\. \(([+-]\d+)\)", user, re.MULTILINE)]
        kept = 6 if "thorough" in user else 1
        return json.dumps({"marks": [w > 0 and n < kept for n, w in enumerate(weights)], "why": "by the rubric"})
    if role == "solver":
        easy = "plainly" in user
        return "A thorough account of the mechanism." if easy or "strong" in model else "A vague remark about it."
    return "4"


def _candidate(user: str) -> dict[str, Any]:
    # Without the call's nonce, so that two runs are told the same.
    tag = hashlib.sha256(re.sub(r"\b[0-9a-f]{20}\b", "", user).encode()).hexdigest()
    words = " ".join(f"w{tag[n : n + 5]}" for n in range(0, 40, 5))
    later = "were refused" in user
    how = "in two steps" if later else "plainly"
    return {
        "question_type": "mechanism" if later else "recall",
        "skills": ["reasoning", "systems"],
        "context": f"A system is described by the marks {words}.",
        "question": f"Why does the {words} arrangement behave as measured, explained {how}?",
        "reference_answer": f"Because of the effect named {tag[:9]}.",
        "rubric": [{"criterion": f"Names the cause {n} of {tag[:6]}", "weight": 3} for n in range(7)]
        + [{"criterion": f"Takes the effect {n} for its cause", "weight": -2} for n in range(3)],
    }


class LoopbackServer:
    """Serves until closed. `meter` counts requests by body, so that a call that is paid twice can be seen.

    While `fault` is set it goes wrong; `over` is set when the server closes, for faults that wait.
    """

    def __init__(
        self,
        reply: Reply = cs_reply,
        *,
        delay_s: float = 0.0,
        status: int = 200,
        key: str | None = None,
        fault: Fault | None = None,
    ) -> None:
        self.meter: Counter[str] = Counter()
        self.keys: set[str] = set()
        self.fault = fault
        self.over = threading.Event()
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                asked = json.loads(body)
                with outer._lock:
                    outer.meter[hashlib.sha256(body).hexdigest()] += 1
                    outer.keys.add(self.headers.get("Authorization", ""))
                time.sleep(delay_s)
                if outer.fault is not None and outer.fault(self, asked):
                    return
                if status != 200 or (key and self.headers.get("Authorization") != f"Bearer {key}"):
                    code = status if status != 200 else 401
                    self._send(code, {"error": {"message": f"scripted {code}", "type": "scripted", "code": None}})
                    return
                text = reply(asked["model"], asked["messages"])
                self._send(200, _completion(asked, text))

            def _send(self, code: int, value: dict[str, Any]) -> None:
                content = json.dumps(value).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, address: object) -> None:
                """A client that was killed, or gave up, is what these tests are about."""

        self._server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def calls(self) -> int:
        return sum(self.meter.values())

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> LoopbackServer:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()


def _completion(asked: dict[str, Any], text: str) -> dict[str, Any]:
    tokens_in = sum(len(m["content"]) for m in asked["messages"]) // 4
    tokens_out = len(text) // 4 + 1
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": asked["model"],
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": tokens_in + tokens_out},
    }


if __name__ == "__main__":
    with LoopbackServer() as server:
        print(server.url, flush=True)
        threading.Event().wait()

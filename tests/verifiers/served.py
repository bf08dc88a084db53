"""A model that judges solutions as a test says, behind an OpenAI-compatible URL on loopback."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

QUESTION, VOTE = "{problem}\n###\n{solution}", "\n---\n"


def votes(question: str) -> list[str]:
    """The votes that a solution within QUESTION says the model has, with VOTE between them; one that ends in "~" is cut
    off."""
    return question.partition("\n###\n")[2].split(VOTE)


@contextmanager
def judge(says: Callable[[str], list[str]], failures: int = 0) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The URL of a model that answers a question with the opinions `says(question)`, after `failures` requests that
    fail; and the list of what it was asked."""
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(body := json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(500 if len(asked) <= failures else 200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            chat = "messages" in body
            choices: list[dict[str, Any]] = []
            for text in says(body["messages"][0]["content"] if chat else body["prompt"]):
                said = text.removesuffix("~")
                content = {"message": {"role": "assistant", "content": said}} if chat else {"text": said}
                ending = "length" if text.endswith("~") else "stop"
                choices.append({"index": len(choices), "finish_reason": ending, **content})
            reply = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": choices}
            self.wfile.write(json.dumps(reply).encode())

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{http.server_address[1]}/v1", asked
        http.shutdown()

"""A real vLLM server on loopback, and a small one that fails as it is told."""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from byheart.config import recipe
from byheart.engines.server import Server, ServerSession
from byheart.engines.transformers import Transformers, TransformersSession
from byheart.errors import EngineError, PromptError, RecipeError
from byheart.models import chat, checkpoint
from byheart.strategies.core.driver import drive
from byheart.types import Completion, Generate, Message, Policy, Problem, Prompt, Score, Solver

from tests.conftest import verifier_by
from tests.engines.conftest import a_word, log_likelihood, log_probability, loud

pytestmark = pytest.mark.engine

KEY = "aKeyThatNobodyMaySee"
PROMPTS: list[Prompt] = [[Message(role="user", content=f"What is {a} + {b}?")] for a in (3, 14) for b in (5, 26)]
RESPONSES = ["8", "3 + 5 = 8, and that is all there is to say.", "", "word " * 200]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module", autouse=True)
def key() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", KEY)
        patch.setenv("NO_PROXY", "127.0.0.1")
        yield


@pytest.fixture(scope="module")
def address(tiny: Path, tmp_path_factory: pytest.TempPathFactory, key: None) -> Iterator[str]:
    """Where `vllm serve` listens, with what that runs: the command itself wants a package that is called vllm. Its own
    settings of sampling are such that an answer without ours is another."""
    port, log = free_port(), tmp_path_factory.mktemp("server") / "log"
    linear = [f"{name}_proj" for name in ("q", "k", "v", "o", "gate", "up", "down")]
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    command = f"""--host 127.0.0.1 --port {port} --api-key {KEY} --model {tiny} --served-model-name tiny
        --dtype float32 --max-model-len 128 --max-num-seqs 8 --block-size 32 --kv-cache-memory-bytes 50000000
        --enforce-eager --no-enable-chunked-prefill --enable-lora --max-loras 2 --max-lora-rank 8
        --lora-target-modules {" ".join(linear)} --hf-overrides {{"head_dtype":"float32"}}
        --override-generation-config {{"repetition_penalty":2.0,"top_k":1,"min_p":0.9}}"""
    settings = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True", "VLLM_CPU_OMP_THREADS_BIND": cores}
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "vllm.entrypoints.launchers.api_server.entry", *command.split()],
            env=os.environ | settings | {"VLLM_NO_USAGE_STATS": "1"},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        while not healthy(port):
            assert server.poll() is None, log.read_text()[-3000:]
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
            return True
    except OSError:
        return False


def started(url: str, base: Path, max_context: int = 128, **options: Any) -> ServerSession:
    settings = checkpoint.ModelOptions(name=str(base), max_context=max_context)
    return ServerSession(Server(url=url, **options), base, settings, base / "no log")


@pytest.fixture(scope="module")
def engine(address: str, tiny: Path) -> Iterator[ServerSession]:
    one = started(address, tiny)
    yield one
    one.close()
    one.close()


@pytest.fixture
def base(engine: ServerSession, tiny: Path) -> Iterator[ServerSession]:
    """The same, with nothing loaded."""
    engine.load(Policy(str(tiny)))
    yield engine


@pytest.fixture(scope="module")
def own(tiny: Path, adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[list[int]]]:
    """What transformers answers to PROMPTS, greedily: under the base, and under the adapter."""
    settings = checkpoint.ModelOptions(name=str(tiny), max_context=128)
    alone = TransformersSession(Transformers(), tiny, settings, tmp_path_factory.mktemp("log"))
    found = {}
    for policy in (Policy(str(tiny)), Policy(str(tiny), adapter, "adapter-1")):
        alone.load(policy)
        found[policy.id] = tokens(asked(alone, *greedy()))
    return found


def greedy() -> list[Generate]:
    return [Generate(prompt, temperature=0, max_tokens=12) for prompt in PROMPTS]


def asked(engine: ServerSession | TransformersSession, *requests: Generate | Score) -> list[Any]:
    tickets = [engine.submit(request) for request in requests]
    replies: dict[int, Any] = {}
    while len(replies) < len(tickets):
        replies.update(engine.poll())
    return [replies[ticket] for ticket in tickets]


def tokens(replies: list[list[Completion]]) -> list[list[int]]:
    return [one.tokens for [one] in replies]


def test_greedy_answers_are_those_of_the_model_whatever_the_server_prefers(
    base: ServerSession, tiny: Path, own: dict[str, list[list[int]]]
) -> None:
    before = base.seconds
    began = time.monotonic()
    replies = asked(base, *greedy())
    assert 0 < base.seconds - before <= time.monotonic() - began
    assert tokens(replies) == own["base"]
    assert {(one.policy, one.finish_reason, one.logprob) for [one] in replies} == {("base", "length", None)}
    words = checkpoint.tokenizer(tiny)
    assert [one.text for [one] in replies] == [words.decode(row) for row in own["base"]]


def test_samples_are_those_that_vllm_gives_for_this_seed(base: ServerSession, tiny: Path, address: str) -> None:
    import openai

    [samples] = asked(base, Generate(PROMPTS[0], n=3, seed=11, temperature=0.8, top_p=0.95, max_tokens=12))
    with openai.OpenAI(base_url=address) as client:
        expected = client.completions.create(
            model="tiny",
            prompt=chat.encode_prompt(checkpoint.tokenizer(tiny), PROMPTS[0]),
            n=3,
            seed=11,
            temperature=0.8,
            top_p=0.95,
            max_tokens=12,
            extra_body={"top_k": 0, "min_p": 0, "repetition_penalty": 1.0},
        )
    assert [one.text for one in samples] == [one.text for one in expected.choices]
    assert len({one.text for one in samples}) == 3
    assert [one.seed for one in samples] == [11, 12, 13]


def test_an_adapter_is_loaded_swapped_and_let_go(
    engine: ServerSession, address: str, tiny: Path, adapter: Path, own: dict[str, list[list[int]]]
) -> None:
    assert own["adapter-1"] != own["base"], "else the adapter does nothing"
    for policy in (Policy(str(tiny), adapter, "adapter-1"), Policy(str(tiny)), Policy(str(tiny), adapter, "adapter-1")):
        engine.load(policy)
        replies = asked(engine, *greedy())
        assert tokens(replies) == own[policy.id]
        assert {one.policy for [one] in replies} == {policy.id}
        assert len(served(address)) == 1 + (policy.adapter is not None)
    first = served(address)
    engine.load(Policy(str(tiny), adapter, "adapter-1"))
    assert len(served(address)) == 2 and served(address) != first, "each has a name that was never used"
    other = started(address, tiny)
    other.load(Policy(str(tiny), adapter, "adapter-1"))
    assert len(served(address)) == 3
    other.close()
    assert len(served(address)) == 2, "nothing is left behind"


def served(address: str) -> set[str]:
    import openai

    with openai.OpenAI(base_url=address) as client:
        return {one.id for one in client.models.list()}


def test_an_adapter_that_the_server_cannot_load_is_said(base: ServerSession, tiny: Path, adapter: Path) -> None:
    with pytest.raises(
        EngineError, match=r"(?s)does not load the adapter /nowhere .*must see this path.*--enable-lora"
    ):
        base.load(Policy(str(tiny), Path("/nowhere"), "adapter-2"))


def test_a_stop_ends_an_answer_before_it(base: ServerSession) -> None:
    [[whole]] = asked(base, greedy()[0])
    stop = whole.text[3:6]
    [[cut]] = asked(base, Generate(PROMPTS[0], temperature=0, max_tokens=12, stop=(stop,)))
    assert cut.finish_reason == "stop" and cut.text == whole.text.partition(stop)[0]


def test_an_answer_ends_at_the_end_of_the_turn(base: ServerSession, monkeypatch: pytest.MonkeyPatch) -> None:
    [[whole]] = asked(base, greedy()[0])
    monkeypatch.setattr(chat, "end_token", lambda *_: whole.tokens[4])
    [[cut]] = asked(base, greedy()[0])
    assert cut.finish_reason == "stop" and cut.tokens == whole.tokens[:5]


def test_a_step_ends_with_its_mark_goes_on_from_there_and_a_word_can_be_forbidden(
    base: ServerSession, tiny: Path
) -> None:
    [[whole]] = asked(base, greedy()[0])
    words = checkpoint.tokenizer(tiny)
    begun = words.decode(whole.tokens[:4])
    word = a_word(words, whole.tokens[4:])
    asking: dict[str, Any] = {"temperature": 0, "max_tokens": 12}
    [step], [rest], [without] = asked(
        base,
        Generate(PROMPTS[0], step_stop=(begun[-2:-1],), logprob=True, **asking),  # within the last of its tokens
        Generate(PROMPTS[0], prefill=begun, **asking),
        Generate(PROMPTS[0], bad_words=(word,), **asking),
    )
    size = len(step.tokens)
    assert step.finish_reason == "step" and 0 < size <= 4
    assert step.tokens == whole.tokens[:size] and step.text == words.decode(step.tokens)
    assert step.logprob == pytest.approx(log_probability(tiny, PROMPTS[0], step.tokens), abs=1e-3)
    assert words.decode(whole.tokens).startswith(begun + rest.text[:8])
    assert word not in without.text and without.tokens != whole.tokens


def test_scores_are_the_scorers_and_completions_the_policys_though_asked_for_at_once(
    engine: ServerSession, tiny: Path, adapter: Path, scorer: Path, own: dict[str, list[list[int]]]
) -> None:
    engine.load(Policy(str(tiny), adapter, "adapter-1", scorer))
    scoring = [Score(prompt, RESPONSES) for prompt in PROMPTS]
    replies = asked(engine, *greedy(), *scoring)
    assert tokens(replies[:4]) == own["adapter-1"]
    for prompt, row in zip(PROMPTS, replies[4:], strict=True):
        for response, score in zip(RESPONSES[:-1], row[:-1], strict=True):
            assert score == pytest.approx(log_likelihood(scorer, prompt, response), abs=1e-3)
        assert row[-1] is None, "a response that doesn't fit the context can't be scored"
    assert asked(engine, *scoring) == replies[4:], "read from the cache or not"
    engine.load(Policy(str(tiny)))
    assert asked(engine, scoring[0]) == [[None] * 4], "a policy without a scorer has no opinion"


def test_a_scorer_that_values_steps_says_so_by_its_signs(engine: ServerSession, tiny: Path, scorer: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    (scorer / "signs.json").write_text('{"+": 10, "-": 12}')
    try:
        engine.load(Policy(str(tiny), None, "base-2", scorer))
    finally:
        (scorer / "signs.json").unlink()
    [values] = asked(engine, Score(PROMPTS[0], RESPONSES))
    model = AutoModelForCausalLM.from_pretrained(scorer.parent / "merged", dtype=torch.float32)
    for response, value in zip(RESPONSES[:-1], values[:-1], strict=True):
        ids = chat.encode_prompt(checkpoint.tokenizer(tiny), PROMPTS[0], response)
        with torch.no_grad():
            signs = model(torch.tensor([ids])).logits[0, -1, [10, 12]]
        assert value == pytest.approx(float(signs.softmax(-1)[0]), abs=1e-4)
    assert values[-1] is None


def test_the_context_is_the_recipes(address: str, tiny: Path) -> None:
    short = started(address, tiny, max_context=64)
    with pytest.raises(PromptError, match="does not fit a context of 64"):
        short.submit(Generate([Message(role="user", content="word " * 100)]))
    prompt = chat.encode_prompt(checkpoint.tokenizer(tiny), PROMPTS[0])
    [[filled]] = asked(short, Generate(PROMPTS[0], temperature=0, max_tokens=100))
    assert filled.finish_reason == "length" and len(prompt) + len(filled.tokens) == 64
    short.close()
    with pytest.raises(EngineError, match=r"a context of 128 tokens and 256 are wanted: start it with --max-model-len"):
        started(address, tiny, max_context=256)


def test_the_real_server_refuses_a_wrong_key_and_a_wrong_model(
    address: str, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EngineError, match="serves no llama, only: tiny"):
        started(address, tiny, model="llama")
    monkeypatch.setenv("OPENAI_API_KEY", "wrong")
    with pytest.raises(EngineError, match="set OPENAI_API_KEY to the right key"):
        started(address, tiny)


# What follows asks a server that does as it is told.


@dataclass
class Fake:
    """A model server whose answers to /v1/completions are what `answer` says of each: a status and a body."""

    answer: Callable[[dict[str, Any]], tuple[int, Any]]
    card: dict[str, Any] = field(default_factory=lambda: {"id": "tiny", "owned_by": "vllm"})
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    posted: list[str] = field(default_factory=list)
    at_once: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if path == "/v1/models":
            return 200, {"object": "list", "data": [self.card]}
        self.posted.append(path)
        if path == "/v1/completions":
            self.asked.append(body)
            return self.answer(body)
        sglang = self.card["owned_by"] == "sglang"
        return (200, {"success": True}) if sglang and not path.startswith("/v1") else (404, {"detail": "Not Found"})


def said(text: str = "8", **more: Any) -> tuple[int, Any]:
    return 200, {"choices": [{"index": 0, "text": text, "finish_reason": "stop", "token_ids": [40], **more}]}


@contextmanager
def serving(answer: Callable[[dict[str, Any]], tuple[int, Any]], **card: str) -> Iterator[Fake]:
    fake = Fake(answer)
    fake.card |= card

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with fake.lock:
                fake.at_once += 1
                fake.most = max(fake.most, fake.at_once)
            status, body = fake.get(self.path, json.loads(raw) if raw else {})
            with fake.lock:
                fake.at_once -= 1
            sent = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.send_header("Retry-After-Ms", "10")
            self.end_headers()
            self.wfile.write(sent)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_port}/v1"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()


def test_a_server_is_told_of_neutral_settings_and_of_all_ends(tiny: Path, tmp_path: Path) -> None:
    base = loud(tiny, tmp_path / "loud", eos_token_id=[2, 7])
    words = checkpoint.tokenizer(base)
    sampled = [*words("a <file_sep> b", add_special_tokens=False).input_ids, 7]
    with serving(lambda _: said("a  b", token_ids=sampled)) as fake:
        engine = started(fake.url, base)
        [[one]] = asked(engine, Generate(PROMPTS[0], temperature=0.7))
        engine.close()
    [body] = fake.asked
    neutral: dict[str, Any] = {"repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
    neutral |= {"top_p": 1.0, "top_k": -1, "min_p": 0.0, "min_tokens": 0, "bad_words": []}
    assert {key: body[key] for key in neutral} == neutral and body["temperature"] == 0.7
    assert body["stop_token_ids"] == [2, 7] and body["skip_special_tokens"] is False
    assert one == Completion("a <file_sep> b", sampled, "stop", "base", 0, retokenized=True)


def test_what_passes_is_tried_again(tiny: Path) -> None:
    answers = iter([(500, {}), (503, {}), said()])
    with serving(lambda _: next(answers)) as fake:
        engine = started(fake.url, tiny)
        [[one]] = asked(engine, Generate("x", seed=7))
        engine.close()
    assert one == Completion("8", [40], "stop", "base", 7)
    assert len(fake.asked) == 3 and fake.asked[0] == fake.asked[2]


@pytest.mark.parametrize(
    ("status", "hint", "times"),
    [
        (401, "set OPENAI_API_KEY to the right key", 1),
        (403, "set OPENAI_API_KEY to the right key", 1),
        (404, "run again", 1),
        (429, "it was tried 3 times: lower engine.max_num_seqs", 3),
        (500, "it was tried 3 times, and its log may say why", 3),
    ],
)
def test_what_does_not_pass_ends_the_run_and_says_what_to_do(tiny: Path, status: int, hint: str, times: int) -> None:
    with serving(lambda _: (status, {"error": {"message": f"not with {KEY}"}})) as fake:
        engine = started(fake.url, tiny, retries=2)
        with pytest.raises(EngineError, match=hint) as raised:
            asked(engine, Generate("x"))
        engine.close()
    assert f"{fake.url} fails: Error code: {status}" in str(raised.value)
    assert KEY not in str(raised.value) and "not with (the key)" in str(raised.value)
    assert not isinstance(raised.value, PromptError)
    assert len(fake.asked) == times


def test_a_prompt_that_the_server_refuses_costs_its_problem_only(tiny: Path) -> None:
    refused = checkpoint.tokenizer(tiny)("bad").input_ids

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        return (400, {"error": {"message": "not this one"}}) if body["prompt"] == refused else said()

    def solve(problem: Problem) -> Solver:
        yield [Generate(problem.prompt, n=2)]
        return []

    with serving(answer) as fake:
        engine = started(fake.url, tiny)
        problems = [Problem.of(prompt, "1", "number") for prompt in ("good", "bad", "fine")]
        found = {one.problem_id: one for one in drive(((one, solve(one)) for one in problems), engine, verifier_by())}
        engine.close()
    good, bad, fine = (found[problem.id] for problem in problems)
    assert bad.failure and "refuses a prompt" in bad.failure and "not this one" in bad.failure
    assert (good.failure, fine.failure) == (None, None) and good.num_tokens == fine.num_tokens == 2


def test_nobody_there_is_said(tiny: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"
    with pytest.raises(EngineError, match=f"{url} fails: .*tried 1 times: is it running, and is this engine.url"):
        started(url, tiny, retries=0)


def test_an_answer_that_does_not_come_is_said(tiny: Path, caplog: pytest.LogCaptureFixture) -> None:
    hanging = threading.Event()

    def hang(body: dict[str, Any]) -> tuple[int, Any]:
        hanging.wait(20)
        return said()

    with serving(hang) as fake:
        engine = started(fake.url, tiny, retries=0, timeout=0.2)
        with pytest.raises(EngineError, match=r"raise engine.timeout, 0.2 s, or lower engine.max_num_seqs"):
            asked(engine, Generate("x"))
        engine.close()
        patient = started(fake.url, tiny)
        patient.submit(Generate("x"))
        assert patient.poll() == [], "it waits only a little"
        began = time.monotonic()
        patient.close()
        assert time.monotonic() - began < 5, "what is under way is broken off"
        hanging.set()
    del engine, patient
    gc.collect()
    assert not caplog.records, "and ends as it should"


def test_so_many_are_under_way_at_once_and_the_lowest_turn_goes_first(tiny: Path) -> None:
    def slow(body: dict[str, Any]) -> tuple[int, Any]:
        time.sleep(0.1)
        return said()

    with serving(slow) as fake:
        engine = started(fake.url, tiny, max_num_seqs=3)
        asked(engine, Generate("x", n=7), Generate("y", n=2))
        assert fake.most == 3
        engine.close()
        fake.asked.clear()
        engine = started(fake.url, tiny, max_num_seqs=1)
        asked(engine, *(Generate("x", priority=priority, seed=priority) for priority in (4, 3, 1, 2)))
        assert [body["seed"] for body in fake.asked] == [4, 1, 2, 3], "the first was under way before the others came"
        engine.close()


def test_sglang_is_asked_in_its_own_way(tiny: Path, tmp_path: Path) -> None:
    """By what its source says: it could not be run here."""
    with serving(lambda _: said("a step.", token_ids=None, matched_stop="."), owned_by="sglang") as fake:
        engine = started(fake.url, tiny)
        engine.load(Policy(str(tiny), tmp_path, "adapter-1"))
        assert fake.posted == ["/v1/load_lora_adapter", "/load_lora_adapter"]
        [[one]] = asked(engine, Generate("x", step_stop=(".",)))
        assert one.finish_reason == "step" and one.text == "a step."
        assert one.tokens == checkpoint.tokenizer(tiny)("a step.").input_ids
        fake.answer = lambda _: said("8 <file_sep><|im_end|>", token_ids=None)
        assert asked(engine, Generate("x"))[0][0].text == "8 <file_sep>", "without its end, if that is there"
        fake.answer = lambda _: said("a", finish_reason="abort")
        assert asked(engine, Generate("x"))[0][0].finish_reason == "length", "what was broken off is no whole answer"
        assert fake.asked[0]["model"].startswith("tiny:adapter-1-")
        assert fake.asked[0]["no_stop_trim"] and fake.asked[0]["include_stop_str_in_output"], "by whatever name"
        with pytest.raises(EngineError, match="is not vLLM, and only vLLM can score or forbid"):
            engine.submit(Generate("x", bad_words=("Wait",)))
        assert asked(engine, Score("x", ["1"])) == [[None]]
        engine.load(Policy(str(tiny), None, "adapter-2", tmp_path))
        with pytest.raises(EngineError, match="is not vLLM, and only vLLM can score or forbid"):
            engine.submit(Score("x", ["1"]))
        engine.close()
    assert fake.posted[-1] == "/unload_lora_adapter"


def test_where_loading_fails_no_other_way_is_tried(tiny: Path, tmp_path: Path) -> None:
    with serving(lambda _: said()) as fake:
        engine = started(fake.url, tiny, retries=0)

        def refuse(path: str, body: dict[str, Any]) -> tuple[int, Any]:
            fake.posted.append(path)
            return 500, {"error": "rank"}

        fake.get = refuse  # type: ignore[method-assign]  # this server's alone
        with pytest.raises(EngineError, match=r"does not load the adapter .*500.*rank"):
            engine.load(Policy(str(tiny), tmp_path, "adapter-1"))
        engine.close()
    assert fake.posted == ["/v1/load_lora_adapter"]


def test_what_is_no_model_server_is_said(tiny: Path) -> None:
    with serving(lambda _: said()) as fake:
        fake.get = lambda *_: (200, "<html>")  # type: ignore[method-assign]  # this server's alone
        with pytest.raises(EngineError, match="serves no model, only: nothing that it lists"):
            started(fake.url, tiny)


def test_the_url_ends_in_v1() -> None:
    raw = {"name": "r", "model": {"name": "smollm2-135m"}, "task": {"name": "arithmetic"}}
    for url in ("localhost:8000/v1", "http://localhost:8000"):
        with pytest.raises(RecipeError, match=r"engine\.url"):
            recipe.parse(raw | {"engine": {"name": "server", "url": url}})
    engine = recipe.parse(raw | {"engine": {"name": "server", "url": "http://localhost:8000/v1"}}).engine
    assert engine.at_once(gpu=False) == 128

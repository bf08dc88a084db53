"""Real vLLM on a tiny Llama: what it is prompted with, what it samples, and that a swapped policy is a fresh one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from byheart.engines.transformers import Transformers, TransformersSession
from byheart.models import chat, checkpoint
from byheart.types import Generate, Message

from tests.conftest import ROOT
from tests.engines.conftest import a_word, log_likelihood, log_probability, loud

pytestmark = pytest.mark.engine
SUMS = [(a, b) for a in (3, 14) for b in (5, 26)]
RESPONSES = ["8", "3 + 5 = 8, and that is all there is to say.", "", "word " * 200]

# Each engine has a process of its own, as in use; it prints one line of JSON a measure.
CHILD = """
import json, sys
from pathlib import Path
import vllm
from byheart.models import checkpoint
from byheart.engines import vllm as ours
from byheart.engines.vllm import VLLM, VLLMSession
from byheart.errors import PromptError
from byheart.types import Generate, Policy, Score

base, adapter, scorer, log, mark, beside, split = sys.argv[1:8]
if beside:
    ours.serves_adapters = lambda: True
heads = []

class LLM(vllm.LLM):
    def __init__(self, *arguments, **settings):
        super().__init__(*arguments, **settings)
        heads.append(getattr(self.llm_engine.model_config.hf_config, "head_dtype", None))

vllm.LLM = LLM
model = checkpoint.ModelOptions(name=base, max_context=128, dtype="float32")
options = VLLM(max_num_seqs=8, tensor_parallel_size=int(split), gpu_memory_utilization=0.4)
engine = VLLMSession(options, Path(base), model, Path(log))
prompts = [[{"role": "user", "content": f"What is {a} + {b}?"}] for a in (3, 14) for b in (5, 26)]

def say(value):
    print("RESULT " + json.dumps(value), flush=True)

def wait(tickets):
    replies = {}
    while len(replies) < len(tickets):
        replies.update(engine.poll())
    return replies

def ask(**options):
    tickets = [engine.submit(Generate(prompt, max_tokens=12, **options)) for prompt in prompts]
    replies = wait(tickets)
    say([[one.to_dict() for one in replies[ticket]] for ticket in tickets])

try:
    engine.submit(Generate(prompts[0], top_p=7.0))
except PromptError as error:
    say(str(error))
ask(temperature=0)
ask(temperature=1.0, n=3, seed=11)
ask(temperature=1.0, n=3, seed=11)
tickets = [engine.submit(Generate(prompts[0], n=8, max_tokens=4, priority=3 - place)) for place in range(4)]
replies = wait(tickets)
say([tickets.index(ticket) for ticket in replies])
if adapter:
    engine.load(Policy(base, Path(adapter), "adapter-1"))
    ask(temperature=0)
    engine.load(Policy(base))
    ask(temperature=0)
if scorer:
    responses = json.loads(sys.stdin.read())
    completing = [Generate(prompt, max_tokens=12, temperature=0) for prompt in prompts]
    scoring = [Score(prompt, responses) for prompt in prompts]
    engine.load(Policy(base, Path(adapter), "adapter-2", Path(scorer)))
    assert heads[-1] == "float32", "in bfloat16 values tie"
    tickets = [engine.submit(request) for pair in zip(completing, scoring) for request in pair]
    replies = wait(tickets)
    say([[one.to_dict() for one in replies[ticket]] for ticket in tickets[::2]])
    say([replies[ticket] for ticket in tickets[1::2]])
    engine.load(Policy(base))
    say(wait([engine.submit(scoring[0])]).popitem()[1])
    (Path(scorer) / "signs.json").write_text('{"+": 10, "-": 12}')
    engine.load(Policy(base, None, "base-2", Path(scorer)))
    say(wait([engine.submit(scoring[0])]).popitem()[1])
    (Path(scorer) / "signs.json").unlink()

def go_on(**options):
    say(wait([engine.submit(Generate(prompts[0], temperature=0, max_tokens=12, **options))]).popitem()[1][0].to_dict())

mark = json.loads(mark)
if mark:
    engine.load(Policy(base))
    go_on()
    go_on(step_stop=(mark[0],), logprob=True)
    go_on(prefill=mark[1])
    go_on(bad_words=(mark[2],))
assert engine.seconds > 0
engine.close()
engine.close()
"""


def run(
    base: Path,
    log: Path,
    adapter: Path | str = "",
    scorer: Path | str = "",
    mark: Any = None,
    beside: str = "",
    split: int = 1,
) -> list[Any]:
    asked = [str(base), str(adapter), str(scorer), str(log), json.dumps(mark), beside, str(split)]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *asked],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        input=json.dumps(RESPONSES),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    noise = [line for line in done.stdout.splitlines() if line and not line.startswith("RESULT ")]
    assert not noise, "vLLM's own output belongs in its log"
    return [json.loads(line.removeprefix("RESULT ")) for line in done.stdout.splitlines()]


def tokens(rows: list[list[dict[str, Any]]]) -> list[list[list[int]]]:
    return [[one["tokens"] for one in row] for row in rows]


def greedy(base: Path, log: Path) -> list[list[list[int]]]:
    """What transformers answers to the same prompts under the weights in `base`."""
    settings = checkpoint.ModelOptions(name=str(base), max_context=128)
    engine = TransformersSession(Transformers(), base, settings, log)
    for a, b in SUMS:
        engine.submit(Generate(asking(a, b), max_tokens=12, temperature=0))
    replies = dict(engine.poll())
    return [[one.tokens for one in replies[ticket]] for ticket in sorted(replies)]


def asking(a: int, b: int) -> list[Message]:
    return [Message(role="user", content=f"What is {a} + {b}?")]


@pytest.fixture(scope="module")
def said(tiny: Path, adapter: Path, scorer: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """All that one engine says in CHILD."""
    log = tmp_path_factory.mktemp("log") / "a.log"
    found = run(tiny, log, adapter, scorer)
    assert log.stat().st_size > 0
    return found


def test_a_swapped_policy_answers_as_a_fresh_engine_does(said: list[Any], adapter: Path, tmp_path: Path) -> None:
    _, base, sampled, again, turns, swapped, back, *_ = said
    fresh = greedy(adapter.parent / "merged", tmp_path)
    assert turns == [3, 2, 1, 0], "the lowest turn is served first"
    assert tokens(swapped) == fresh
    assert tokens(swapped) != tokens(base)  # else the adapter, or the test, does nothing
    assert tokens(back) == tokens(base)
    assert {one["policy"] for row in swapped for one in row} == {"adapter-1"}
    assert tokens(sampled) == tokens(again), "the same seeds give the same samples"
    assert [[one["seed"] for one in row] for row in sampled] == [[11, 12, 13]] * 4
    assert all(len({tuple(one["tokens"]) for one in row}) == 3 for row in sampled)


def test_scores_are_the_scorers_and_completions_the_policys_though_asked_for_at_once(
    said: list[Any], scorer: Path
) -> None:
    *_, swapped, _, completed, scores, unscored, _ = said
    assert tokens(completed) == tokens(swapped)
    for (a, b), row in zip(SUMS, scores, strict=True):
        prompt = asking(a, b)
        for response, score in zip(RESPONSES[:-1], row[:-1], strict=True):
            assert score == pytest.approx(log_likelihood(scorer, prompt, response), abs=1e-3)
        assert row[-1] is None, "a response that doesn't fit the context can't be scored"
    assert unscored == [None] * len(RESPONSES), "a policy without a scorer has no opinion"


def test_adapters_beside_the_base_as_on_a_gpu_answer_as_merged_ones_do(
    said: list[Any], tiny: Path, adapter: Path, scorer: Path, tmp_path: Path
) -> None:
    _, base, sampled, again, turns, swapped, back, completed, scores, unscored, values = run(
        tiny, tmp_path / "d.log", adapter, scorer, beside="yes"
    )
    assert tokens(sampled) == tokens(again)
    assert [tokens(one) for one in (base, swapped, back, completed)] == [
        tokens(one) for one in (said[1], said[5], said[1], said[5])
    ]
    for row, merged in zip([*scores, values], [*said[-3], said[-1]], strict=True):
        assert row == [one if one is None else pytest.approx(one, abs=1e-3) for one in merged]
    assert turns == [3, 2, 1, 0]
    assert unscored == [None] * len(RESPONSES)


def test_a_scorer_that_values_steps_says_so_by_its_signs(said: list[Any], scorer: Path, tiny: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    *_, values = said
    words = checkpoint.tokenizer(tiny)
    model = AutoModelForCausalLM.from_pretrained(scorer.parent / "merged", dtype=torch.float32)
    for response, value in zip(RESPONSES[:-1], values[:-1], strict=True):
        ids = chat.encode_prompt(words, asking(3, 5), response)
        with torch.no_grad():
            signs = model(torch.tensor([ids])).logits[0, -1, [10, 12]]
        assert value == pytest.approx(float(signs.softmax(-1)[0]), abs=1e-4)
    assert values[-1] is None


def test_split_over_two_processes_a_step_ends_with_its_mark_goes_on_from_there_and_a_word_can_be_forbidden(
    said: list[Any], tiny: Path, adapter: Path, tmp_path: Path
) -> None:
    whole = said[1][0][0]
    words = checkpoint.tokenizer(tiny)
    begun = words.decode(whole["tokens"][:4])
    word = a_word(words, whole["tokens"][4:])
    mark = begun[-2:]
    *_, swapped, _, again, step, rest, without = run(
        tiny, tmp_path / "c.log", adapter, mark=[mark, begun, word], split=2
    )
    assert tokens(swapped) == tokens(said[5])
    assert again["tokens"] == whole["tokens"]
    assert step["finish_reason"] == "step" and mark in step["text"]
    size = len(step["tokens"])
    assert step["tokens"] == whole["tokens"][:size] and step["text"] == words.decode(step["tokens"])
    prompt = asking(3, 5)
    assert step["logprob"] == pytest.approx(log_probability(tiny, prompt, step["tokens"]), abs=1e-3)
    assert words.decode(whole["tokens"][:12]).startswith(begun + rest["text"][:8])
    assert word not in without["text"] and without["tokens"] != whole["tokens"]


def test_a_prompt_that_vllm_itself_refuses_is_an_error_of_that_prompt(said: list[Any]) -> None:
    refused, *_ = said
    assert "vLLM refuses a prompt of" in refused and "top_p" in refused


def test_vllm_is_prompted_with_the_tokens_that_training_sees(tiny_llama3: Path, tmp_path: Path) -> None:
    """With Llama 3's template the prompt holds one BOS, and vLLM adds none of its own: that would change the answer, as
    would the model's own settings of sampling. Special tokens are part of an answer's text, but for its end."""
    import torch
    from transformers import AutoModelForCausalLM

    [_, answers, sampled, *_] = run(loud(tiny_llama3, tmp_path / "loud"), tmp_path / "log")
    words, model = checkpoint.tokenizer(tiny_llama3), AutoModelForCausalLM.from_pretrained(tiny_llama3)
    prompt = asking(3, 5)
    row = chat.encode_example(words, {"prompt": prompt, "completion": [{"role": "assistant", "content": "8"}]})
    seen = row["input_ids"][: row["completion_mask"].index(1)]
    assert seen.count(words.bos_token_id) == 1
    one, two = (
        model.generate(torch.tensor([ids]), max_new_tokens=12, do_sample=False)[0, len(ids) :].tolist()
        for ids in (seen, [words.bos_token_id, *seen])
    )
    assert answers[0][0]["tokens"] == one != two
    end, texts = chat.end_token(words, prompt), [each for row in sampled for each in row]
    assert any("<|" in each["text"] for each in texts)
    for each in texts:
        ended = each["tokens"][-1] == end
        assert ended == (each["finish_reason"] == "stop") and end not in each["tokens"][:-1]
        text = words.decode(each["tokens"][:-1] if ended else each["tokens"])
        assert each["text"] == (text if ended else text.rstrip("\N{REPLACEMENT CHARACTER}"))
        assert not each["retokenized"] or ended


def test_an_answer_ends_at_each_token_that_the_model_names_as_an_end(
    said: list[Any], tiny: Path, tmp_path: Path
) -> None:
    whole = said[1][0][0]["tokens"]
    [_, answers, *_] = run(loud(tiny, tmp_path / "named", eos_token_id=[2, whole[4]]), tmp_path / "log")
    cut = answers[0][0]
    assert cut["finish_reason"] == "stop" and cut["tokens"] == whole[: whole.index(whole[4]) + 1]

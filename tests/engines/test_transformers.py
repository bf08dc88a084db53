"""The transformers engine on a tiny Llama: the same words as one row at a time, whatever else is in the batch."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from byheart.engines.transformers import Transformers, TransformersSession
from byheart.errors import EngineError, PromptError
from byheart.models import chat as tokens_of
from byheart.models import checkpoint
from byheart.types import Completion, Generate, Message, Policy, Prompt, Score

from tests.engines.conftest import log_likelihood, loud

pytestmark = pytest.mark.engine


def chat(text: str) -> Prompt:
    return [Message(role="user", content=text)]


@pytest.fixture(scope="module")
def engine(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TransformersSession]:
    settings = checkpoint.ModelOptions(name=str(tiny), max_context=64)
    started = TransformersSession(Transformers(max_num_seqs=4), tiny, settings, tmp_path_factory.mktemp("log"))
    yield started
    started.close()


def answers(engine: TransformersSession, *requests: Generate) -> list[list[Completion]]:
    tickets = [engine.submit(request) for request in requests]
    replies: dict[int, list[Completion]] = {}
    while len(replies) < len(tickets):
        replies.update(engine.poll())
    return [replies[ticket] for ticket in tickets]


def test_a_batch_answers_as_each_alone(engine: TransformersSession) -> None:
    requests = [Generate(chat(text), temperature=0, max_tokens=8) for text in ("1 + 1?", "What is 23 + 27?", "Hi")]
    together = answers(engine, *requests)
    alone = [answers(engine, request)[0] for request in requests]
    assert [one[0].tokens for one in together] == [one[0].tokens for one in alone]
    assert all(one[0].policy == "base" and len(one[0].tokens) <= 8 for one in together)


def test_the_lowest_turn_is_served_first(engine: TransformersSession) -> None:
    late, early, same = (
        engine.submit(Generate(chat("1 + 1?"), n=4, max_tokens=2, priority=turn)) for turn in (2, 1, 1)
    )
    assert [ticket for _ in range(3) for ticket, _ in engine.poll()] == [early, same, late]


def test_samples_differ_and_the_same_seed_gives_the_same(engine: TransformersSession) -> None:
    request = Generate(chat("1 + 1?"), n=3, temperature=1.0, max_tokens=8, seed=5)
    first, second = answers(engine, request)[0], answers(engine, request)[0]
    assert [one.tokens for one in first] == [one.tokens for one in second]
    assert len({tuple(one.tokens) for one in first}) == 3
    assert [one.seed for one in first] == [5, 6, 7]


def test_a_cut_answer_says_so_and_a_stop_string_ends_one(engine: TransformersSession) -> None:
    whole = answers(engine, Generate(chat("1 + 1?"), temperature=0, max_tokens=8))[0][0]
    assert whole.finish_reason == "length" and len(whole.tokens) == 8
    stop = whole.text[3:6]
    cut = answers(engine, Generate(chat("1 + 1?"), temperature=0, max_tokens=8, stop=(stop,)))[0][0]
    assert cut.finish_reason == "stop" and cut.text == whole.text.partition(stop)[0]


def test_a_prompt_that_does_not_fit_is_refused(engine: TransformersSession) -> None:
    with pytest.raises(PromptError, match="does not fit a context of 64"):
        engine.submit(Generate(chat("word " * 100)))


def test_a_score_is_what_the_scorer_thinks_of_a_response_and_its_end(
    engine: TransformersSession, tiny: Path, scorer: Path
) -> None:
    """Padding, other responses and the policy's own weights change nothing."""
    responses = ["50", "23 + 27 = 50, and that is all there is to say.", "", "word " * 100, "5", "no"]
    request = Score(chat("What is 23 + 27?"), responses)
    assert asked(engine, request) == [None] * 6, "a policy without a scorer has no opinion"
    engine.load(Policy(str(tiny), None, "adapter-1", scorer))
    greedy = Generate(chat("1 + 1?"), temperature=0, max_tokens=4)
    before = answers(engine, greedy)[0][0].tokens
    scores = asked(engine, request)
    assert scores[3] is None, "a response that doesn't fit the context can't be scored"
    for response, score in zip(responses, scores, strict=True):
        if score is not None:
            assert score == pytest.approx(log_likelihood(scorer, request.prompt, response), abs=1e-3)
    assert answers(engine, greedy)[0][0].tokens == before, "nothing is sampled from a scorer"
    engine.load(Policy(str(tiny)))
    assert asked(engine, request) == [None] * 6


def asked(engine: TransformersSession, request: Score) -> list[float | None]:
    ticket = engine.submit(request)
    [(answered, scores)] = engine.poll()
    assert answered == ticket
    return list(scores)


def test_a_step_ends_with_its_mark_and_the_next_goes_on_from_it(engine: TransformersSession) -> None:
    whole = answers(engine, Generate(chat("1 + 1?"), temperature=0, max_tokens=8))[0][0]
    mark = whole.text[2:5]
    asked = [
        Generate(chat(text), temperature=0, max_tokens=8, step_stop=(mark,), logprob=True)
        for text in ("1 + 1?", "Hello there")
    ]
    step = answers(engine, *asked)[0][0]
    assert step.finish_reason == "step" and mark in step.text and whole.text.startswith(step.text)
    assert step.tokens == whole.tokens[: len(step.tokens)] and step.logprob is not None and step.logprob < 0
    rest = Generate(chat("1 + 1?"), temperature=0, max_tokens=8 - len(step.tokens), prefill=step.text)
    assert step.text + answers(engine, rest)[0][0].text == whole.text


def begun(base: Path, folder: Path) -> TransformersSession:
    return TransformersSession(Transformers(), base, checkpoint.ModelOptions(name=str(base), max_context=64), folder)


def test_the_models_own_settings_of_sampling_change_no_answer(
    engine: TransformersSession, tiny: Path, tmp_path: Path
) -> None:
    engine.load(Policy(str(tiny)))
    other = begun(loud(tiny, tmp_path / "loud"), tmp_path)
    for temperature in (0.0, 1.0):
        request = Generate(chat("1 + 1?"), n=2, temperature=temperature, max_tokens=12, seed=3)
        assert answers(other, request) == answers(engine, request)


def test_an_answer_ends_at_each_token_that_the_model_names_as_an_end(
    engine: TransformersSession, tiny: Path, tmp_path: Path
) -> None:
    engine.load(Policy(str(tiny)))
    greedy = Generate(chat("1 + 1?"), temperature=0, max_tokens=8)
    whole = answers(engine, greedy)[0][0]
    end = whole.tokens[4]
    cut = answers(begun(loud(tiny, tmp_path / "named", eos_token_id=[2, end]), tmp_path), greedy)[0][0]
    assert cut.finish_reason == "stop" and cut.tokens == whole.tokens[: whole.tokens.index(end) + 1]
    assert cut.text == checkpoint.tokenizer(tiny).decode(cut.tokens[:-1])


def test_special_tokens_are_part_of_an_answer_and_other_tokens_than_its_own_are_told(
    tiny_llama3: Path, tmp_path: Path
) -> None:
    words, engine = checkpoint.tokenizer(tiny_llama3), begun(tiny_llama3, tmp_path)
    [samples] = answers(engine, Generate(chat("1 + 1?"), n=64, temperature=1.0, max_tokens=24, seed=1))
    end = tokens_of.end_token(words, chat("1 + 1?"))
    whole = [one for one in samples if one.finish_reason == "stop"]
    assert whole and any("<|" in one.text for one in samples)
    for one in whole:
        assert one.tokens.index(end) == len(one.tokens) - 1
        assert one.text == words.decode(one.tokens[:-1])
        assert one.retokenized == (tokens_of.encode_answer(words, chat(""), one.text) != one.tokens)
    assert {one.retokenized for one in samples} == {True, False}
    assert not any(one.retokenized for one in samples if one.finish_reason == "length")


def torn(path: Path) -> None:
    (path / "model.safetensors").write_bytes((path / "model.safetensors").read_bytes()[:4096])


def without_a_shard(path: Path) -> None:
    (path / "model.safetensors").rename(path / "model-00001-of-00002.safetensors")
    shards = {
        "model.norm.weight": "model-00001-of-00002.safetensors",
        "lm_head.weight": "model-00002-of-00002.safetensors",
    }
    (path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": shards}))


def in_four_bits(path: Path) -> None:
    config = json.loads((path / "config.json").read_text())
    quantization = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    (path / "config.json").write_text(json.dumps(config | {"quantization_config": quantization}))


def of_no_kind(path: Path) -> None:
    (path / "config.json").write_text(json.dumps({"model_type": "unheard-of"}))


@pytest.mark.parametrize("spoil", [torn, without_a_shard, in_four_bits, of_no_kind])
def test_a_model_that_cannot_be_loaded_is_said_in_one_line(tiny: Path, tmp_path: Path, spoil: Any) -> None:
    path = tmp_path / "model"
    shutil.copytree(tiny, path)
    spoil(path)
    with pytest.raises(EngineError, match="transformers can't load the model") as raised:
        begun(path, tmp_path)
    assert "\n" not in str(raised.value) and str(path) in str(raised.value)

"""A stage's digest is the whole truth: it is made of the digests of what the stage is given, earlier rounds
included."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from byheart import STAGES
from byheart.config import recipe
from byheart.config.recipe import Recipe
from byheart.contracts import Engine, Objective, Task, Verifier
from byheart.errors import RunError
from byheart.evaluation.measuring import AlsoOptions
from byheart.executors.core.lazy import Lazy
from byheart.files import read_records, write_records
from byheart.loop import run_round
from byheart.runs.run import Halt, Run, identity, stage_digest
from byheart.runs.stages import Made, Stage, stage
from byheart.types import Policy, Step, Undeciding, digest
from byheart.verifiers.core.pool import Pool
from byheart.verifiers.core.service import VerifierService

calls: list[str] = []


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


def read(folder: Path) -> list[Step]:
    calls.append("read")
    return read_records(folder / "steps.jsonl", Step)


@stage(read)
def _write(work: Stage, *inputs: Any) -> list[Step]:
    """Writes down what it is given."""
    calls.append(work.name)
    steps = [Step(str(value)) for value in inputs]
    write_records(work.dir / "steps.jsonl", steps)
    return steps


write: Any = _write


def opened(folder: Path, **sections: Any) -> Run:
    raw = {"name": "t", "model": {"name": "m"}, "task": {"name": "arithmetic"}} | sections
    return Run(folder / "run", recipe.parse(raw))


def test_what_a_stage_made_is_handed_on_as_the_thing_itself_and_counts_by_its_digest(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        first = run.stage(1, "baseline", write, "a")
        second = run.stage(1, "verify", write, first)
        assert second.value == [Step(str([Step("a")]))]
        records = run.records(1)
    assert first.digest == records["baseline"].made
    assert first.digest != second.digest


def test_nothing_is_read_or_computed_at_the_start_of_a_run_that_is_done(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        run.stage(1, "verify", write, run.stage(1, "baseline", write, "a"))
    calls.clear()
    with opened(tmp_path) as run:
        last = run.stage(1, "verify", write, run.stage(1, "baseline", write, "a"))
        assert calls == []
        assert last.value == [Step(str([Step("a")]))]
        assert calls == ["read"]


def test_another_result_does_the_stages_after_it_again(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        run.stage(1, "verify", write, run.stage(1, "baseline", write, "a"))
        run.stage(1, "verify", write, run.stage(1, "baseline", write, "b"))
    assert calls == ["baseline", "read", "verify"] * 2


def test_the_same_result_of_something_else_does_not(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        run.stage(1, "verify", write, Made("same", lambda: "a"))
        run.stage(1, "verify", write, Made("same", lambda: "b"))
        run.stage(1, "verify", write, Made("other", lambda: "a"))
    assert calls == ["verify", "verify"]


class Recorder(Run):
    """Notes the digest of each stage instead of doing it."""

    def __init__(self, chosen: Recipe) -> None:
        self.recipe = chosen
        self.keys: dict[str, str] = {}

    def stage(self, n: int, name: str, function: Any, *inputs: Any, **checks: Any) -> Any:
        self.keys[name] = stage_digest(name, n, self.recipe.seed, inputs)
        if name == "evaluate":
            raise Halt
        made = Policy("m") if name == "train" else None
        return Made(name, lambda: made)

    def policy(self, n: int) -> Policy:
        return Policy("m")


def keys(chosen: Recipe, folder: Path) -> dict[str, str]:
    """The digest of each stage of the first round, if every stage made the same whatever it is given."""
    recorder = Recorder(chosen)
    workers = Lazy(chosen.executor, chosen.serving, chosen.model, folder / "log", chosen.setting)
    verifiers = [VerifierService(verifier, Pool()) for verifier in (chosen.train_verifier, chosen.task.verifier)]
    with pytest.raises(Halt):
        run_round(recorder, 1, chosen, workers, *verifiers)
    return recorder.keys


WHOLE = recipe.parse(
    {"name": "t", "model": {"name": "m"}, "task": {"name": "arithmetic"}, "verifier": "exact", "sample_tokens": 9}
)
"""A recipe whose every section is used."""
ALSO = {"facts": AlsoOptions(task=Task.parse("times_table"))}
SECTIONS = ("model", "task", "verifier", "strategy", "curation", "objective", "evaluation")


@pytest.mark.parametrize(
    ("section", "key"),
    [(section, key) for section in SECTIONS for key in type(getattr(WHOLE, section)).model_fields],
)
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
def test_whatever_decides_a_result_is_in_the_digest_of_a_stage(section: str, key: str, tmp_path: Path) -> None:
    part = getattr(WHOLE, section)
    other = Verifier.parse("exact") if isinstance(getattr(part, key), Verifier) else ALSO if key == "also" else "other"
    part = part.model_copy(update={key: other})
    assert keys(WHOLE.model_copy(update={section: part}), tmp_path) != keys(WHOLE, tmp_path)


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        ({"seed": 7}, {*STAGES}),
        ({"sample_tokens": 8}, {"sample"}),
        ({"model": WHOLE.model.model_copy(update={"max_context": 99})}, {*STAGES} - {"curate"}),
        ({"engine_args": {"kv_cache_dtype": "fp8"}}, {*STAGES} - {"load", "curate"}),
        ({"engine_args": {"enforce_eager": True}}, set()),
        ({"trainer_args": {"weight_decay": 0.1}}, {"train"}),
        ({"trainer_args": {"report_to": "none"}}, set()),
        ({"lora_args": {"lora_dropout": 0.1}}, {"train"}),
        ({"rounds": 9, "accelerate": None}, set()),
        ({"engine": Engine.parse("transformers")}, set()),
    ],
)
def test_it_is_in_the_digests_of_the_stages_that_it_decides(
    change: dict[str, Any], stages: set[str], tmp_path: Path
) -> None:
    before, after = keys(WHOLE, tmp_path), keys(WHOLE.model_copy(update=change), tmp_path)
    assert {name for name in STAGES if before[name] != after[name]} == stages


def test_other_tasks_that_are_measured_decide_what_is_loaded_and_measured(tmp_path: Path) -> None:
    evaluation = WHOLE.evaluation.model_copy(update={"also": ALSO})
    before, after = keys(WHOLE, tmp_path), keys(WHOLE.model_copy(update={"evaluation": evaluation}), tmp_path)
    changed = {name for name in STAGES if before[name] != after[name]}
    assert changed >= {"load", "baseline", "evaluate"} and not changed & {"sample", "verify", "curate", "train"}


def test_without_other_tasks_the_digests_are_those_of_versions_that_knew_none(tmp_path: Path) -> None:
    recorded = keys(WHOLE, tmp_path)
    assert recorded["load"] == digest("load", 1, 0, identity(WHOLE.model), identity(WHOLE.task), [])
    assert "also" not in identity(WHOLE.evaluation)


def test_a_file_that_training_reads_counts_by_its_content(tmp_path: Path) -> None:
    file = tmp_path / "steps.jsonl"
    objective = Objective.parse({"name": "step_value", "stepwise": str(file)})
    chosen = WHOLE.model_copy(update={"objective": objective})
    digests = []
    for content in ("a", "b", "a"):
        file.write_text(content)
        digests.append(keys(chosen, tmp_path)["train"])
    assert digests[0] == digests[2] != digests[1]


def test_what_nothing_is_known_of_can_not_be_given_to_a_stage(tmp_path: Path) -> None:
    with opened(tmp_path) as run, pytest.raises(TypeError, match=r"a \w*Path can't be given to a stage"):
        run.stage(1, "verify", write, tmp_path)


class Clock(Undeciding):
    """Says only how fast."""


def test_what_decides_nothing_is_in_no_digest(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        run.stage(1, "verify", write, Clock(), "a")
        run.stage(1, "verify", write, Clock(), "a")
    assert calls == ["verify"]


def finished(run: Run, n: int, word: str) -> None:
    for name in ("load", "baseline", "sample", "verify"):
        run.stage(n, name, write, f"{name} {word}")


def test_a_stage_that_looks_back_depends_on_what_earlier_rounds_made(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        finished(run, 1, "a")
        earlier = run.earlier(2, write, write, write, write)
        run.stage(2, "sample", write, earlier)
        run.stage(2, "sample", write, earlier)
        assert calls.count("sample") == 2, "once in each round"
        finished(run, 1, "b")
        changed = run.earlier(2, write, write, write, write)
        run.stage(2, "sample", write, changed)
        assert calls.count("sample") == 4


def test_a_round_that_an_older_version_did_is_named_by_what_is_in_its_files(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        made = run.stage(1, "baseline", write, "a")
        path = run.round_dir(1) / "stages.json"
        records = json.loads(path.read_text())
        del records["baseline"]["made"]
        path.write_text(json.dumps(records))
        again = run.stage(1, "baseline", write, "a")
        assert again.digest == made.digest
    assert calls == ["baseline", "read"]


def test_a_finished_round_without_a_record_is_refused(tmp_path: Path) -> None:
    with (
        opened(tmp_path) as run,
        pytest.raises(RunError, match=r"the stage load of this finished round is not on record"),
    ):
        run.earlier(2, write, write, write, write)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"num_more": 1}, "sample.num_more"), ({"num_tokens": "many"}, "sample.num_tokens"), ({"status": None}, "sample")],
)
def test_a_record_that_another_version_wrote_is_refused_in_one_line(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    counted = dict.fromkeys(
        ("num_problems", "num_rollouts", "num_selected", "num_hinted", "num_tokens", "num_failed"), 0
    )
    record = {"status": "done", "digest": "d", "notes": {}} | counted | change
    if record["status"] is None:
        del record["status"]
    with opened(tmp_path) as run:
        run.round_dir(1).mkdir()
        (run.round_dir(1) / "stages.json").write_text(json.dumps({"sample": record}))
        with pytest.raises(RunError, match="not what this version of byheart records") as error:
            run.records(1)
    assert words in str(error.value)
    assert "\n" not in str(error.value)

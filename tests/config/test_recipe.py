"""A recipe says everything about a run; what is wrong in one is said by name before anything runs."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from byheart.config import recipe, validation
from byheart.config.shipped import read_recipe
from byheart.errors import RecipeError, TaskError
from byheart.files import dump_yaml, load_yaml
from byheart.objectives.sft import SFT
from byheart.plugins import plugin
from byheart.strategies.beam import Beam
from byheart.strategies.best_of import BestOf
from byheart.strategies.direct import Direct
from byheart.tasks.arithmetic import Arithmetic

SHIPPED = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))


def raw(**sections: Any) -> dict[str, Any]:
    return {"name": "sums", "model": {"name": "m"}, "task": {"name": "arithmetic"}} | sections


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"tusk": 1}, ["unknown key 'tusk'", "did you mean 'task'?"]),
        ({"task": {"name": "arithmetic", "digit": 3}}, ["unknown key 'task.digit'", "did you mean 'digits'?"]),
        ({"model": {"name": "m", "max_contxt": 9}}, ["unknown key 'model.max_contxt'", "did you mean 'max_context'?"]),
        ({"curation": {"kep": 1}}, ["unknown key 'curation.kep'", "did you mean 'keep'?"]),
        ({"evaluation": {"sample": 1}}, ["unknown key 'evaluation.sample'", "did you mean 'samples'?"]),
        ({"objective": {"epoch": 1}}, ["unknown key 'objective.epoch'", "did you mean 'epochs'?"]),
        ({"engine": {"name": "vlm"}}, ["engine.name", "'vlm'", "did you mean 'vllm'?", "transformers"]),
        ({"task": {"name": "arithmetics"}}, ["task.name", "did you mean 'arithmetic'?", "times_table"]),
        ({"strategy": {"name": "dirct"}}, ["strategy.name", "did you mean 'direct'?"]),
        ({"objective": {"name": "sftt"}}, ["objective.name", "did you mean 'sft'?"]),
        ({"task": {}}, ["task.name is missing", "arithmetic", "times_table"]),
        ({"task": {"name": 3}}, ["task.name"]),
        ({"model": {}}, ["model.name is missing"]),
        ({"name": "a/b"}, ["name", "'a/b'"]),
        ({"name": None}, ["name", "None"]),
        ({"seed": "one"}, ["seed", "'one'"]),
        ({"seed": 1.5}, ["seed", "1.5"]),
        ({"rounds": 0}, ["rounds", "this is 0"]),
        ({"rounds": True}, ["rounds", "True"]),
        ({"task": {"name": "arithmetic", "digits": "two"}}, ["task.digits", "'two'"]),
        ({"task": {"name": "arithmetic", "num_dev": 0}}, ["task.num_dev", "this is 0"]),
        ({"task": {"name": "arithmetic", "low": 1}}, ["low and high go together"]),
        ({"task": {"name": "arithmetic", "low": 3, "high": 1}}, ["low 3 is above high 1"]),
        ({"task": {"name": "arithmetic", "digits": []}}, ["digits must be one or more"]),
        ({"task": {"name": "arithmetic", "operations": ["/"]}}, ["task.operations", "'/'"]),
        (
            {"task": {"name": "arithmetic", "prompt": "{a} and {c}"}},
            ["prompt may use {expression}, {a}, {b} and {op} only"],
        ),
        ({"strategy": {"temperature": "hot"}}, ["strategy.temperature", "'hot'"]),
        ({"model": "smollm2-135m"}, ["model: a mapping is wanted, this is a str"]),
        ({"curation": None}, ["curation: a mapping is wanted, this is empty"]),
        ({"task": [1]}, ["task: a key, or a mapping with a name, is wanted, this is a list; known: aime"]),
        ({1: 2}, ["1"]),
    ],
)
def test_what_is_wrong_is_named(wrong: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(RecipeError) as error:
        recipe.parse(raw() | wrong, "my.yaml")
    assert str(error.value).startswith("my.yaml: ")
    assert [word for word in words if word not in str(error.value)] == []


def test_everything_that_is_wrong_is_said_at_once() -> None:
    parts = [{"name": "direct", "sample": 1}, {"name": "dirct"}]
    wrong = raw(modle={}, seed="x", curation={"kep": 1}, task={"digits": 2}, engine="vlm", strategy={"name": "mixture"})
    wrong["strategy"]["parts"] = parts
    del wrong["model"]
    with pytest.raises(RecipeError) as error:
        recipe.parse(wrong, "my.yaml")
    lines = [line.removeprefix("my.yaml: ").partition("; known")[0] for line in str(error.value).splitlines()]
    assert lines == [
        "seed: input should be a valid integer, this is 'x'",
        "model is missing",
        "task.name is missing",
        "unknown key 'strategy.parts.0.sample', did you mean 'samples'?",
        "strategy.parts.1.name: strategies: there is no 'dirct', did you mean 'direct'?",
        "engine.name: engines: there is no 'vlm', did you mean 'vllm'?",
        "unknown key 'curation.kep', did you mean 'keep'?",
        "unknown key 'modle', did you mean 'model'?",
    ]


def test_a_value_of_an_older_version_is_refused_with_what_it_is_called_now() -> None:
    with pytest.raises(RecipeError, match=r"curation\.pair_by: 'lot' is called 'random' now"):
        recipe.parse(raw(curation={"pair_by": "lot"}))


@pytest.mark.parametrize(
    ("section", "old", "new"),
    [(section, old, new) for section, names in recipe.RENAMED.items() for old, new in names.items()],
)
def test_a_key_of_an_older_version_is_refused_with_what_it_is_called_now(section: str, old: str, new: str) -> None:
    members = {"strategy": {"name": "mcts"}}
    with pytest.raises(RecipeError, match=re.escape(f"unknown key '{section}.{old}'; it is called '{new}' now")):
        recipe.parse(raw(**{section: {**members.get(section, {}), old: 1}}))


@pytest.mark.parametrize("engine", ["ray", {"name": "ray", "worker_engine": "vllm", "num_workers": 2}])
def test_ray_as_the_engine_of_an_older_version_is_an_executor_now(engine: Any) -> None:
    with pytest.raises(RecipeError, match=r"engine.name: 'ray' is an executor now: say executor: \{name: ray"):
        recipe.parse(raw(engine=engine))
    assert recipe.translated(raw(engine={"name": "ray", "cpus": 2.0})) == raw(
        engine={"name": "vllm"}, executor={"name": "ray", "cpus": 2.0}, schedule={}
    )


def test_the_recipe_of_an_older_run_is_translated() -> None:
    old = {
        "objective": {"name": "sft", "rank": 8, "batch_size": 4},
        "engine": {"name": "ray", "each": {"name": "vllm", "max_sequences": 2}, "workers": 3},
        "strategy": {"name": "mixture", "parts": [{"name": "mcts", "visits": 3}]},
        "schedule": {
            "objective.max_steps": [1],
            "strategy": [{"name": "mcts", "visits": 3}],
            "task.only": [{"rank": 1}],
        },
        "seed": 1,
    }
    assert recipe.translated(old) == {
        "objective": {"name": "sft", "lora_r": 8, "global_batch_size": 4},
        "engine": {"name": "vllm", "max_num_seqs": 2},
        "executor": {"name": "ray", "num_workers": 3},
        "strategy": {"name": "mixture", "parts": [{"name": "mcts", "simulations": 3}]},
        "schedule": {
            "objective.max_optimizer_steps": [1],
            "strategy": [{"name": "mcts", "simulations": 3}],
            "task.only": [{"rank": 1}],
        },
        "seed": 1,
    }


@pytest.mark.parametrize(("text", "value"), [("1e-4", 1e-4), ("2E3", 2000.0), ("-.5e1", -5.0), ("0.001", 0.001)])
def test_a_number_is_one_however_it_is_written(tmp_path: Path, text: str, value: float) -> None:
    path = written(tmp_path, yaml.safe_dump(raw()) + f"objective: {{learning_rate: {text.removeprefix('-')}}}")
    assert recipe.read(path).objective == SFT(learning_rate=abs(value))
    assert load_yaml(text) == load_yaml(f"[{text}]")[0] == value


def test_a_text_that_reads_like_a_number_is_quoted_where_it_is_recorded() -> None:
    asked = recipe.parse(raw(task={"name": "arithmetic", "prompt": "{expression}"}, model={"name": "1e5"}))
    assert recipe.parse(load_yaml(dump_yaml(asked.resolved()))) == asked


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1", "not a readable YAML file"),
        ("a: \x00", "not a readable YAML file"),
        ("- 1\n- 2", "a recipe is a YAML mapping, this is a list"),
        ("", "a recipe is a YAML mapping, this is empty"),
        ("just words", "a recipe is a YAML mapping, this is a str"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(RecipeError, match=words) as error:
        recipe.read(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "name: t\nobjective: {a: 1}\nseed: 1\nobjective: {b: 2}\n",
            "line 4: .*the key 'objective' is there twice, first in line 2$",
        ),
        (
            "name: t\ntask: {digits: 2, chat: true, digits: 3}\n",
            "line 2: .*the key 'digits' is there twice, first in line 2$",
        ),
        (
            "name: t\nschedule:\n  task.only:\n  - level: [1]\n    'level': [2]\n",
            "line 5: .*'level' is there twice, first in line 4$",
        ),
        ("name: t\n? seed\n: 1\n? seed\n: 2\n", "line 4: .*the key 'seed' is there twice, first in line 2$"),
        ("name: t\nseed: [1\n", "line 3: not a readable YAML file: while parsing a flow sequence expected"),
        ("name: 2026-13-01\n", "not a readable YAML file: .*month must be in 1..12"),
        (
            'name: !!int ""\n',
            "not a readable YAML file: a value is not what it is said to be: string index out of range",
        ),
        ("name: !!timestamp today\n", "not a readable YAML file: a value is not what it is said to be"),
        ("name: !!bool perhaps\n", "not a readable YAML file: a value is not what it is said to be: 'perhaps'"),
        (
            "name: t\n<<: {seed: 1}\n<<: {seed: 2}\n",
            "line 3: .*the key '<<' is there twice, first in line 2$",
        ),
        ("name: " + "[" * 2000, "not a readable YAML file: maximum recursion depth"),
    ],
    ids=[
        "a section",
        "an option",
        "in a list",
        "spelt out",
        "torn",
        "a date that is none",
        "no number",
        "no date",
        "no truth",
        "merged",
        "nested",
    ],
)
def test_what_is_wrong_in_a_recipe_is_said_in_one_line_with_its_own(tmp_path: Path, text: str, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(RecipeError, match=words) as error:
        recipe.read(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_key_that_a_base_has_too_is_not_said_twice(tmp_path: Path) -> None:
    base = "base: &base {name: t, seed: 1}\nover:\n  <<: *base\n  seed: 2\nagain: {<<: *base, name: u}\n"
    assert load_yaml(base)["over"] == {"name": "t", "seed": 2}
    assert load_yaml(base)["again"] == {"name": "u", "seed": 1}


def test_an_override_that_says_a_key_twice_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, yaml.safe_dump(raw()))
    with pytest.raises(RecipeError, match=r"the value is not YAML \(the key 'digits' is there twice"):
        recipe.read(path, ["task={name: arithmetic, digits: 2, digits: 3}"])


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(b"name: \xff\xfe")
    with pytest.raises(RecipeError, match="not a readable YAML file"):
        recipe.read(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"none\.yaml: no such recipe"):
        recipe.read(tmp_path / "none.yaml")


def test_overrides_go_over_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, yaml.safe_dump(raw(seed=1, task={"name": "arithmetic", "digits": 2})))
    chosen = recipe.read(
        path,
        [
            "task.digits=3",
            "seed=7",
            "strategy.temperature=0.5",
            "model.name=other",
            "task.prompt='{a}={b}'",
            "rounds=2",
        ],
    )
    assert (chosen.task, chosen.strategy) == (Arithmetic(digits=3, prompt="{a}={b}"), Direct(temperature=0.5))
    assert (chosen.model.name, chosen.seed, chosen.rounds) == ("other", 7, 2)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("task.digits", "an override is key=value"),
        ("seed.x=1", "seed holds a value, not a section"),
        ("task.digit=3", "did you mean 'digits'"),
        ("task.digits=three", "task.digits"),
        ("=3", "unknown key"),
        ("task.digits=[1", r"task\.digits"),
    ],
)
def test_a_wrong_override_is_refused(tmp_path: Path, override: str, words: str) -> None:
    path = written(tmp_path, yaml.safe_dump(raw(seed=1)))
    with pytest.raises(RecipeError, match=words):
        recipe.read(path, [override])


def test_a_recipe_is_the_same_after_it_was_resolved() -> None:
    chosen = recipe.parse(raw(strategy={"samples": 3}, evaluation={"alpha": 0.00001}))
    written_and_read = yaml.safe_load(yaml.safe_dump(chosen.resolved()))
    again = recipe.parse(written_and_read)
    assert again.resolved() == chosen.resolved()
    assert again.digest() == chosen.digest()
    assert again == chosen


def test_a_resolved_recipe_holds_every_default() -> None:
    resolved = recipe.parse(raw()).resolved()
    assert (resolved["seed"], resolved["rounds"]) == (0, 1)
    assert [resolved[section]["name"] for section in ("strategy", "engine", "objective")] == ["direct", "vllm", "sft"]
    assert (resolved["task"]["digits"], resolved["curation"]["keep"], resolved["model"]["dtype"]) == (2, 4, "auto")


def test_a_recipe_cannot_be_changed() -> None:
    chosen = recipe.parse(raw())
    with pytest.raises(ValueError, match="frozen"):
        setattr(chosen, "seed", 3)  # noqa: B010  # mypy knows that it can't be set
    with pytest.raises(ValueError, match="frozen"):
        setattr(chosen.task, "digits", 3)  # noqa: B010


def test_a_digest_is_of_what_decides_and_not_of_how_many_rounds() -> None:
    digest = recipe.parse(raw()).digest()
    assert recipe.parse(raw(rounds=5)).digest() == digest
    others = [raw(seed=1), raw(name="x"), raw(model={"name": "n"}), raw(task={"name": "arithmetic", "digits": 3})]
    assert len({digest, *(recipe.parse(other).digest() for other in others)}) == 5


def test_changed_names_the_keys_with_both_values() -> None:
    old = recipe.parse(raw(rounds=1, task={"name": "arithmetic"})).deciding()
    new = recipe.parse(raw(rounds=2, seed=4, task={"name": "arithmetic", "digits": 3})).deciding()
    assert recipe.changed(old, old) == []
    assert recipe.changed(old, new) == ["seed: 0 -> 4", "task.digits: 2 -> 3"]
    assert recipe.changed({"a": 1}, {"b": 2}) == ["a: 1 -> None", "b: None -> 2"]


def test_recipes_come_with_byheart() -> None:
    assert "addition" in [path.stem for path in SHIPPED]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_recipe_is_sound_and_says_what_to_expect(path: Path) -> None:
    if path.stem in ("countdown", "reasoning_gym"):
        pytest.importorskip("reasoning_gym")
    assert recipe.read(path).name == path.stem
    header = path.read_text().splitlines()[0]
    assert header.startswith("# ")
    assert len(header) > 20


def scheduled(**schedule: Any) -> recipe.Recipe:
    return recipe.parse(raw(schedule=schedule))


def test_each_round_has_what_the_schedule_says_and_the_last_of_it_holds_for_all_that_follow() -> None:
    one = scheduled(**{"curation.target": ["full", "shortest", "answer"], "strategy.samples": [2, 4]})
    assert [one.at(n).curation.target for n in (1, 2, 3, 4, 9)] == ["full", "shortest", "answer", "answer", "answer"]
    assert [one.at(n).strategy for n in (1, 2, 3)] == [Direct(samples=n) for n in (2, 4, 4)]
    assert one.at(2).task == one.task


def test_a_recipe_without_a_schedule_is_the_same_in_every_round() -> None:
    one = scheduled()
    assert one.at(1) is one
    assert one.at(7) is one


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ({"curation.target": ["full", "bare"]}, "recipe: schedule, round 2: curation.target"),
        ({"curation.taget": ["full"]}, "unknown key 'curation.taget', did you mean 'target'?"),
        ({"curation.target": []}, "no value for any round"),
        ({"model.name": ["a", "b"]}, "recipe: schedule: 'model.name' can't change"),
        ({"task.digits": [2, 3]}, "'task.digits' can't change"),
        ({"task": [{"name": "arithmetic"}]}, "'task' can't change"),
        ({"strategy.name": ["direct", "best_of"]}, "'strategy.name' can't change"),
        ({"objective.name": ["sft", "none"]}, "'objective.name' can't change"),
        ({"seed": [1, 2]}, "'seed' can't change"),
    ],
)
def test_a_schedule_that_could_not_work_is_refused_before_anything_runs(schedule: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(said)):
        scheduled(**schedule)


def test_a_schedule_that_leaves_a_later_round_without_problems_is_refused_before_the_first() -> None:
    validation.check(scheduled(**{"task.only": [{"digits": [2]}, {"digits": [2]}]}))
    with pytest.raises(TaskError, match="digits"):
        validation.check(scheduled(**{"task.only": [{"digits": [2]}, {"digits": [5]}]}))


# Overrides of sections that have a name


def test_a_name_alone_is_that_of_the_section(tmp_path: Path) -> None:
    path = written(tmp_path, yaml.safe_dump(raw()))
    changed = recipe.read(path, ["strategy=best_of", "strategy.samples=3", "model=other", "task=times_table"])
    assert changed.strategy == BestOf(samples=3)
    assert (changed.model.name, changed.task.name) == ("other", "times_table")
    assert recipe.read(path, ["strategy=best_of"]) == recipe.read(path, ["strategy.name=best_of"])
    assert recipe.parse(raw(strategy="best_of")).strategy == BestOf()


def test_another_member_has_none_of_the_options_of_the_one_before(tmp_path: Path) -> None:
    path = written(tmp_path, yaml.safe_dump(raw(strategy={"name": "direct", "enough": 2, "temperature": 0.5})))
    assert recipe.read(path, ["strategy=beam"]).strategy == Beam()
    assert recipe.read(path, ["strategy.name=beam", "strategy.temperature=0.7"]).strategy == Beam(temperature=0.7)
    assert recipe.read(path, ["strategy=direct"]).strategy == Direct(enough=2, temperature=0.5)


# Recipes that build on recipes


def test_a_recipe_extends_another_key_by_key(tmp_path: Path) -> None:
    base = raw(strategy={"name": "direct", "samples": 2, "max_samples": 6}, schedule={"curation.keep": [1, 2]}, seed=3)
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(base))
    over = "extends: base\nname: mine\nstrategy: {samples: 4}\nschedule: {strategy.samples: [4, 5]}"
    mine = recipe.read(written(tmp_path, over), ["strategy.temperature=0.5"])
    assert mine.strategy == Direct(samples=4, max_samples=6, temperature=0.5)
    assert (mine.name, mine.seed, mine.schedule) == ("mine", 3, {"curation.keep": [1, 2], "strategy.samples": [4, 5]})
    assert "extends" not in mine.resolved()


def test_another_member_has_none_of_the_options_of_the_one_it_replaces(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(raw(strategy={"name": "direct", "enough": 2})))
    mine = recipe.read(written(tmp_path, "extends: base.yaml\nstrategy: {name: best_of, samples: 3}"))
    assert mine.strategy == BestOf(samples=3)


@pytest.mark.parametrize(
    ("base", "over", "strategy"),
    [
        ("beam", {"temperature": 0.5}, Beam(temperature=0.5)),
        ({"name": "beam", "temperature": 0.5}, "beam", Beam(temperature=0.5)),
        ({"samples": 2}, {"name": "beam"}, Beam()),
        ({"samples": 2}, "beam", Beam()),
        ({"samples": 2}, {"enough": 1}, Direct(samples=2, enough=1)),
        ({"name": "beam"}, {"name": "direct", "samples": 2}, Direct(samples=2)),
    ],
)
def test_a_member_is_the_same_however_it_is_written(tmp_path: Path, base: Any, over: Any, strategy: Any) -> None:
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(raw(strategy=base)))
    mine = recipe.read(written(tmp_path, f"extends: base\n{yaml.safe_dump({'strategy': over})}"))
    assert mine.strategy == strategy


def test_a_task_that_is_a_name_alone_in_the_base_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(raw(task="arithmetic")))
    mine = recipe.read(written(tmp_path, "extends: base\ntask: {digits: 3}"))
    assert (mine.task.name, mine.resolved()["task"]["digits"]) == ("arithmetic", 3)


def test_a_recipe_may_extend_the_shipped_one_whose_name_it_has(tmp_path: Path) -> None:
    path = tmp_path / "addition.yaml"
    path.write_text("extends: addition\nseed: 7")
    assert recipe.read(path).resolved() == recipe.read(recipe.shipped()["addition"], ["seed=7"]).resolved()


def test_a_shipped_recipe_can_be_extended_and_its_files_are_found(tmp_path: Path) -> None:
    mine = recipe.read(written(tmp_path, "extends: untrained\nname: mine"))
    assert mine.task.folders == (tmp_path, plugin.SHIPPED)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("extends: recipe", "extends itself"),
        ("extends: adition", "no recipe 'adition', did you mean 'addition'?"),
        ("extends: 3", "the name of a recipe is wanted, this is an int"),
    ],
)
def test_what_can_not_be_extended_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(words)):
        recipe.read(written(tmp_path, text))


SCHEDULE = {
    "objective.max_optimizer_steps": [60, 30],
    "curation.target": ["full", "answer"],
    "strategy": ["direct", {"name": "rationalize", "samples": 6}],
    "curation.steps": [{"keep": 4}, None],
}


@pytest.mark.parametrize(
    ("override", "values"),
    [
        ("objective.max_optimizer_steps=3", [3, 3, 3]),
        ("curation.target=shortest", ["shortest"] * 3),
        ("curation={target: shortest}", ["shortest"] * 3),
        ("strategy=direct", ["direct"] * 3),
        ("strategy.name=reflect", ["reflect"] * 3),
        ("strategy={name: direct, max_samples: 9}", ["direct"] * 3),
        ("strategy.samples=9", [9, 9, 9]),
        ("curation.steps.keep=7", [7, None, None]),
        ("curation.target_=1", None),
    ],
)
def test_what_the_command_line_says_holds_in_all_rounds(
    tmp_path: Path, override: str, values: list[Any] | None
) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(dump_yaml(raw(schedule=SCHEDULE)), "utf-8")
    if values is None:
        with pytest.raises(RecipeError, match="target_"):
            recipe.read(path, [override])
        return
    one = recipe.read(path, [override])
    asked = override.partition("=")[0].removesuffix(".name")
    asked = {"curation": "curation.target"}.get(asked, asked)
    flat = [recipe.flatten(one.at(n).resolved()) for n in (1, 2, 3)]
    assert [row.get(f"{asked}.name" if asked == "strategy" else asked) for row in flat] == values
    assert ("objective.max_optimizer_steps" in one.schedule) != override.startswith("objective")


def test_a_schedule_on_the_command_line_is_the_last_word(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(dump_yaml(raw(schedule=SCHEDULE)), "utf-8")
    one = recipe.read(path, ["objective.max_optimizer_steps=3", "schedule={objective.max_optimizer_steps: [5, 6]}"])
    assert [one.at(n).objective.model_dump()["max_optimizer_steps"] for n in (1, 2)] == [5, 6]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("hot", "strategy.temperature: input should be a valid number or a valid list, this is 'hot'"),
        (-1.0, "strategy.temperature: input should be greater than or equal to 0, this is -1.0"),
        ([0.5, "hot"], "strategy.temperature.1: input should be a valid number, this is 'hot'"),
        ([], "strategy.temperature: list should have at least 1 item after validation, not 0, this is []"),
        ({"a": 1}, "strategy.temperature: input should be a valid number or a valid list, this is {'a': 1}"),
    ],
)
def test_an_option_of_several_types_says_once_what_it_takes(value: Any, said: str) -> None:
    with pytest.raises(RecipeError) as error:
        recipe.parse(raw(strategy={"name": "direct", "temperature": value}))
    assert str(error.value) == f"recipe: {said}"


@pytest.mark.parametrize("name", ["addition", "addition/", "folder.yaml", "."])
def test_a_folder_is_no_recipe_and_hides_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir(exist_ok=True)
    if name == "addition":
        assert read_recipe(name).name == "addition"
        return
    with pytest.raises(RecipeError, match="is a folder; a recipe is a YAML file"):
        read_recipe(name)

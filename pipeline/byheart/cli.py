"""The command line: parse, call, print. What a command does is in the module it imports when it is called."""

from __future__ import annotations

import sys
from datetime import date
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from byheart import STAGES
from byheart.console import Console
from byheart.errors import ByheartError, InputError, RunError
from byheart.files import user_path
from byheart.models import machine

if TYPE_CHECKING:
    from byheart.config.recipe import Recipe
    from byheart.config.rounds import Rounds

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Make a language model learn by heart what it first had to work out. Begin with: byheart run addition",
)

RecipeArgument = Annotated[str, typer.Argument(help="a recipe file, or the name of one that comes with byheart")]
Overrides = Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="e.g. task.digits=3")]
RunDir = Annotated[
    str | None,
    typer.Option(help="where the run lives, a directory or URL", show_default="runs/<name of the recipe>"),
]
Where = Annotated[str, typer.Argument(help="a run directory, e.g. runs/addition, or its URL, e.g. s3://bucket/x")]

out, err = Console(soft_wrap=True), Console(stderr=True, soft_wrap=True)


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"byheart {machine.version()}")
        raise typer.Exit


@app.callback()
def byheart(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="show the version and the commit")
    ] = False,
) -> None:
    """byheart: language models that learn by heart what they first had to work out."""


@app.command()
def run(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="rounds to do now", show_default="the recipe's")] = None,
    run_dir: RunDir = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            metavar="0..2|0,3,7",
            help="a run of each of these seeds, in <run dir>-seed-N, until each has done --rounds; then compare them",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="a first look: every stage on at most this many problems, in <run dir>-limit-N"),
    ] = None,
    redo_from: Annotated[
        int | None, typer.Option(min=1, help="set this round and all after it aside and do them anew")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="USER/NAME@REV", help="begin with a published adapter, or a folder's or URL's"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be done, and do nothing")] = False,
) -> None:
    """Do the next round of a recipe, or go on with what was interrupted."""
    from byheart.report import terminal

    given = {"model.adapter": start, "limit": limit}
    changed = [*(overrides or []), *(f"{key}={value}" for key, value in given.items() if value)]
    if seeds is not None:
        if redo_from:
            raise InputError("--redo-from is for one run: give seed=N and its --run-dir in the place of --seeds")
        _run_seeds(recipe, changed, rounds, run_dir, seeds, dry_run)
        return
    parsed = _recipe(recipe, changed)
    folder = _folder(run_dir, parsed)
    if dry_run:
        from byheart.planning.dry_run import plan

        terminal.show_plan(plan(parsed, folder, rounds, redo_from))
        return
    _work(parsed, folder, rounds, redo_from=redo_from)
    terminal.show_result(folder)
    if run_dir and "://" in run_dir:
        from byheart.runs import store

        out.print(f"store    {store.shown(_place(run_dir, parsed))}")


def _run_seeds(
    name: str, overrides: list[str], rounds: int | None, run_dir: str | None, text: str, dry_run: bool
) -> None:
    """A run of each seed that `text` names, one after another, as each takes the whole machine. One that has done its
    rounds is left as it is; one that fails is said, and those after it are done."""
    from byheart.config import validation
    from byheart.report import terminal
    from byheart.report.comparison import compare
    from byheart.runs import seeds
    from byheart.runs.run import dated, read_state

    if any(override.startswith("seed=") for override in overrides):
        raise InputError("--seeds says which seeds: leave out seed=")
    recipes = {seed: _recipe(name, [*overrides, f"seed={seed}"]) for seed in seeds.seeds(text)}
    validation.check(next(iter(recipes.values())))  # what is wrong with one is wrong with all
    today = date.today()
    folders, due, codes = [], [], []
    for seed, recipe in recipes.items():
        where, wanted = seeds.place(_place(run_dir, recipe), seed), rounds or recipe.rounds
        try:
            folder, left = _seed(recipe, where, wanted)
            if left:
                due.append((recipe, folder, left if isinstance(wanted, int) else None))
            while left and not dry_run:  # again, where an interrupted command was to do fewer rounds
                _work(dated(recipe, folder, today), folder, left if isinstance(wanted, int) else None)
                left = seeds.remaining(read_state(folder), wanted)
            folders.append(folder)
        except (ByheartError, OSError) as error:
            message, code = _explained(error)
            err.print(f"byheart: seed {seed}: {message}", style="red")
            codes.append(code)
    if dry_run:
        if due:
            from byheart.planning.dry_run import plan

            terminal.show_plan(plan(*due[0]))  # those after it are the same
        raise typer.Exit(max(codes, default=0))
    if len(folders) > 1:
        terminal.show_comparison(compare(folders), by_round=False)
    elif folders:
        terminal.show_result(folders[0])
    if codes:
        count = f"{len(codes)} of {len(recipes)} seeds"
        err.print(f"byheart: {count} failed; the same command goes on with what is missing", style="red")
        raise typer.Exit(codes[0])


def _seed(recipe: Recipe, where: str, wanted: int | Rounds) -> tuple[Path, int]:
    """The directory of the run of one seed, and how many rounds it is still to do of those `wanted` in all. Raises
    RunError where it was made with another recipe."""
    from byheart.runs import seeds, store
    from byheart.runs.run import read_state, refusal

    folder = store.local(where, new=True)
    if refused := refusal(folder, recipe):
        raise RunError(refused)
    left = seeds.remaining(read_state(folder), wanted)
    out.print(f"seed {recipe.seed}: {store.shown(where)}{'' if left else ' is done'}")
    return folder, left


def _stage_command(name: str) -> None:
    def command(recipe: RecipeArgument, overrides: Overrides = None, run_dir: RunDir = None) -> None:
        parsed = _recipe(recipe, overrides)
        _work(parsed, _folder(run_dir, parsed), 1, only=name)

    command.__doc__ = f"Do only the stage {name} of the round at hand."
    app.command(name, rich_help_panel="One stage at a time, in this order")(command)


def verify(
    source: Annotated[str, typer.Argument(metavar="RECIPE|FILE", help="a recipe; or JSONL rows, - for standard input")],
    overrides: Overrides = None,
    run_dir: RunDir = None,
    verifier: Annotated[
        str | None, typer.Option(help="judge the rows of FILE by this: math, or '{name: number, tolerance: 0.01}'")
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--out",
            parser=user_path,
            metavar="FILE",
            help="where the judged rows go",
            show_default="standard output",
        ),
    ] = None,
) -> None:
    """Do only the stage verify of the round at hand; or, with --verifier, judge the rows of a file.

    A row has `response`, and `answer` (for code: `tests`). It comes back with `score`, `extracted` and `reason`.
    """
    if verifier is None:
        if source == "-" or ".jsonl" in source or to:
            raise InputError(f"{source}: --verifier is missing, e.g. --verifier math")
        parsed = _recipe(source, overrides)
        _work(parsed, _folder(run_dir, parsed), 1, only="verify")
    else:
        from byheart.evaluation.verification import verify_file

        if overrides or run_dir:
            raise InputError("with --verifier a file is judged, so there is no recipe to change and no run directory")
        try:
            good = verify_file(source, verifier, to)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        raise typer.Exit(0 if good else 1)


for _name in STAGES:
    if _name == "verify":
        app.command(rich_help_panel="One stage at a time, in this order")(verify)
    else:
        _stage_command(_name)


@app.command()
def pull(
    url: Annotated[str, typer.Argument(help="where the run is, e.g. s3://bucket/runs/addition")],
    folder: Annotated[
        Path | None,
        typer.Argument(
            parser=user_path, metavar="[FOLDER]", help="its copy here; by default the last part of the URL, in runs"
        ),
    ] = None,
) -> None:
    """Bring a run from its URL here, or its copy here up to date.

    The copy is a run directory like any other, to read or to go on with by --run-dir. What is done in it is sent to
    the URL after each round. Where both have moved on, neither is changed.
    """
    from byheart.runs import store

    if "://" not in url:
        raise InputError(f"{url} is not a URL; a run directory is read where it is")
    out.print(f"{store.pull(url, folder or Path('runs', store.name(url)))}")


@app.command()
def status(run: Where) -> None:
    """What a run has done so far, round by round."""
    from byheart.report import terminal
    from byheart.runs import store

    terminal.show_status(store.local(run))


@app.command()
def show(
    run: Where,
    round_: Annotated[
        int | None, typer.Option("--round", min=1, help="the round to show", show_default="the last one")
    ] = None,
    problem: Annotated[str | None, typer.Option(help="the beginning of a problem's id, or words of its prompt")] = None,
    verdict: Annotated[str | None, typer.Option(help="only: right, wrong or unjudged")] = None,
    limit: Annotated[int, typer.Option(min=1, help="problems to show")] = 10,
    tree: Annotated[
        str | None, typer.Option(metavar="PROBLEM", help="show the tree that was searched for this one problem instead")
    ] = None,
) -> None:
    """Read sampled solutions with their verdicts."""
    from byheart.report import terminal
    from byheart.runs import store

    if tree is None:
        terminal.show_rollouts(store.local(run), round_, problem, verdict, limit)
    elif problem or verdict:
        raise InputError("--tree names its problem itself, and shows all of its tree")
    else:
        terminal.show_tree(store.local(run), round_, tree)


@app.command()
def report(run: Where) -> None:
    """Write the run's report, one HTML page that needs no network."""
    from byheart.report.page import write_page
    from byheart.runs import store

    out.print(f"{write_page(store.local(run))}")


@app.command()
def compare(
    runs: Annotated[list[str], typer.Argument(help="two or more run directories; each is held against the first")],
    split: Annotated[str, typer.Option(help="the problems to compare on: held_out or dev")] = "held_out",
    by_round: Annotated[bool, typer.Option("--by-round", help="show every round, not only the last")] = False,
    page: Annotated[
        Path | None,
        typer.Option(parser=user_path, metavar="FILE", help="write the comparison as an HTML page as well"),
    ] = None,
) -> None:
    """Hold runs against each other, problem by problem, and say which differences are more than chance."""
    from byheart.report import terminal
    from byheart.report.comparison import compare
    from byheart.runs import store

    comparison = compare([store.local(run) for run in runs], split)
    terminal.show_comparison(comparison, by_round)
    if page:
        from byheart.report.page import write_comparison

        out.print(f"{write_comparison(comparison, page)}")


@app.command()
def publish(
    run: Where,
    to: Annotated[
        str | None, typer.Option(metavar="USER/NAME", help="the repository of the model, and of the data set")
    ] = None,
    into: Annotated[
        str | None,
        typer.Option(
            metavar="USER/NAME",
            help="the same where it holds what byheart did not push: files of the same names are overwritten",
        ),
    ] = None,
    round_: Annotated[
        str | None,
        typer.Option("--round", metavar="N|best", show_default="the one whose policy the next round would start from"),
    ] = None,
    merged: Annotated[bool, typer.Option("--merged", help="the full weights instead of the adapter")] = False,
    public: Annotated[bool, typer.Option("--public", help="for all to see, where the repository is made now")] = False,
    base: Annotated[
        str | None, typer.Option(help="what the base model is called on the hub, where the recipe names a directory")
    ] = None,
    license_: Annotated[
        str | None, typer.Option("--license", help="that of the base model, where the hub does not know it")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only write the folders that would be pushed")] = False,
) -> None:
    """Push a round's adapter and its data set to a model hub, each with its card; private unless --public."""
    from byheart.publish import hub, packing
    from byheart.runs import store

    name = into or to
    if name is None or to not in (None, name):
        raise InputError("say where to: --to USER/NAME, or --into USER/NAME")
    parcels = packing.pack(store.local(run), _number_or_best(round_), name, base, license_, merged)
    for parcel in parcels:
        out.print(f"{parcel.kind} {parcel.to}: {parcel.folder}")
    if not dry_run:
        tag = parcels[0].folder.parent.parent.name
        destinations = hub.survey(parcels, tag, public, into is not None)
        for destination in destinations:
            out.print(f"{destination}")
        for address in hub.push(destinations, tag):
            out.print(f"{address}")


def _number_or_best(text: str | None) -> int | Literal["best"] | None:
    if text is None or text == "best":
        return None if text is None else "best"
    if not text.isdecimal() or int(text) == 0:
        raise InputError(f"--round is the number of a round, or best, not {text!r}")
    return int(text)


@app.command("doctor")
def doctor_() -> None:
    """What was found on this machine, what is missing, and the command that installs it."""
    from byheart.planning import doctor

    wanting = False
    for finding in doctor.examine():
        doctor.show(finding)
        wanting |= bool(finding.fix and finding.needed)
    raise typer.Exit(1 if wanting else 0)


@app.command()
def recipes(
    name: Annotated[str | None, typer.Argument(help="show this one as it is written")] = None,
    resolved: Annotated[bool, typer.Option("--resolved", help="show every key with its value")] = False,
    copy: Annotated[
        Path | None, typer.Option(parser=user_path, metavar="FILE", help="write it to FILE, to start from")
    ] = None,
) -> None:
    """The recipes that come with byheart: what each does, on what hardware, for how long, with what result."""
    from byheart.config import shipped
    from byheart.report import catalog

    if name is None:
        if resolved or copy:
            raise InputError("say which recipe: byheart recipes NAME --resolved, or --copy FILE")
        catalog.show_recipes()
    elif copy:
        shipped.copy(name, copy, resolved)
        out.print(f"{copy}")
    else:
        typer.echo(shipped.text(name, resolved), nl=False)


@app.command()
def options(
    path: Annotated[
        str, typer.Argument(metavar="[SECTION[.NAME]]", help="e.g. strategy, strategy.direct, curation")
    ] = "",
) -> None:
    """The options of a section of a recipe, with type, default and description; or the names to choose from."""
    from byheart.report import catalog

    catalog.show_options(path)


@app.command()
def schema(
    to: Annotated[
        Path | None,
        typer.Option("--out", parser=user_path, metavar="FILE", help="where it goes", show_default="standard output"),
    ] = None,
) -> None:
    """The JSON schema of a recipe, with which editors check and complete one."""
    import json

    from byheart.config.schema import schema as made
    from byheart.files import write_text

    text = json.dumps(made(), indent=1, ensure_ascii=False) + "\n"
    if to:
        to.parent.mkdir(parents=True, exist_ok=True)
        write_text(to, text)
    else:
        typer.echo(text, nl=False)


def _work(
    recipe: Recipe, folder: Path, rounds: int | None, only: str | None = None, redo_from: int | None = None
) -> None:
    from byheart import loop
    from byheart.report.page import write_page
    from byheart.runs import store
    from byheart.runs.run import Halt

    try:
        out.print(f"round {loop.run(recipe, folder, rounds, only, redo_from)} is finished")
    except Halt as done:
        out.print(f"{done}")
    except KeyboardInterrupt:
        err.print("byheart: stopped; what was finished is kept, and the same command goes on from there")
        raise typer.Exit(130) from None
    write_page(folder)
    store.send(folder)


def _folder(run_dir: str | None, recipe: Recipe) -> Path:
    from byheart.runs import store

    return store.local(_place(run_dir, recipe), new=True)


def _place(run_dir: str | None, recipe: Recipe) -> str:
    """The directory or URL of a run; a first look has one of its own, beside that of the whole run."""
    where = run_dir or f"runs/{recipe.name}"
    return f"{where.rstrip('/')}-limit-{recipe.limit}" if recipe.limit else where


def _recipe(name: str, overrides: list[str] | None) -> Recipe:
    from byheart.config.shipped import read_recipe

    return read_recipe(name, overrides or ())


def main() -> None:
    """The console script `byheart`: an error of the user's is one message and its exit code, never a traceback."""
    machine.isolate()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # of a locale that lacks a character
    sys.exit(_exit_code())


def _exit_code() -> int:
    try:
        return app(standalone_mode=False) or 0
    except typer.TyperException as error:
        message, code = error.format_message(), error.exit_code
        if not message:  # a command without arguments has shown its help
            return code
        message = f"{message.rstrip('.')}; see byheart --help"
    except typer.Abort:
        return 130
    except (ByheartError, OSError) as error:
        message, code = _explained(error)
    err.print(f"byheart: {message}", style="red")
    return code


def _explained(error: ByheartError | OSError) -> tuple[str, int]:
    """What is said of an error, and its exit code. Raises an OSError that names no file, which is a bug."""
    if isinstance(error, ByheartError):
        return str(error), error.exit_code
    if error.filename is None:
        raise error
    return f"{error.filename}: {error.strerror or error}", RunError.exit_code  # in the words of the system


if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the working directory, put there by `python -m`; multiprocessing hands sys.path to children
    main()

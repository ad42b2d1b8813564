"""The command line ``lbi``: arguments -> a function of lbi.cli, and its errors -> one line and an exit code.

0 done, 1 a check failed or the program is wrong, 2 bad input, 3 the budget is used up, 4 the steps of ``lbi act`` are
used up, 130 interrupted.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn, ParamSpec

import typer
from typer.core import TyperCommand, TyperGroup

from lbi.monitoring.terminal import say

P = ParamSpec("P")
#: headings of `lbi --help`, in the order in which somebody new needs them, and the commands below each
GROUPS = {
    "Learn": ("init", "run", "synthesize", "evaluate"),
    "Look": ("report", "calls", "look"),
    "Use": ("act", "retrieve", "export", "train", "grade"),
    "Tools": ("list", "check", "models", "tasks"),
}


class GroupedCommands(TyperGroup):
    """Prints the commands under their headings; typer itself does that only with rich, which loads too slowly."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        width = max(map(len, self.commands))
        placed = {name for names in GROUPS.values() for name in names}
        others = tuple(name for name in self.commands if name not in placed)
        for heading, names in {**GROUPS, "Commands": others}.items():
            commands = [(name, self.commands[name]) for name in names if name in self.commands]
            lines = [
                (name.ljust(width), each.get_short_help_str(formatter.width - width - 6)) for name, each in commands
            ]
            if lines:
                with formatter.section(heading):
                    formatter.write_dl(lines)


class Command(TyperCommand):
    """A command that takes no empty text: one comes of a variable that is not set, and as a path it would mean here."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        for before, written in zip(["", *args], args, strict=False):
            if not written.strip() or (written.startswith("--") and written.endswith("=")):
                what = written.rstrip("= ") or (before if before.startswith("-") else "an argument")
                raise typer.BadParameter(f"{what} is empty; give it a value, or leave it out", ctx=ctx)
        return super().parse_args(ctx, args)


app = typer.Typer(
    name="lbi",
    cls=GroupedCommands,
    help="Makes an agent better at one application: it learns by using it. No labels are needed, and no key to try.",
    epilog="Start: lbi init --url http://localhost:3000 --docs ./docs",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # rich takes longer to load than --help may take
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def main() -> None:
    app(prog_name="lbi")


def _command(function: Callable[P, int], of: typer.Typer = app) -> Callable[P, int]:
    """Register a command whose errors end the process as they should."""

    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            code = function(*args, **kwargs)
        except typer.Exit:
            raise
        except KeyboardInterrupt:
            from lbi.cli.errors import interrupted

            _end(interrupted(), 130)
        except Exception as error:  # noqa: BLE001 - the top of the command line
            from lbi.cli.errors import explained

            _end(*explained(error))
        raise typer.Exit(code)

    of.command(function.__name__.rstrip("_"), cls=Command)(guarded)
    return guarded


def _end(message: str, code: int) -> NoReturn:
    say(f"lbi: {message}", file=sys.stderr)
    raise typer.Exit(code)


def _version(asked_for: bool) -> None:
    if asked_for:
        from lbi import __version__

        say(f"lbi {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    from lbi.monitoring.logs import MaskingFormatter
    from lbi.storage.secrets import learn_usual

    learn_usual(os.environ)
    if logging.lastResort is not None:  # what nobody keeps goes to the terminal
        logging.lastResort.setFormatter(MaskingFormatter("%(message)s"))


Config = Annotated[
    Path | None,
    typer.Argument(
        help="Config file, name of one shipped, folder of a run to continue, or BENCHMARK:TASK,...",
        show_default="lbi.toml",
    ),
]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Run folder.", show_default="runs/NAME")]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        help="offline, local:NAME, anthropic:NAME, google:NAME or openai:NAME. Keys are read from the environment.",
    ),
]
BaseUrl = Annotated[
    str, typer.Option("--base-url", help="Address of an OpenAI-compatible server of your own, for openai:NAME.")
]
Budget = Annotated[
    str,
    typer.Option("--budget", help="Stop before more than this is spent, such as 20usd. --dry-run says how much fits."),
]
Seeds = Annotated[str, typer.Option("--seeds", help="Repeat the whole measurement with these seeds, such as 0,1,2.")]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", "-w", min=1, max=64, help="How many environments work at a time.", show_default="the config's"
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="KEY=VALUE", help="Set a key of the config to a TOML value; may be repeated."),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the config and what the run would cost, and do nothing.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
Progress = Annotated[
    str,
    typer.Option(
        "--progress",
        help="How progress is shown: bar, lines, json (an object per line on stderr) or none.",
        show_default=False,
    ),
]
Join = Annotated[bool, typer.Option("--join", help="Work on a run together with the process that works on it already.")]
Otel = Annotated[
    bool, typer.Option("--otel", help="Send traces and metrics to OTEL_EXPORTER_OTLP_ENDPOINT (extra: otel).")
]
Checkout = Annotated[
    Path | None, typer.Option("--checkout", help="What a benchmark does not bring: its repository, or a file of sites.")
]
Repo = Annotated[Path | None, typer.Option("--repo", help="Folder of a repository to learn; needs no config file.")]
Unsafe = Annotated[bool, typer.Option("--unsafe", help="Run commands of agents and of checks without a sandbox.")]
RunToUse = Annotated[
    Path, typer.Argument(help="Run folder; what is in it is only read.", metavar="RUN", show_default=False)
]
Instruction = Annotated[
    str, typer.Argument(help="What is to be done, in words.", metavar="INSTRUCTION", show_default=False)
]
ArmToUse = Annotated[str, typer.Option("--arm", help="Arm of the run, which says which examples there are.")]
AgentToUse = Annotated[str, typer.Option("--agent", help="Another agent than the arm's.", show_default="the arm's")]
ModelToUse = Annotated[
    str, typer.Option("--model", "-m", help="The acting model, as PROVIDER:NAME.", show_default="the run's")
]
SeedToUse = Annotated[int | None, typer.Option("--seed", help="Whose examples.", show_default="the run's first")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]


@_command
def run(
    config: Config = None,
    out: Out = None,
    model: Model = "",
    base_url: BaseUrl = "",
    budget: Budget = "",
    seeds: Seeds = "",
    workers: Workers = None,
    set_: Set = None,
    repo: Repo = None,
    checkout: Checkout = None,
    unsafe: Unsafe = False,
    dry_run: DryRun = False,
    json: Json = False,
    quiet: Quiet = False,
    progress: Progress = "auto",
    join: Join = False,
    otel: Otel = False,
) -> int:
    """Learn from documents and measure on held-out tasks.

    Stopped or killed, the same command continues where it was. With more roll-outs or held-out tasks than before it
    extends the run.
    """
    from lbi.cli.run import OutputOptions, RunOptions, run

    options = RunOptions(config, out, model, base_url, budget, seeds, workers, set_ or [], repo, unsafe, checkout)
    return run(options, "", OutputOptions(dry_run, json, quiet, progress, join, otel))


@_command
def synthesize(
    config: Config = None,
    out: Out = None,
    model: Model = "",
    base_url: BaseUrl = "",
    budget: Budget = "",
    seeds: Seeds = "",
    workers: Workers = None,
    set_: Set = None,
    repo: Repo = None,
    checkout: Checkout = None,
    unsafe: Unsafe = False,
    dry_run: DryRun = False,
    json: Json = False,
    quiet: Quiet = False,
    progress: Progress = "auto",
    join: Join = False,
    otel: Otel = False,
) -> int:
    """Learn only, and stop when the examples are made."""
    from lbi.cli.run import OutputOptions, RunOptions, run

    options = RunOptions(config, out, model, base_url, budget, seeds, workers, set_ or [], repo, unsafe, checkout)
    return run(options, "synthesis", OutputOptions(dry_run, json, quiet, progress, join, otel))


@_command
def evaluate(
    config: Annotated[Path, typer.Argument(help="Folder of a run with examples.", metavar="RUN")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Evaluate the same examples again in this folder.")
    ] = None,
    model: Model = "",
    base_url: BaseUrl = "",
    budget: Budget = "",
    seeds: Seeds = "",
    workers: Workers = None,
    set_: Set = None,
    dry_run: DryRun = False,
    json: Json = False,
    quiet: Quiet = False,
    progress: Progress = "auto",
    join: Join = False,
    otel: Otel = False,
) -> int:
    """Measure only, with the examples of a run.

    With --out, the examples are copied there first, and other tasks, arms or models may be chosen.
    """
    from lbi.cli.run import OutputOptions, RunOptions, run

    options = RunOptions(config, out, model, base_url, budget, seeds, workers, set_ or [])
    return run(options, "evaluation", OutputOptions(dry_run, json, quiet, progress, join, otel))


@_command
def report(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    tables: Annotated[bool, typer.Option("--tables", help="Print all tables.")] = False,
    open_: Annotated[bool, typer.Option("--open", help="Show the report in the browser.")] = False,
    salvage: Annotated[
        bool, typer.Option("--salvage", help="Of a damaged run: what can still be read, copied to RUN/salvaged.")
    ] = False,
    json: Json = False,
) -> int:
    """Print the result of a run and write its report anew.

    Works at any point of a run, also while it goes on.
    """
    from lbi.cli.report import report

    return report(run, tables, open_, json, salvage)


Tier = Annotated[
    str, typer.Option(help="Only examples of this tier or a higher one: unverified, committee, replayed, checked.")
]
Kinds = Annotated[str, typer.Option(help="Kinds of examples, separated by commas: also forward.")]
OfSeeds = Annotated[
    str, typer.Option("--seeds", help="Only of these seeds of the run, such as 0,1.", show_default="all")
]
Validation = Annotated[float, typer.Option(help="Share of the documents whose examples are held back for validation.")]
AllowOffline = Annotated[
    bool, typer.Option("--allow-offline", help="Take what the offline model made, which is no language model.")
]
Size = Annotated[int, typer.Option("--size", min=0, help="Rows for training, at most.", show_default="all")]
MaxTokens = Annotated[
    int, typer.Option("--max-tokens", min=0, help="Tokens of the rows for training, about.", show_default="any")
]
Mix = Annotated[
    str,
    typer.Option(
        "--mix",
        help="Shares of steps by the length of their example, such as short=1,medium=1,long=1.",
        show_default="as they are",
    ),
]
Diverse = Annotated[bool, typer.Option("--diverse", help="Take every way to act once before any a second time.")]
Shuffled = Annotated[bool, typer.Option("--shuffled", help="Let instructions change places, as a control.")]


@_command
def act(
    run: RunToUse,
    instruction: Instruction,
    base_url: Annotated[
        str,
        typer.Option(
            "--base-url", help="Act on the same application at this address, as it is.", show_default="the run's own"
        ),
    ] = "",
    reset: Annotated[
        bool, typer.Option("--reset", help="Reset a site that somebody else runs first, as its file says.")
    ] = False,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Ask before every action that may change something.")
    ] = False,
    headed: Annotated[bool, typer.Option("--headed", help="Show the browser.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be retrieved for the first page, and do nothing.")
    ] = False,
    model: ModelToUse = "",
    arm: ArmToUse = "backward",
    agent: AgentToUse = "",
    seed: SeedToUse = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="At most.", show_default="the run's")] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="New folder for what is kept of it.", show_default="RUN/acts/TIME"),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Carry out one instruction with what was learnt.

    On a copy of the application, or at --base-url on the one that people use. Exits with 0 if the agent says that it
    has finished, 1 if it failed or cannot be done, 4 if the steps were used up.
    """
    from lbi.cli.act import ActOutput, act
    from lbi.environments import Live
    from lbi.rollouts.act import ActOptions
    from lbi.rollouts.learnt import Use

    use = Use(arm, agent, model, seed, Live(base_url, reset, headed))
    return act(run, instruction, ActOptions(use, steps, out), ActOutput(confirm, dry_run, json, quiet))


@_command
def retrieve(
    run: RunToUse,
    instruction: Instruction,
    page: Annotated[
        str,
        typer.Option(
            "--page",
            "-p",
            metavar="FILE|URL",
            help="The page: a file of what `lbi look` prints, - for stdin, or a URL.",
        ),
    ] = "",
    prompt: Annotated[bool, typer.Option("--prompt", help="Print the prompt as it would be sent.")] = False,
    all_: Annotated[bool, typer.Option("--all", help="List those too for which the prompt has no room.")] = False,
    ask: Annotated[
        bool, typer.Option("--ask", help="Let the model write the query, as in an episode; else no model is asked.")
    ] = False,
    model: ModelToUse = "",
    arm: ArmToUse = "backward",
    agent: AgentToUse = "",
    seed: SeedToUse = None,
    json: Json = False,
) -> int:
    """Show what an agent would be shown for an instruction, and why.

    Examples by the page and by the query, best first, with their tokens. Nothing is done and nothing is written.
    """
    from lbi.cli.retrieve import RetrieveOutput, retrieve
    from lbi.rollouts.learnt import Use

    return retrieve(run, instruction, page, Use(arm, agent, model, seed), ask, RetrieveOutput(prompt, all_, json))


@_command
def export(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    format: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            help="trl, trl_masked, dpo, openai, sharegpt, axolotl, verl, adp, atif, datasets, jsonl, parquet, "
            "predictions.",
        ),
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder.", show_default="RUN/export-FORMAT")] = None,
    rows: Annotated[
        str, typer.Option("--rows", help="What a row is: step or trajectory.", show_default="the format's")
    ] = "",
    tier: Tier = "unverified",
    kinds: Kinds = "abstract,summary,composed",
    seeds: OfSeeds = "",
    validation: Validation = 0.1,
    size: Size = 0,
    max_tokens: MaxTokens = 0,
    mix: Mix = "",
    diverse: Diverse = False,
    shuffled: Shuffled = False,
    seed: Annotated[int, typer.Option("--seed", help="Of what is chosen.")] = 0,
    max_chars: Annotated[
        int, typer.Option("--max-chars", min=1, help="Characters of a row; older steps go first.")
    ] = 32_000,
    allow_offline: AllowOffline = False,
    tokenizer: Annotated[
        str,
        typer.Option(
            help="Count the rows' tokens by this: a tokenizer.json or its folder, tiktoken:ENCODING, a model of a hub.",
            show_default="an estimate",
        ),
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be in it, and write nothing.")] = False,
    json: Json = False,
) -> int:
    """Write the examples of a run as a training set.

    Says how long the longest row is, and how many rows the format's trainers would cut or drop by default; a config
    that cuts none lies beside the rows.

    With predictions: the patches that each arm handed in for a benchmark of repositories, in SWE-bench's format.
    """
    from lbi.cli.export import ExampleChoice, ExportOptions, export
    from lbi.training.export.choose import Selection, parse_mix

    options = ExportOptions(format, out, rows, validation, tokenizer, max_chars, allow_offline, dry_run)
    selection = Selection(size, max_tokens, parse_mix(mix), diverse, shuffled, seed)
    return export(run, options, ExampleChoice(tier, kinds, seeds), selection, json)


@_command
def train(
    source: Annotated[Path, typer.Argument(help="Run folder, or an export of the format trl.", metavar="RUN")],
    model: Annotated[
        str, typer.Option("--model", "-m", help="Folder of a model, a GGUF file, or OWNER/NAME of a hub.")
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder.", show_default="RUN/adapter")] = None,
    method: Annotated[str, typer.Option("--method", help="lora, qlora (GPU only) or full.")] = "lora",
    backend: Annotated[
        str, typer.Option("--backend", help="loop (for CPUs) or trl (for GPUs).", show_default="by the machine")
    ] = "auto",
    epochs: Annotated[float, typer.Option("--epochs", help="How often every row is seen.")] = 3.0,
    batch: Annotated[int, typer.Option("--batch", help="Rows of a step, gathered one by one.")] = 128,
    per_device: Annotated[int, typer.Option("--per-device", help="Rows at once on a GPU.")] = 1,
    learning_rate: Annotated[float, typer.Option("--learning-rate", help="Its highest value.")] = 2e-5,
    warmup: Annotated[float, typer.Option("--warmup", help="Share of the steps in which the rate rises.")] = 0.03,
    rank: Annotated[int, typer.Option("--rank", help="Of the adapter.")] = 16,
    alpha: Annotated[int, typer.Option("--alpha", help="Of the adapter; it counts alpha / rank.")] = 32,
    max_length: Annotated[int, typer.Option("--max-length", help="Tokens of a row; a longer one is refused.")] = 8192,
    max_chars: Annotated[
        int, typer.Option("--max-chars", min=1, help="Characters of a row; older steps go first.")
    ] = 32_000,
    precision: Annotated[str, typer.Option("--precision", help="bf16 or fp32.", show_default="by method")] = "auto",
    packing: Annotated[bool, typer.Option("--packing", help="Several rows in one sequence (trl only).")] = False,
    checkpointing: Annotated[
        bool, typer.Option("--checkpointing", help="Less memory, slower: compute inner values twice.")
    ] = False,
    save_every: Annotated[int, typer.Option("--save-every", help="Steps between two checkpoints.")] = 20,
    max_steps: Annotated[int, typer.Option("--max-steps", help="Stop after so many.", show_default="no")] = 0,
    tier: Tier = "unverified",
    kinds: Kinds = "abstract,summary,composed",
    seeds: OfSeeds = "",
    validation: Validation = 0.1,
    size: Size = 0,
    max_tokens: MaxTokens = 0,
    mix: Mix = "",
    diverse: Diverse = False,
    shuffled: Shuffled = False,
    seed: Annotated[int, typer.Option("--seed", help="Of the adapter, the order of rows, and what is chosen.")] = 0,
    allow_offline: AllowOffline = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Train a model on the examples of a run.

    The result is a model like any other: --model local:RUN/adapter. The defaults are the paper's recipe. Stopped or
    killed, the same command continues from its last checkpoint.
    """
    from lbi.cli.export import ExampleChoice
    from lbi.cli.train import TrainOptions, train_model
    from lbi.training.export.choose import Selection, parse_mix

    settings = {
        "method": method,
        "backend": backend,
        "epochs": epochs,
        "batch": batch,
        "per_device": per_device,
        "learning_rate": learning_rate,
        "warmup": warmup,
        "rank": rank,
        "alpha": alpha,
        "max_length": max_length,
        "precision": precision,
        "packing": packing,
        "checkpointing": checkpointing,
        "save_every": save_every,
        "max_steps": max_steps,
        "seed": seed,
    }
    options = TrainOptions(source, model, out, max_chars, validation, allow_offline, quiet)
    selection = Selection(size, max_tokens, parse_mix(mix), diverse, shuffled, seed)
    return train_model(options, ExampleChoice(tier, kinds, seeds), selection, settings, json)


@_command
def calls(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    call: Annotated[str, typer.Argument(help="Id of one call, or its beginning: shows its prompt and reply.")] = "",
    stage: Annotated[str, typer.Option(help="Only of this stage: propose, attempt, label, filter, evaluate.")] = "",
    role: Annotated[str, typer.Option(help="Only of this role: propose, act, query, abstract, summarise, judge.")] = "",
    model: Annotated[str, typer.Option("--model", "-m", help="Only of this model.")] = "",
    failed: Annotated[bool, typer.Option("--failed", help="Only calls that failed for good.")] = False,
    cost: Annotated[float, typer.Option(help="Only calls that cost this many US dollars or more.", min=0)] = 0.0,
    seconds: Annotated[float, typer.Option(help="Only calls that took this many seconds or more.", min=0)] = 0.0,
    sort: Annotated[str, typer.Option(help="Order: time, cost, tokens or seconds.")] = "time",
    limit: Annotated[int, typer.Option(help="How many calls to show; 0 = all.", min=0)] = 50,
    json: Json = False,
) -> int:
    """Look at the model calls of a run.

    Works at any point of a run, also while it goes on. Secrets are masked.
    """
    from lbi.cli.calls import CallFilter, calls

    return calls(run, call, CallFilter(stage, role, model, failed, cost, seconds, sort, limit), json)


@_command
def look(
    where: Annotated[
        str, typer.Argument(help="Address of a page, or an application by name or file.", metavar="URL|APP")
    ],
    actions: Annotated[
        list[str] | None,
        typer.Argument(
            help="What to do there, such as 'click(e3)' or 'fill(textbox \"Name\", \"Jo\")'.", metavar="ACTION"
        ),
    ] = None,
    whole: Annotated[bool, typer.Option("--whole", help="After each action print the page, not what changed.")] = False,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Save a PNG of what is in view at the end, references marked.")
    ] = None,
    json: Json = False,
) -> int:
    """Show a page as an agent sees it, act on it, and show what changed.

    Steps of a log-in and solutions of tasks are written this way. Exits with 1 if an action could not be carried out;
    those after it are not tried.
    """
    from lbi.cli.look import look

    return look(where, actions or [], whole, picture, json)


@_command
def list_(
    what: Annotated[
        str,
        typer.Argument(help="applications, benchmarks, agents, models, configs, examples and so on; empty = all."),
    ] = "",
    json: Json = False,
) -> int:
    """List applications, benchmarks, agents, models and configs to pick from."""
    from lbi.cli.list import list_all

    return list_all(what, json)


@_command
def check(
    what: Annotated[
        str, typer.Argument(help="browser, page, application, benchmark, config, tasks, retrieval or all.")
    ] = "all",
    name: Annotated[
        str,
        typer.Argument(help="Name or file of the application, benchmark or config; a page's address; a run."),
    ] = "",
    checkout: Annotated[str, typer.Argument(help="What the benchmark does not bring: its repository or sites.")] = "",
    task: Annotated[str, typer.Option(help="Only this task of the benchmark.")] = "",
    all_: Annotated[
        int, typer.Option("--all", metavar="N", min=0, help="Of a page: also what links and clicks lead to, N pages.")
    ] = 0,
    sweep: Annotated[bool, typer.Option("--sweep", help="Of retrieval: with other numbers of examples.")] = False,
    workers: Annotated[
        int, typer.Option("--workers", "-w", min=1, max=64, help="How many environments work at a time.")
    ] = 3,
    unsafe: Unsafe = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Try out the browser, a page, an application, a config or a benchmark; or what a run proposed or retrieves.

    The browser shows a page; of a page, 99% of what can be acted on has a reference; an application starts, and resets
    to the same state; every gold solution of a benchmark scores 1 and doing nothing 0. Of the tasks that a run
    proposed, those are counted that name things which exist; of its held-out tasks, those that are shown an example of
    what they ask for. Exits with 1 if anything fails.
    """
    from lbi.cli.check import check

    return check(what, name, checkout, task, all_, workers, json, quiet, sweep=sweep, unsafe=unsafe)


@_command
def models(
    action: Annotated[str, typer.Argument(help="list, fetch, try or remove.", metavar="ACTION")] = "list",
    name: Annotated[str, typer.Argument(help="Name of the catalogue; to try one, also a GGUF file.")] = "",
    json: Json = False,
) -> int:
    """List, fetch, try and remove language models that run on this machine.

    To try one says how many tokens per second it reads and writes here. A run fetches what it needs by itself.
    """
    from lbi.cli.models import models

    return models(action, name, json)


@_command
def init(
    url: Annotated[str, typer.Option(help="Where the application runs, such as http://localhost:3000.")],
    docs: Annotated[list[str], typer.Option(help="Its documentation: file, folder or URL; may be repeated.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Config file to write.")] = Path("lbi.toml"),
    tasks: Annotated[
        Path | None, typer.Option(help="Template for held-out tasks to write.", show_default="tasks.toml beside it")
    ] = None,
    force: Annotated[bool, typer.Option(help="Replace files that are there.")] = False,
) -> int:
    """Write a config for an application of your own.

    Checks first that the site answers, that the documents can be read, and that the browser works.
    """
    from lbi.cli.init import init

    return init(url, docs, out, tasks, force)


@_command
def grade(
    instances: Annotated[
        str, typer.Argument(help="Shipped benchmark, file of recipes, or a data set of SWE-bench's format.")
    ],
    predictions: Annotated[
        Path, typer.Option("--predictions", "-p", help="JSON or JSON Lines, as SWE-bench's tools write them.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File of grades.", show_default="PREDICTIONS.grades.json")
    ] = None,
    official: Annotated[
        bool, typer.Option("--official", help="Have the official package read each log too (362 MB the first time).")
    ] = False,
    workers: Annotated[int, typer.Option("--workers", "-w", min=1, max=64, help="Sandboxes at a time.")] = 2,
    unsafe: Annotated[bool, typer.Option("--unsafe", help="Run without a sandbox, on a copy.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Grade patches for repositories by running their tests.

    Do the tests that failed pass, and those that passed still? Each patch runs in a fresh sandbox, and none is graded
    twice. Exits with 1 if a patch could not be graded.
    """
    from lbi.cli.grade import grade_predictions

    return grade_predictions(instances, predictions, out, official, workers, unsafe, json, quiet)


tasks_ = typer.Typer(name="tasks", help="Make tasks out of a repository.", no_args_is_help=True)
app.add_typer(tasks_)


@functools.partial(_command, of=tasks_)
def mutate(
    repository: Annotated[Path, typer.Argument(help="Folder of a repository with pytest tests.", metavar="REPO")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File of tasks to write.")] = Path("mutations.jsonl"),
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many tasks to make.")] = 20,
    limit: Annotated[int, typer.Option(min=0, help="How many mutations to try; 0 = all.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the order in which mutations are tried.")] = 0,
    only: Annotated[list[str] | None, typer.Option(help="File or folder to mutate; may be repeated.")] = None,
    tests: Annotated[list[str] | None, typer.Option(help="File or folder of tests; may be repeated.")] = None,
    python: Annotated[
        Path | None, typer.Option(help="Interpreter with what it needs.", show_default="REPO/.venv's, else a fresh one")
    ] = None,
    with_: Annotated[
        list[str] | None, typer.Option("--with", help="Requirement of the fresh interpreter; may be repeated.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", "-w", min=1, max=64, help="Sandboxes at a time.")] = 2,
    seconds: Annotated[
        float, typer.Option(min=1, help="Time limit for all tests of the unchanged repository.")
    ] = 300.0,
    unsafe: Annotated[bool, typer.Option("--unsafe", help="Run without a sandbox, on a copy.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Put bugs into a repository on purpose, as tasks whose solution is known.

    Only those that break a test which passed before; the repository itself is not written to. Stopped or killed, the
    same command continues where it was.
    """
    from lbi.cli.mutate import MutationOptions, mutate

    options = MutationOptions(
        repository, out, count, limit, seed, only or [], tests or [], python, with_ or [], workers, seconds, unsafe
    )
    return mutate(options, json, quiet)

"""Commands that use what was learnt."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lbi.cli.base import command
from lbi.cli.parameters import (
    AgentToUse,
    AllowOffline,
    ArmToUse,
    Diverse,
    Ends,
    Instruction,
    Json,
    Kinds,
    MaxTokens,
    Mix,
    ModelToUse,
    OfSeeds,
    Quiet,
    Reasons,
    Replies,
    RunToUse,
    SeedToUse,
    Shuffled,
    Size,
    Tier,
    Validation,
)


@command
def act(
    run: RunToUse,
    instruction: Annotated[
        str, typer.Argument(help="What is to be done, in words; none with --span.", show_default=False)
    ] = "",
    span: Annotated[
        str,
        typer.Option("--span", metavar="ID", help="Carry out this verified example step by step; no model is asked."),
    ] = "",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A value of the span; may be repeated."),
    ] = None,
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
    has finished, 1 if it failed or cannot be done, 4 if the steps were used up. With --span: 0 if all steps were taken,
    1 if the page was another than in the example, and then the other steps are told.
    """
    from lbi.cli.act import ActOutput, act, values_of
    from lbi.environments import Live
    from lbi.rollouts.act import ActOptions
    from lbi.rollouts.learnt import Use

    use = Use(arm, agent, model, seed, Live(base_url, reset, headed))
    return act(
        run,
        instruction,
        ActOptions(use, steps, out, span, values_of(set_ or [])),
        ActOutput(confirm, dry_run, json, quiet),
    )


@command
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


@command
def serve(
    run: RunToUse,
    upstream: Annotated[
        str,
        typer.Option(
            "--upstream",
            metavar="URL",
            help="Also a proxy for the model at this address: https://api.openai.com/v1, https://api.anthropic.com.",
            show_default="no proxy",
        ),
    ] = "",
    mcp: Annotated[str, typer.Option("--mcp", help="http, or stdio for a client that starts the server.")] = "http",
    host: Annotated[str, typer.Option("--host", help="Address; another than loopback needs a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 = a free one.")] = 8640,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="Another name by which clients may call the server."),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-tokens",
            min=1,
            help="Tokens that the proxy adds to a request, at most.",
            show_default="as the run's own prompts",
        ),
    ] = None,
    look_up_ms: Annotated[
        int, typer.Option("--look-up-ms", min=1, help="Longer looked for, a request is passed on without examples.")
    ] = 1000,
    instruction: Annotated[
        str,
        typer.Option(
            "--instruction",
            metavar="REGEX",
            help="What the instruction is in an agent's first message: its group 1.",
            show_default="found by its usual marks",
        ),
    ] = "",
    rate: Annotated[int, typer.Option("--rate", min=1, help="Requests a minute of one client.")] = 6000,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for outcomes.", show_default="RUN/served")
    ] = None,
    log: Annotated[
        Path | None, typer.Option("--log", help="Log what passes into this file, masked.", show_default="nothing")
    ] = None,
    arm: ArmToUse = "backward",
    agent: AgentToUse = "",
    seed: SeedToUse = None,
) -> int:
    """Serve what was learnt to any other agent: as MCP tools, or by a proxy in front of its model.

    An agent that speaks MCP asks for examples itself. One that does not changes its base URL, and finds them in its
    requests. The token of a server on another address is read from LBI_SERVE_TOKEN. Ctrl-C stops it.
    """
    from lbi.cli.serve import serve, transport
    from lbi.interop.server.options import ServeOptions
    from lbi.rollouts.learnt import Use

    allowed = tuple(allow_host or ())
    options = ServeOptions(
        transport(mcp), upstream, host, port, allowed, max_tokens, look_up_ms, instruction, rate, out, log
    )
    return serve(run, Use(arm, agent, seed=seed), options)


@command
def skills(
    run: Annotated[Path, typer.Argument(help="Run folder.", metavar="RUN", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder.", show_default="RUN/skills")] = None,
    most: Annotated[int | None, typer.Option("--most", min=1, max=100, help="At most.", show_default="7")] = None,
    tokens: Annotated[
        int | None, typer.Option("--tokens", min=100, help="Of one skill, at most.", show_default="600")
    ] = None,
    into: Annotated[
        list[Path] | None,
        typer.Option("--into", metavar="FILE", help="Put a block that names them into this AGENTS.md or CLAUDE.md."),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            help="Words them, as PROVIDER:NAME; offline makes them of operations that recur.",
            show_default="who labels",
        ),
    ] = "",
    all_: Annotated[bool, typer.Option("--all", help="Also those that paired runs do not show to help.")] = False,
    seed: SeedToUse = None,
    json: Json = False,
) -> int:
    """Write what verified examples teach as Agent Skills, for any agent that reads these.

    Grouped by what users do, each statement with the examples behind it. A skill that was measured is written only if
    runs with it did better than the same runs without it.
    """
    from lbi.cli.skills import skills
    from lbi.interop.skills.make import SkillOptions

    return skills(run, SkillOptions(out, most, tokens, model, seed, tuple(into or ()), all_), json)


@command
def knowledge(
    run: Annotated[Path, typer.Argument(help="Run folder.", metavar="RUN", show_default=False)],
    action: Annotated[
        str,
        typer.Argument(
            help="list, show ID, update, refresh, retire ID, restore ID, diff VERSION [VERSION], rollback VERSION."
        ),
    ] = "list",
    names: Annotated[
        list[str] | None, typer.Argument(help="Ids, of which the first characters do, or versions.", show_default=False)
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why, of retire and restore.")] = "",
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Look after what was learnt: what it was good for, what is live, and every way back.

    update counts what evaluations and servers saw, retires what keeps hurting, lets sink what is not used, and makes
    one of near-duplicates. refresh looks for documents and pages that changed, and carries out again what they concern.
    """
    from lbi.cli.knowledge import knowledge

    return knowledge(run, action, names or [], reason, json, quiet)


@command
def export(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    format: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            help="trl, trl_masked, dpo, openai, sharegpt, axolotl, verl, adp, atif, datasets, jsonl, parquet, "
            "predictions, results; harbor, verifiers.",
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
    reasons: Reasons = "fitting",
    seed: Annotated[int, typer.Option("--seed", help="Of what is chosen.")] = 0,
    max_chars: Annotated[
        int, typer.Option("--max-chars", min=1, help="Characters of a row; older steps go first.")
    ] = 32_000,
    allow_offline: AllowOffline = False,
    replies: Replies = "text",
    ends: Ends = True,
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
    With harbor and verifiers: tasks on the application, with the checks of its state, for agents of others.
    With results: each held-out task's score and trajectory, in folders as OSWorld's runner leaves them.
    """
    from lbi.cli.export import ExampleChoice, ExportOptions, export
    from lbi.training.export.choose import Selection, parse_mix, parse_reasons

    options = ExportOptions(format, out, rows, validation, tokenizer, max_chars, replies, ends, allow_offline, dry_run)
    selection = Selection(size, max_tokens, parse_mix(mix), diverse, shuffled, seed, parse_reasons(reasons))
    return export(run, options, ExampleChoice(tier, kinds, seeds), selection, json)


@command
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
    replies: Replies = "text",
    ends: Ends = True,
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
    reasons: Reasons = "fitting",
    seed: Annotated[int, typer.Option("--seed", help="Of the adapter, the order of rows, and what is chosen.")] = 0,
    allow_offline: AllowOffline = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be trained on, and in how many steps; write nothing.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Train a model on the examples of a run.

    The result is a model like any other: --model local:RUN/adapter. The defaults are the paper's recipe. Stopped or
    killed, the same command continues from its last checkpoint.
    """
    from lbi.cli.export import ExampleChoice
    from lbi.cli.train import TrainOptions, train_model
    from lbi.training.export.choose import Selection, parse_mix, parse_reasons

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
    options = TrainOptions(source, model, out, max_chars, replies, ends, validation, allow_offline, dry_run, quiet)
    selection = Selection(size, max_tokens, parse_mix(mix), diverse, shuffled, seed, parse_reasons(reasons))
    return train_model(options, ExampleChoice(tier, kinds, seeds), selection, settings, json)


@command
def grade(
    instances: Annotated[
        str,
        typer.Argument(help="Shipped or installed benchmark, file of recipes, or a data set of SWE-bench's format."),
    ],
    predictions: Annotated[
        Path,
        typer.Option("--predictions", "-p", help="JSON or JSON Lines of SWE-bench's tools; another's own results."),
    ],
    checkout: Annotated[str, typer.Option("--checkout", help="What the benchmark does not bring.")] = "",
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
    """Grade patches for repositories by running their tests, or read the results of another benchmark's runner.

    Do the tests that failed pass, and those that passed still? Each patch runs in a fresh sandbox, and none is graded
    twice. Exits with 1 if a patch could not be graded, or a task has no result.
    """
    from lbi.cli.grade import grade_predictions
    from lbi.cli.results import grade_results
    from lbi.evaluation.benchmark import is_plug_in

    if is_plug_in(instances):
        return grade_results(instances, predictions, checkout, json)
    return grade_predictions(instances, predictions, out, official, workers, unsafe, json, quiet)

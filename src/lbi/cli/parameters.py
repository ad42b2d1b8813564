"""Arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
        "--workers", "-w", min=1, max=2_000, help="How many environments work at a time.", show_default="the config's"
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
Ray = Annotated[
    str,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Run environments on the machines of a Ray cluster: HOST:PORT, or auto (extra: ray).",
        show_default=False,
    ),
]
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
Reasons = Annotated[
    str,
    typer.Option(
        "--reasons", help="Learn why the agent acted: fitting (where it had this instruction), all or none of them."
    ),
]
Replies = Annotated[
    str,
    typer.Option(
        "--replies", help="How replies are written: text (REASON, ACTION) or json, which engines can hold a model to."
    ),
]
Ends = Annotated[
    bool,
    typer.Option("--ends/--no-ends", help="Of rows of steps: also some that end the task, as often as roll-outs end."),
]

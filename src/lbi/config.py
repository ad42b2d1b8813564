"""A run's config: TOML file + command line -> one frozen record, with defaults that work.

Everything that is wrong with a config is told at once: each unknown key with the nearest known one, each bad value.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, ValidationError, model_validator

from lbi.documents.corpus import DocumentSource
from lbi.errors import UserError
from lbi.models.pricing import Price
from lbi.protocols import PARTS_OF_A_RUN, Part, PromptLimits
from lbi.records import Tier
from lbi.storage.names import address_problem, name_problem
from lbi.storage.secrets import learn_addresses_in
from lbi.storage.toml import LONGEST, TomlError, parse_toml
from lbi.storage.validation import problems, several

Data = Literal["none", "forward", "backward", "composed", "shuffled"]

MOST_STEPS = 500  # of one episode
MOST_ROLLOUTS = 100_000  # of one seed
MOST_SEEDS = 100
MOST_WORKERS = 64  # on one machine
MOST_WORKERS_OF_A_CLUSTER = 2_000
LAST_SEED = 2**32 - 1


def _named(name: str) -> str:
    if problem := name_problem(name):
        raise ValueError(problem)
    return name


def _addressed(address: str) -> str:
    if address and (problem := address_problem(address)):
        raise ValueError(problem)
    return address


Name = Annotated[str, AfterValidator(_named)]
Address = Annotated[str, AfterValidator(_addressed)]
Share = Annotated[float, Field(ge=0, le=1)]
Steps = Annotated[StrictInt, Field(ge=1, le=MOST_STEPS)]
Shown = Annotated[StrictInt, Field(ge=0, le=1_000)]
Length = Literal["short", "medium", "long"]  # of an example, by its steps
LabelKind = Literal["abstract", "summary"]
Ranking = Literal["", "lexical", "dense", "hybrid"]
Characters = Annotated[StrictInt, Field(ge=200, le=10_000_000)]
Seed = Annotated[StrictInt, Field(ge=0, le=LAST_SEED)]


class ConfigTable(BaseModel):
    """A table of the config file."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Models(ConfigTable):
    """Which model plays which role, as ``provider:name``."""

    default: str = "offline"
    propose: str = ""
    act: str = ""
    label: str = ""
    query: str = ""
    judges: tuple[str, ...] = ()
    base_url: Address = ""
    """Address of an OpenAI-compatible server."""
    structured: tuple[Part, ...] | None = None
    """Who replies in JSON by a schema that the provider enforces: propose, act, query, label, judge. Where nothing is
    said, all do at the providers' own endpoints, and none at a server of one's own. A model that takes no schema is
    asked in the prompts' own form."""
    images: tuple[Part, ...] = PARTS_OF_A_RUN
    """Who is shown the screenshots that there are; a model that takes no images must not be."""
    image_side: int = Field(default=1280, ge=64, le=2000)
    """Pixels of the longer side of a screenshot, as it is sent; larger ones are made smaller."""
    embeddings: str = ""
    """Look-up by meaning beside BM25: "local" = the encoder of this machine (lbi.models.sentence_encoder), otherwise a
    model of an OpenAI-compatible /v1/embeddings endpoint; empty = by words alone, which found more (decision 0034)."""
    embeddings_url: Address = ""
    batch: tuple[Literal["label", "judge"], ...] = ()
    """Whose calls wait for the provider's batch interface, which is half the price and may take a day. Of the judges',
    those that filter examples do."""
    prices: dict[str, Price] = Field(default_factory=dict)
    """US dollars per million tokens by model, as ``[input, output]`` or with cached and written input, a date and a
    source as a table; wins over the price list."""
    budget: float | None = Field(default=None, ge=0)
    """US dollars; hard."""
    timeout: float = Field(default=120.0, gt=0)
    """Seconds for one request; a large model on a small machine of one's own may need more."""

    def of(self, role: str) -> str:
        """The model of propose, act, query, or of abstract and summarise (``label``)."""
        return {"propose": self.propose, "act": self.act, "query": self.query}.get(role, self.label) or self.default

    def all(self) -> tuple[str, ...]:
        """Every model that a run asks, once, but for those of single arms."""
        roles = [self.of(role) for role in ("propose", "act", "query", "label")]
        return tuple(dict.fromkeys((*roles, *(self.judges or (self.default,)))))


class Synthesis(ConfigTable):
    """Documents -> tasks -> trajectories -> examples."""

    tasks_per_document: StrictInt = Field(default=3, ge=1, le=100)
    tasks_per_round: StrictInt = Field(default=24, ge=0, le=MOST_ROLLOUTS)
    """Tasks proposed in one round. They are attempted before the next round is proposed, which is told what earlier
    ones covered; 0 = all tasks in one round."""
    map_pages: StrictInt = Field(default=16, ge=0, le=200)
    """Pages that are looked at before tasks are proposed, for the map of the application that their writer is shown;
    0 = no map."""
    rollouts: StrictInt = Field(default=120, ge=1, le=MOST_ROLLOUTS)
    """Roll-outs per seed. Tasks are proposed from as many sections as that takes, taken in turns over the documents;
    where there are fewer tasks, they are attempted again with another sample. A run can be extended with more."""
    seeding: Literal["documents", "environment"] = "documents"
    """What tasks are proposed from: sections of the documentation, or the pages that a look around the application
    found (``map_pages`` of them); the paper compares the two."""
    agent: str = ""
    """Which agent attempts the tasks; empty = the one that explores such environments without asking the model, where
    the model's provider names one, else ``react``."""
    step_limit: Steps = 18
    spans_per_trajectory: StrictInt = Field(default=12, ge=1, le=MOST_ROLLOUTS)
    """How many spans are labelled with ``labelling.spans = "informative"``: those that add most."""
    kinds: tuple[LabelKind, ...] = ("abstract",)
    filters: tuple[str, ...] = ("repeat", "loop", "net_effect", "committee", "replay")
    compose: StrictInt = Field(default=60, ge=0, le=MOST_ROLLOUTS)
    """The most composed examples that are replayed; 0 = none."""


class Labelling(ConfigTable):
    """How spans are labelled. All of it saves tokens, and each can be switched off (docs/labelling.md)."""

    spans: Literal["informative", "all"] = "all"
    """``all`` = every i < j; ``informative`` = those that add most, at most ``synthesis.spans_per_trajectory``: a
    smaller bill, of which each example bears more."""
    whole: bool = True
    """Labellers are shown the whole trajectory and told which spans are meant, so all its requests begin alike; without
    it, only the pages from the first to the last that are asked about."""
    together: StrictInt = Field(default=16, ge=1, le=1_000)
    """Spans that are labelled in one call, without ``whole`` of one start; 1 = every span in a call of its own."""
    differences: bool = True
    """Of a page that resembles an earlier one, labellers and judges are sent only what changed."""
    ordered: bool = True
    """Of requests that begin alike the first is finished before others are sent, so that prompt caches know it."""


class Retrieval(ConfigTable):
    """Examples per step."""

    m1: Shown = 5
    m2: Shown = 5
    m3: Shown = 0
    """By the content of the pages that they were carried out on; not in the paper."""
    documents: Shown = 5


class Prompts(ConfigTable):
    """The most that prompts hold of each thing, in characters; four are about one token. Small models read slowly, and
    make less of long prompts."""

    knowledge: Characters = 24_000
    """Examples and documents together; the lowest ranked go first."""
    examples: Characters = 800
    """Of the examples of one look-up; those of the last three are shown."""
    example: Characters = 500
    """Of one example, unless its steps take more."""
    history: Characters = 16_000
    """Of outputs of earlier commands; the oldest are named only. Of earlier pages only changes are told."""
    observation: Characters = 24_000
    """Of the current page; of a longer one the middle is left out."""
    labelled: Characters = 6_000
    """Of each page of a trajectory that is labelled or judged."""
    document: Characters = 24_000
    """Of a section that tasks are proposed from."""
    map: Characters = 6_000
    """Of the map of the application that is shown beside it."""
    covered: Characters = 3_000
    """Of what earlier rounds proposed, and of what was carried out; each."""


class SkillSettings(ConfigTable):
    """Skills that are written from verified examples (docs/skills.md)."""

    most: StrictInt = Field(default=7, ge=1, le=100)
    """How many; those of the parts of the application that most roll-outs used."""
    tokens: StrictInt = Field(default=600, ge=100, le=100_000)
    """Of one skill, front matter included, at four bytes each."""
    shown: StrictInt = Field(default=2, ge=1, le=20)
    """Of an arm with skills, how many an agent is shown for a task: those that fit the instruction best."""


class ArmRetrieval(NamedTuple):
    """The most examples that an arm's agent finds by the page, by the query and by content; who writes the query."""

    m1: int
    m2: int
    m3: int
    asks: bool  # the model; else the instruction is the query


class Among(NamedTuple):
    """Which of the examples of an arm's data it may retrieve from; empty = any."""

    lengths: tuple[Length, ...] = ()
    kinds: tuple[LabelKind, ...] = ()
    tier: Tier = "unverified"  # or a higher one
    without: tuple[str, ...] = ()  # filters whose verdict does not count
    part: tuple[str, ...] = ()  # none with a page at an address like these


class Arm(ConfigTable):
    """One row of the results table: an agent, the data it may retrieve from, and its step limit."""

    name: Name
    agent: str
    data: Data = "none"
    step_factor: float = Field(default=1.0, gt=0, le=100)
    spends_as: str = ""
    """The arm as whose episode on the same task and seed it may spend as many tokens (calls, where the model counts no
    tokens), in place of a step limit or a number of tries: what a control is given. Measured after that arm."""
    model: str = ""
    """Acts and writes queries in this arm, such as a tuned one; empty = the run's."""
    skills: bool = False
    """Shows the skills that fit the instruction. Compared with the arm that is the same without them."""
    by: Literal["both", "instruction", "observation", "model"] = "both"
    """How examples are looked up: by the instruction alone, which finds the same ones at every step; by the page; by a
    query that the model writes; or by the page and such a query (paper, sec. 2.4 and 4.1)."""
    ranking: Ranking = ""
    """By what examples are compared with a request: lexical = words (BM25), dense = vectors (``models.embeddings``),
    hybrid = both; empty = both where ``models.embeddings`` is set, else words. Pages are compared by words."""
    k: Shown | None = None
    """The most examples that each way of looking up finds, in place of ``retrieval.m1`` and ``m2``; 0 = none."""
    share: Share = 1.0
    """Only examples of this share of the roll-outs; a smaller share is a part of a larger one."""
    lengths: tuple[Length, ...] = ()
    """Only examples of these lengths: short (under 5 steps), medium (5 to 9), long (10 or more); empty = of any."""
    kinds: tuple[LabelKind, ...] = ()
    """Only examples whose instruction is of these kinds; empty = both. Synthesis must have made them."""
    tier: Tier = "unverified"
    """Only examples of this tier or a higher one: committee, replayed, checked."""
    without: tuple[str, ...] = ()
    """Filters that are off: what one of them dropped is taken all the same, if no other filter dropped it. Filters
    after it did not see such an example."""
    own_part: bool = True
    """Whether it has examples of the part of the application that ``evaluation.part`` names."""

    def among(self, evaluation: Evaluation) -> Among:
        part = () if self.own_part else evaluation.part
        return Among(self.lengths, self.kinds, self.tier, self.without, part)

    def retrieval(self, usual: Retrieval) -> ArmRetrieval:
        """What its agent looks up, where the run's ``[retrieval]`` is ``usual``."""
        m1, m2 = (usual.m1, usual.m2) if self.k is None else (self.k, self.k)
        by_page, by_query = self.by in ("both", "observation"), self.by != "observation"
        return ArmRetrieval(
            m1=m1 if by_page else 0,
            m2=m2 if by_query else 0,
            m3=usual.m3 if self.by == "both" and self.k is None else 0,
            asks=by_query and m2 > 0 and self.by != "instruction",
        )


ARMS = (
    Arm(name="baseline", agent="react"),
    Arm(name="baseline, extra steps", agent="react", step_factor=2.0),
    Arm(name="rag", agent="rag"),
    Arm(name="forward", agent="icl", data="forward"),
    Arm(name="backward", agent="icl", data="backward"),
    Arm(name="backward + composed", agent="icl", data="composed"),
    Arm(name="labels shuffled", agent="icl", data="shuffled"),
)
#: known by name as well, and measured where a config names them
FURTHER_ARMS = (
    Arm(name="skill", agent="react", skills=True),
    Arm(name="examples + skill", agent="icl", data="backward", skills=True),
)


class Evaluation(ConfigTable):
    """Held-out tasks x arms x seeds."""

    tasks: StrictInt = Field(default=0, ge=0, le=MOST_ROLLOUTS)
    """How many held-out tasks, spread over categories and levels; 0 = all. A run can be extended with more."""
    step_limit: Steps = 15
    arms: tuple[Arm, ...] = Field(default=ARMS, max_length=100)
    reference: str = "baseline"
    growth: tuple[Share, ...] = Field(default=(), max_length=100)
    """Shares of the data at which the growth arm is measured too."""
    growth_arm: str = "backward"
    part: tuple[str, ...] = ()
    """Addresses of one part of the application, such as "/wiki*", for arms without examples of it (``own_part``)."""

    @model_validator(mode="after")
    def _arms_take_steps(self) -> Evaluation:
        for arm in self.arms:
            if not 1 <= round(self.step_limit * arm.step_factor) <= MOST_STEPS:
                raise ValueError(
                    f"step_limit x step_factor of the arm {arm.name!r} is {self.step_limit * arm.step_factor:g}; "
                    f"an episode has 1 to {MOST_STEPS} steps"
                )
            if arm.spends_as and not any(each.name == arm.spends_as and not each.spends_as for each in self.arms):
                raise ValueError(
                    f"the arm {arm.name!r} spends as {arm.spends_as!r}, which is no arm that spends as it likes"
                )
            if not arm.own_part and not self.part:
                raise ValueError(
                    f"the arm {arm.name!r} leaves out a part of the application; name it in evaluation.part"
                )
        return self


class Web(ConfigTable):
    """Options of the environment ``web`` that are no part of the application."""

    screenshots: bool = False


class Shell(ConfigTable):
    """Options of the environment ``shell``: a repository, and what its sandbox is like."""

    repository: str = ""
    """Folder of the repository; it is never written to."""
    backend: str = "auto"
    """``auto`` and ``bubblewrap`` (this machine), ``podman:IMAGE`` or ``docker:IMAGE``."""
    unsafe: bool = False
    """Run commands on this machine without any sandbox, on a copy."""
    seconds: float = Field(default=60.0, gt=0)
    """Of one command."""
    memory: int = Field(default=2048, gt=0)
    """MiB, of all processes of an episode together."""
    disk: int = Field(default=1024, gt=0)
    """MiB that an episode may write; they are kept in memory."""
    processes: int = Field(default=256, gt=0)
    output: int = Field(default=10_000, gt=100)
    """Characters of output that are shown; of more, the middle is left out."""
    binds: tuple[str, ...] = ()
    """Folders of this machine that are visible inside, read-only: tools, the Python of a virtual environment."""
    env: dict[str, str] = Field(default_factory=dict)
    """Variables of the shell; none of this process's own are passed on."""


class Cluster(ConfigTable):
    """Other machines that environments run on (docs/scale.md). What is said here decides nothing but where."""

    ray: str = ""
    """Address of a Ray cluster, HOST:PORT, or ``auto`` for the one that this machine is part of; empty = none."""
    cores: float = Field(default=1.0, gt=0, le=1_000)
    """Of one environment, as the cluster counts them; a browser that mostly waits takes a part of one."""
    memory: int = Field(default=1024, gt=0)
    """MiB of one environment."""
    resources: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    """What else one environment takes, by the names that ``ray start --resources`` gave. One ``browser`` or ``desktop``
    is taken by itself where a machine has such."""
    autoscales: bool = False
    """Machines are added as they are asked for, so a cluster in which none is large enough yet is waited for."""


def _addressed_by_fsspec(url: str) -> str:
    if url and "://" not in url:
        raise ValueError("should be an address such as s3://BUCKET/PREFIX; empty = the run folder")
    return url


class Storage(ConfigTable):
    """Where a run keeps what is large (docs/scale.md)."""

    images: Annotated[str, AfterValidator(_addressed_by_fsspec)] = ""
    """Address of a folder for screenshots that fsspec opens, such as s3://BUCKET/PREFIX; empty = in the run folder."""


class Config(ConfigTable):
    """The whole run."""

    name: Name = "run"
    environment: str = "web"
    application: str = ""
    """Shipped application or path of its TOML file; empty with ``url`` for a site that is already running."""
    url: Address = ""
    benchmark: str | tuple[str, ...] = ""
    """Shipped benchmark or path of a TOML file, or several for one application; empty = held-out synthesised tasks
    judged by the committee."""
    checkout: str = ""
    """File or folder of what a benchmark does not bring: its repository, or where its sites are and how to log in."""
    documents: tuple[DocumentSource, ...] = ()
    """In addition to those that the application names."""
    seeds: tuple[Seed, ...] = Field(default=(0,), min_length=1, max_length=MOST_SEEDS)
    workers: StrictInt = Field(default=4, ge=1, le=MOST_WORKERS_OF_A_CLUSTER)
    models: Models = Models()
    synthesis: Synthesis = Synthesis()
    labelling: Labelling = Labelling()
    retrieval: Retrieval = Retrieval()
    prompts: Prompts = Prompts()
    skills: SkillSettings = SkillSettings()
    evaluation: Evaluation = Evaluation()
    web: Web = Web()
    shell: Shell = Shell()
    cluster: Cluster = Cluster()
    storage: Storage = Storage()

    @model_validator(mode="after")
    def _seeds_differ(self) -> Config:
        if twice := next((seed for seed in self.seeds if self.seeds.count(seed) > 1), None):
            raise ValueError(f"seeds: {twice} is there twice; the same seed gives the same results")
        return self

    @model_validator(mode="after")
    def _vectors_have_an_embedder(self) -> Config:
        for arm in self.evaluation.arms:
            if arm.ranking in ("dense", "hybrid") and not self.models.embeddings:
                raise ValueError(
                    f'the arm {arm.name!r} ranks by vectors (ranking = "{arm.ranking}"); name what makes them in '
                    'models.embeddings, such as "local"'
                )
        return self

    @model_validator(mode="after")
    def _workers_have_room(self) -> Config:
        if self.workers > MOST_WORKERS and not self.cluster.ray:
            raise ValueError(
                f"workers: {self.workers} are too many for one machine, which takes {MOST_WORKERS}; --ray ADDRESS "
                "spreads them over a cluster"
            )
        return self

    def all_models(self) -> tuple[str, ...]:
        """Every model that the run asks, once."""
        return tuple(dict.fromkeys((*self.models.all(), *(arm.model for arm in self.evaluation.arms if arm.model))))

    @property
    def limits(self) -> PromptLimits:
        """What the prompts of the run's models may hold, and in which form they reply."""
        return PromptLimits(
            differences=self.labelling.differences,
            structured=self.models.structured,
            images=self.models.images,
            image_side=self.models.image_side,
            **self.prompts.model_dump(),
        )

    def identity(self) -> dict[str, Any]:
        """What decides the meaning of the records: everything but workers, machines, budget and a model's time."""
        return self.model_dump(
            mode="json", exclude={"workers": True, "cluster": True, "storage": True, "models": {"budget", "timeout"}}
        )


def load_config(file: Path, overrides: dict[str, Any] | None = None) -> Config:
    """Read a config file. ``overrides`` are dotted keys: {"models.default": "openai:gpt-5"}."""
    try:
        raw = parse_toml(_text(file))
    except FileNotFoundError:
        raise UserError(
            f"no config file {file}; `lbi init` writes one, `lbi list configs` names those shipped"
        ) from None
    except (OSError, UnicodeDecodeError, TomlError) as error:
        raise UserError(f"cannot read the config {file}: {error}") from None
    return resolve(raw, str(file), overrides, base=file.parent)


def _text(file: Path) -> str:
    """A config is a file of a usual size; a device or a pipe may have no end."""
    if file.exists() and not file.is_file():
        raise OSError("not a regular file")
    with file.open(encoding="utf-8") as opened:
        return opened.read(LONGEST + 1)


def resolve(
    raw: dict[str, Any], where: str, overrides: dict[str, Any] | None = None, *, base: Path | None = None
) -> Config:
    """Validate a config and turn paths that are relative to its file into absolute ones."""
    for dotted, value in (overrides or {}).items():
        _put(raw, dotted, value, where)
    if base is not None:
        anchor(raw, base)
    learn_addresses_in(raw)
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        raise several(where, problems(error, Config)) from None


def with_defaults(stored: dict[str, Any]) -> dict[str, Any]:
    """The identity of a config that an older version stored: options that did not exist then have their defaults.

    A config that this version cannot read is returned as it is.
    """
    try:
        return Config.model_validate(stored).identity()
    except ValidationError:
        return stored


def _put(raw: dict[str, Any], dotted: str, value: Any, where: str) -> None:
    *parents, leaf = parts_of(dotted)
    table = raw
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise UserError(f"{where}: cannot set {dotted!r}: {parent!r} is not a table")
    table[leaf] = value


def parts_of(dotted: str) -> list[str]:
    """The parts of a dotted key as TOML reads it: ``models.prices."openai:gpt-4.1"`` has three."""
    try:
        table: Any = parse_toml(f"{dotted} = 0")
    except TomlError:
        raise UserError(f'"{dotted}" is no key; a key is written such as evaluation.tasks') from None
    parts = []
    while isinstance(table, dict) and len(table) == 1:
        ((part, table),) = table.items()
        parts.append(part)
    return parts


def anchor(raw: dict[str, Any], base: Path) -> None:
    """Turn the relative paths of a config, which are meant from the folder ``base``, into absolute ones."""
    for key in ("application", "benchmark"):
        if (value := raw.get(key)) is None:
            continue
        raw[key] = [_at(base, one) for one in value] if isinstance(value, list) else _at(base, value)
    if isinstance(checkout := raw.get("checkout"), str) and checkout:
        raw["checkout"] = _real(base, checkout)
    shell = raw.get("shell", {})
    if isinstance(shell, dict) and isinstance(folder := shell.get("repository"), str) and folder:
        shell["repository"] = _real(base, folder)
    sources = raw.get("documents", [])
    for source in sources if isinstance(sources, list) else []:
        path = source.get("path", "") if isinstance(source, dict) else ""
        if isinstance(path, str) and path and "://" not in path:
            source["path"] = _real(base, path)


def _at(base: Path, value: Any) -> Any:
    """A file's path from where the config lies; a shipped name stays."""
    if isinstance(value, str) and value.endswith((".toml", ".json", ".jsonl", ".parquet")):
        return _real(base, value, home=False)
    return value


def _real(base: Path, path: str, *, home: bool = True) -> str:
    """An absolute path, as far as links lead anywhere; what is none stays as it was written, and is not found."""
    try:
        return os.path.realpath(base / (Path(path).expanduser() if home else path))
    except (RuntimeError, ValueError):  # a home of nobody, a zero byte
        return path

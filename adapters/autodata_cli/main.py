"""The `autodata` command. Errors are one clear line; exit 0 done, 1 error, 2 usage, 75 locked, 130 interrupted."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

# Before any host is imported: both are read once, at import.
os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")
os.environ.setdefault("ANONYMIZED_TELEMETRY", "False")

from autodata_core.errors import AutodataError

__all__ = ["app", "main"]

app = typer.Typer(
    name="autodata",
    help="Training and evaluation data that teaches, with a filter you can check.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
models_app = typer.Typer(help="Models that run on this machine.", no_args_is_help=True)
app.add_typer(models_app, name="models")
recipe_app = typer.Typer(help="The recipe versions of `autodata optimize`.", no_args_is_help=True)
app.add_typer(recipe_app, name="recipe")

RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE.toml", help="The recipe file.")]
RunFolderPath = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run.")]


@app.command()
def run(
    recipe: RecipePath,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the run; the same command resumes it.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after so many accepted rows.")] = None,
    budget_usd: Annotated[float | None, typer.Option(min=0, help="Most money, in place of the recipe's.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=1024, help="Items in flight at once.")] = 8,
    preview: Annotated[
        int | None, typer.Option(min=1, help="Only try so many items, show them, and write nothing.")
    ] = None,
    fork: Annotated[
        Path | None,
        typer.Option(
            "--fork", metavar="NEWDIR", help="Go on here with what --out has paid for, by the recipe as it is now."
        ),
    ] = None,
    replay: Annotated[
        bool, typer.Option("--replay", help="Make --out again from its journal, offline, and say what differs.")
    ] = False,
) -> None:
    """Make a data set. Run the same command again to go on after a stop."""
    from autodata_cli.progress import Display
    from autodata_cli.reporting import read_report, report_text
    from autodata_cli.running import Run, run_recipe
    from autodata_cli.steering import notes_of
    from autodata_cli.workspace import open_workspace
    from autodata_core.roles import conflicts

    if preview is not None:
        _preview(recipe, preview, budget_usd, concurrency)
        return
    if replay:
        _replay(recipe, out)
        return
    workspace = open_workspace(recipe)
    for skipped in workspace.sources.skipped:
        typer.echo(f"skipped {skipped.id}: {skipped.reason}", err=True)
    for conflict in conflicts(workspace.rules.protocol.models):
        typer.echo(f"mind: {conflict}", err=True)
    for note in notes_of(workspace, None):
        typer.echo(f"mind: {note}", err=True)
    job = Run(workspace, out, limit=limit, budget_usd=budget_usd, concurrency=concurrency, fork=fork)
    items = workspace.items
    with Display(job, items) as display:
        job.on_event = display.hear
        result = run_recipe(job)
    typer.echo(report_text(read_report(result.folder)))
    if result.dataset.note:
        typer.echo(f"{'note':<14}{result.dataset.note}")
    typer.echo(f"{'rows':<14}{result.folder / 'dataset.jsonl'}")
    raise typer.Exit(result.exit_code)


def _replay(recipe: Path, out: Path) -> None:
    """Make a run again from its journal and compare."""
    from autodata_cli.replaying import replay_run

    result = replay_run(recipe, out)
    for difference in result.differences:
        typer.echo(difference)
    if result.differences:
        raise AutodataError(f"The replay of {out} differs in {len(result.differences)} places; see above.")
    typer.echo(f"{'replayed':<14}{result.items} items, {result.rows} rows: dataset.jsonl is the same, byte for byte")
    typer.echo(f"{'sha256':<14}{result.sha256}")


def _preview(recipe: Path, items: int, budget_usd: float | None, concurrency: int) -> None:
    """Run the first items in a folder that is thrown away."""
    from dataclasses import replace

    from autodata_adapters.sources import LoadedSources
    from autodata_cli.reporting import estimate_text, open_finished_run, read_report, report_text, row_text
    from autodata_cli.running import Run, run_recipe
    from autodata_cli.workspace import open_workspace

    workspace = open_workspace(recipe)
    whole = workspace.items
    few = LoadedSources(workspace.sources.sources[:items], workspace.sources.skipped)
    once = workspace.file.sources.model_copy(update={"examples_per_source": -(-items // len(few.sources))})
    workspace = replace(workspace, sources=few, file=workspace.file.model_copy(update={"sources": once}))
    with tempfile.TemporaryDirectory(prefix="autodata-preview-") as folder:
        out = Path(folder) / "run"
        result = run_recipe(Run(workspace, out, budget_usd=budget_usd, concurrency=concurrency))
        with open_finished_run(out) as store:
            rows = store.examples()
        for example in rows:
            typer.echo(row_text(example) + "\n")
        report = read_report(out)
        typer.echo(report_text(report))
        if (finished := sum(report.summary.items.values())) and whole > finished:
            typer.echo(f"{'whole run':<14}{estimate_text(report, finished, whole)}")
        typer.echo(f"{'preview':<14}nothing was written; `autodata run` starts from the beginning")
    raise typer.Exit(result.exit_code)


@app.command()
def check(
    recipe: RecipePath,
    budget_usd: Annotated[float | None, typer.Option(min=0, help="Most money, in place of the recipe's.")] = None,
) -> None:
    """See whether a recipe can run: sources, verifiers, models, cost. At most one call a model."""
    from autodata_cli.checking import check_workspace
    from autodata_cli.workspace import open_workspace

    workspace = open_workspace(recipe)
    usd = budget_usd if budget_usd is not None else workspace.file.budget.usd
    bad = 0
    for finding in check_workspace(workspace, usd):
        typer.echo(f"{'ok' if finding.ok else 'FAILED':<8}{finding.name:<18}{finding.detail}")
        bad += not finding.ok
    if bad:
        raise AutodataError(f"{bad} of the checks failed; see above.")


@app.command()
def report(
    folder: RunFolderPath,
    html: Annotated[
        bool, typer.Option("--html", help="Write report.html, one page for a browser that needs nothing else.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where the page goes, if not into DIR.")
    ] = None,
) -> None:
    """Say what a run gave: yield, refusals by kind, gap, rounds, tokens, cost, time."""
    from autodata_cli.reporting import read_report, report_text

    if html or out is not None:
        from autodata_cli.report_page import write_report_page

        typer.echo(str(write_report_page(folder, out)))
        return
    typer.echo(report_text(read_report(folder)))


@app.command()
def export(
    folder: RunFolderPath,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="File to write.")],
    format: Annotated[str, typer.Option("--format", metavar="FORMAT", help="jsonl or parquet.")] = "jsonl",
    human: Annotated[
        Path | None, typer.Option(metavar="FILE.jsonl", help="Rows that people wrote, to mix in at --share.")
    ] = None,
    map: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="FIELD=PATH", help="Where a field of the human rows stands, such as question=q."),
    ] = None,
    share: Annotated[
        float | None, typer.Option(min=0, max=0.99, metavar="SHARE", help="Of human rows in the file: 0.2 is a fifth.")
    ] = None,
    by: Annotated[
        str, typer.Option("--by", metavar="WHAT", help="Keep the share within each topic or question_type; or none.")
    ] = "topic",
    seed: Annotated[int, typer.Option(min=0, metavar="K", help="Chooses human rows and the order.")] = 0,
    evaluation: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE.jsonl", help="Take out rows that stand in this evaluation set. Repeatable."),
    ] = None,
) -> None:
    """Write the accepted rows to a file."""
    from autodata_adapters.sources.mapped import parse_mapping
    from autodata_cli.exporting import FORMATS, STRATA, Export, export_rows, export_text

    for name, value, known in (("--format", format, FORMATS), ("--by", by, STRATA)):
        if value not in known:
            raise typer.BadParameter(f"unknown {value!r}; known: {', '.join(known)}", param_hint=name)
    if (human is None) != (share is None):
        raise typer.BadParameter("--human FILE and --share SHARE go together: which rows, and how many of them")
    job = Export(folder, out, format, human, share or 0.0, by, seed, tuple(evaluation or ()), parse_mapping(map or ()))
    typer.echo(export_text(export_rows(job)))


@app.command()
def coverage(
    folder: RunFolderPath,
    json: Annotated[bool, typer.Option("--json", help="Print the report as one line of JSON.")] = False,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Make the index of questions anew from the run.")] = False,
) -> None:
    """Say what a run covers and lacks, and what to do. Writes coverage.json where the folder lets it."""
    from autodata_cli.covering import coverage_line, read_coverage, rebuild_coverage, write_coverage
    from autodata_core.coverage import report_text

    if rebuild:
        typer.echo(f"{rebuild_coverage(folder)} questions in {folder / 'coverage'}", err=json)
    found = read_coverage(folder)
    typer.echo(coverage_line(found) if json else report_text(found.report))
    try:
        path = write_coverage(folder, found)
    except AutodataError as error:
        typer.echo(f"not kept: {error}", err=True)  # a folder that may only be read can be looked at all the same
    else:
        typer.echo(f"wrote {path}", err=True)


@app.command()
def verify(folder: RunFolderPath) -> None:
    """Recompute every hash and verdict of a run, and name the rows that were changed."""
    from autodata_cli.verifying import verify_folder

    found = verify_folder(folder)
    for line in (*found.problems, *found.notes):
        typer.echo(line)
    if found.problems:
        raise AutodataError(f"{len(found.problems)} problems in {folder}; see above.")
    typer.echo("every hash and every verdict is as it was written")


@app.command()
def audit(
    data: Annotated[Path, typer.Argument(metavar="DATA.jsonl", help="The data set, one JSON object a line.")],
    gold: Annotated[Path | None, typer.Option(metavar="GOLD.jsonl", help="Labels: id or line, and label.")] = None,
    map: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="FIELD=PATH", help="Where a field stands, such as question=prompt."),
    ] = None,
    sources: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Texts that the rows name as sources.")
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(metavar="RECIPE.toml", help="Measure by its rules, and ask its models.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder for CARD.md, opinions and sample.")] = None,
    sample: Annotated[int | None, typer.Option(min=1, metavar="N", help="Draw rows for a person to label.")] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="K", help="Of the sample.")] = 0,
    fail_under: Annotated[
        float | None, typer.Option(min=0.01, max=0.999, metavar="BAR", help="Exit 1 when this agreement is not met.")
    ] = None,
    gold_by: Annotated[str, typer.Option(metavar="TEXT", help="Who made the gold, for the card.")] = "",
    rules_only: Annotated[
        bool, typer.Option("--rules-only", help="Ask no model, though the recipe names some.")
    ] = False,
    budget_usd: Annotated[float | None, typer.Option(min=0, help="Most money, in place of the recipe's.")] = None,
) -> None:
    """Run the filter over a data set that exists, and say how good it is."""
    from autodata_cli.auditing import Audit, check_bar, run_audit
    from autodata_cli.cards import card_text
    from autodata_core.agreement import BAR

    if fail_under is not None and gold is None:
        raise typer.BadParameter("needs labels to measure by: --gold GOLD.jsonl", param_hint="--fail-under")
    job = Audit(
        data=data,
        gold=gold,
        mapping=tuple(map or ()),
        sources=tuple(sources or ()),
        recipe=recipe,
        out=out,
        sample=sample,
        seed=seed,
        bar=BAR if fail_under is None else fail_under,
        gold_by=gold_by,
        rules_only=rules_only,
        budget_usd=budget_usd,
    )
    result = run_audit(job)
    typer.echo(card_text(result.card), nl=False)
    for path in result.written:
        typer.echo(f"wrote {path}", err=True)
    if fail_under is not None:
        check_bar(result.report)


@app.command()
def optimize(
    recipe: RecipePath,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder of the search; the same command resumes it.")
    ],
    iterations: Annotated[
        int | None, typer.Option(min=0, max=100_000, metavar="N", help="Changes to try; 40 where nothing is said.")
    ] = None,
    budget_usd: Annotated[float | None, typer.Option(min=0, help="Most money, in place of the recipe's.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**31 - 1, metavar="K", help="Of splits, selection and evaluations.")
    ] = None,
    ask: Annotated[bool, typer.Option("--ask", help="Let a person decide on every change that is better.")] = False,
    target: Annotated[
        float | None, typer.Option(min=0.01, max=1, help="Acceptance on validation that is enough.")
    ] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, max=1024, help="Evaluations in flight at once.")] = None,
) -> None:
    """Search a better recipe, and measure it once on unseen sources. Options count before the recipe's table "optimize"."""
    from autodata_cli.optimizing import Optimize, ask_on_terminal, optimize_recipe, result_text
    from autodata_cli.workspace import open_workspace

    def read(prompt: str) -> str:
        typer.echo(f"{prompt}: ", nl=False)
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line

    def hear(event: dict[str, Any]) -> None:
        if event["kind"] == "iteration":
            change = " ".join(event["what"].split())[:60] or "–"
            typer.echo(f"{event['iteration']:>4}  {event['result']:<11}{change:<62}{event['reason'][:80]}", err=True)

    workspace = open_workspace(recipe)
    said = {"iterations": iterations, "seed": seed, "target": target, "concurrency": concurrency}
    job = Optimize(
        workspace,
        out,
        workspace.file.optimize.model_copy(update={name: value for name, value in said.items() if value is not None}),
        budget_usd=budget_usd,
        ask=ask_on_terminal(read, typer.echo) if ask else None,
        on_event=hear,
    )
    result = optimize_recipe(job)
    typer.echo(result_text(result))
    raise typer.Exit(result.exit_code)


SearchFolder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a search.")]
Version = Annotated[str, typer.Argument(metavar="VERSION", help="head, baseline, or the first characters of a hash.")]


@recipe_app.command("list")
def recipe_list(folder: SearchFolder) -> None:
    """List the versions, the one in force marked."""
    from autodata_cli.recipes import list_text

    typer.echo(list_text(folder))


@recipe_app.command("show")
def recipe_show(
    folder: SearchFolder,
    version: Version = "head",
    toml: Annotated[bool, typer.Option("--toml", help="As the [texts] of a recipe file.")] = False,
) -> None:
    """Show the texts of a version."""
    from autodata_cli.recipes import recipe_text

    typer.echo(recipe_text(folder, version, toml=toml))


@recipe_app.command("diff")
def recipe_difference(folder: SearchFolder, one: Version = "baseline", other: Version = "head") -> None:
    """Show what changed from one version to another."""
    from autodata_cli.recipes import diff_text

    typer.echo(diff_text(folder, one, other))


@recipe_app.command("notes")
def recipe_notes(folder: SearchFolder, version: Version = "head") -> None:
    """Show the release notes of a version."""
    from autodata_cli.recipes import notes_of

    typer.echo(notes_of(folder, version))


@recipe_app.command("rollback")
def recipe_rollback(
    folder: SearchFolder,
    version: Version,
    why: Annotated[str, typer.Option(metavar="TEXT", help="The reason, kept with the move.")] = "",
) -> None:
    """Put an earlier version in force. Nothing is deleted."""
    from autodata_cli.recipes import roll_back

    typer.echo(roll_back(folder, version, why))


@app.command()
def doctor() -> None:
    """Say what this installation has and lacks."""
    from autodata_cli.checking import examine_machine

    for finding in examine_machine():
        typer.echo(f"{'ok' if finding.ok else '–':<4}{finding.name:<18}{finding.detail}")


@models_app.command()
def pull(name: Annotated[str, typer.Argument(help="smollm2")]) -> None:
    """Fetch the weights of a local model into the user's cache, once."""
    from autodata_adapters.models.weights import pull as pull_weights

    typer.echo(str(pull_weights(name)))


def main() -> None:
    """Run the command; an error of ours is one line and an exit code."""
    try:
        app()
    except AutodataError as error:
        from autodata_adapters.models.redaction import Redactor, known_secrets

        line = Redactor(known_secrets()).redact(" ".join(str(error).split()))
        print(f"autodata: {line}", file=sys.stderr)  # noqa: T201 - the command's own voice
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("autodata: interrupted", file=sys.stderr)  # noqa: T201
        sys.exit(130)

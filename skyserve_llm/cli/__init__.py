"""The command line: parse, call, hand to ``output``. One file a command, imported when it runs."""

import gc
import sys
from typing import Any

import click

from skyserve_llm.errors import LlmbudgetError

_COMMANDS = {
    "plan": "What must I rent? Every way to serve MODEL, from the cheapest month up.",
    "fit": "What vLLM would log for MODEL on one kind and number of cards; no prices.",
    "models": "The models that need no network to be planned.",
    "render": "Write the plan's `sky serve` YAML.",
    "deploy": "Run a plan: on a cloud through SkyServe, or here with --local.",
    "status": "What runs, where, and how it is.",
    "chat": "Talk to a running service.",
    "cost": "What running services cost: an hour, so far, a month.",
    "logs": "Show a service's logs.",
    "scale": "Change the number of replicas.",
    "down": "Take a service down.",
    "prices": "The market: refresh the price table, show it, check it.",
}


class LazyGroup(click.Group):
    """Imports a command's module only when it runs: `plan` must not pay for `deploy`.

    ``lazy`` is each command's name and one line of help; its module of that name in ``package``
    holds the command as ``command``.
    """

    def __init__(self, *args: Any, package: str, lazy: dict[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.package = package
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.lazy:
            return None
        module = __import__(f"{self.package}.{cmd_name}", fromlist=[cmd_name])
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self.lazy.items()))


@click.group(
    cls=LazyGroup,
    package=__name__,
    lazy=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("-v", "--verbose", is_flag=True, help="Show the original of an error.")
@click.version_option(package_name="llmbudget", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context, verbose: bool) -> None:
    """What is the least I must pay to serve this open LLM well, and can you just run it for me?"""
    ctx.obj = verbose


def main() -> None:
    """Run a command and leave with its exit code; every error is one line and a hint."""
    # Reading a price table makes thousands of small lists, none of them garbage: looking through
    # them while they are made is 3 ms of `plan`, and once more at the exit 8 ms.
    gc.set_threshold(100_000)
    code = run(sys.argv[1:])
    gc.freeze()
    sys.exit(code)


def run(args: list[str]) -> int:
    """Run ``args`` and return the exit code (see ``errors.py``)."""
    try:
        result = cli.main(args, prog_name="llmbudget", standalone_mode=False)
    except LlmbudgetError as error:
        _fail(error.message, error.hint)
        if error.__cause__ and {"-v", "--verbose"} & set(args):
            _fail(f"caused by {type(error.__cause__).__name__}: {error.__cause__}", None)
        return error.exit_code
    except click.ClickException as error:
        hint = None
        if isinstance(error, click.UsageError) and error.ctx:
            hint = f"try `{error.ctx.command_path} --help`"
        _fail(error.format_message(), hint)
        return 2
    except (KeyboardInterrupt, click.Abort):
        _fail("interrupted", None)
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader went away: nothing is left to say it to
        return 0
    except Exception as error:  # the last door: a user never sees a traceback
        if {"-v", "--verbose"} & set(args):
            raise
        _fail(f"unexpected {type(error).__name__}: {error}", "run again with -v and report it")
        return 1
    return result if isinstance(result, int) else 0


def _fail(message: str, hint: str | None) -> None:
    click.echo(f"error: {message}", err=True)
    if hint:
        click.echo(f"\nhint: {hint}", err=True)

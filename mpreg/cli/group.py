"""Exit codes of all commands: wrong input is a message and exit code 2, an internal error exit code 3."""

import io
import os
import sys
import traceback

import click

WRONG_INPUT, FAULT, INTERRUPTED, NOBODY_READS = 2, 3, 130, 141


class WrongInput(click.ClickException):
    """Is raised for wrong input, which the user can correct."""

    exit_code = WRONG_INPUT


class CommandGroup(click.Group):
    """Runs commands with consistent exit codes: 1 is reserved for an exceeded limit.

    `ValueError`, `TypeError` and `OSError` count as wrong input, as all of mpreg raises them for it.
    """

    def main(self, *args, **kwargs):
        # A command's output is its own, not TensorFlow's; here, because completion never comes to the command itself.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        for stream in (sys.stdout, sys.stderr):
            # A sign that a terminal cannot show becomes a question mark, and no failure. Files are UTF-8 all the same.
            if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
                stream.reconfigure(errors="replace")
        return super().main(*args, **kwargs)

    def list_commands(self, context):
        return list(self.commands)  # in the order in which one meets them

    def format_commands(self, context, formatter):
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, command.get_short_help_str(limit=200)) for name, command in self.commands.items()]
            )

    def invoke(self, context):
        try:
            return super().invoke(context)
        except click.exceptions.Exit:
            raise
        except click.ClickException as error:
            error.exit_code = WRONG_INPUT  # some of click's own end with 1
            raise
        except BrokenPipeError:  # such as `mpreg audit ... | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still to be flushed
            context.exit(NOBODY_READS)
        except (ValueError, TypeError, OSError) as error:
            raise WrongInput(str(error)) from error
        except (KeyboardInterrupt, EOFError, click.Abort):
            click.echo("Aborted!", err=True)
            context.exit(INTERRUPTED)
        except Exception:
            traceback.print_exc()
            context.exit(FAULT)

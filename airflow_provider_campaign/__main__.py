"""The command line on every Airflow version: ``python -m airflow_provider_campaign``."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence

from airflow.cli.cli_config import DefaultHelpParser

from airflow_provider_campaign.cli.definition import get_commands


def build_parser() -> DefaultHelpParser:
    """Return the parser of the commands that Airflow 3.2 and later has as ``airflow campaigns``."""
    [group] = get_commands()
    parser = DefaultHelpParser(prog="python -m airflow_provider_campaign", description=group.help)
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in group.subcommands:
        texts = {"help": command.help, "description": command.description, "epilog": command.epilog}
        subparser = subparsers.add_parser(command.name, **texts)
        subparser.set_defaults(func=command.func)
        for argument in command.args:
            argument.add_to_parser(subparser)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command, by default the process's own; it ends the process with its exit status."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # Airflow's about itself, which distract in an emergency
    options = build_parser().parse_args(arguments)
    options.func(options)


if __name__ == "__main__":
    main()

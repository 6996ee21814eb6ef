"""The variables that several dashboards share."""

from tests.support.boards.board import Variable

LABEL_OF_A_SIGNAL = r"/^(?!__name__$|job$|instance$|owner$|service$)/"


def environment(series: str) -> Variable:
    """The label `environment` of `series`; where nothing has it there is nothing to choose, and all is shown."""
    return Variable(
        "environment",
        "Environment",
        "The label environment of your targets or series; nothing to choose where none has it.",
        f"label_values({series}, environment)",
    )


def instance(job: str) -> Variable:
    """A replica of one of our services."""
    query = f'label_values(up{{job="{job}", environment=~"$environment"}}, instance)'
    return Variable("instance", "Instance", "The replica.", query)


def grouping(first: str) -> Variable:
    """The label by which signals are told apart; `first` is chosen where there is one of that name."""
    return Variable(
        "by",
        "Group by",
        "The label by which your signals are divided, such as tenant or plan; of several parts in one group the greatest is shown.",
        "label_names(signal:value)",
        only=first,
        pattern=LABEL_OF_A_SIGNAL,
    )

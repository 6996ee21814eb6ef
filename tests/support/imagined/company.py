"""The whole of the imagined company."""

from tests.support.imagined.alerts import alerts
from tests.support.imagined.ingestion import ingestion
from tests.support.imagined.objectives import objectives
from tests.support.imagined.processes import processes
from tests.support.imagined.receiving import receiving
from tests.support.imagined.signals import signals
from tests.support.imagined.vendors import vendors
from tests.support.prometheuses import Past


def company(epoch: float) -> list[Past]:
    """Every series of it; `epoch` is now, in seconds since the epoch."""
    own = (*processes(epoch), *ingestion(epoch), *receiving(epoch))
    return [*signals(), *objectives(epoch), *vendors(epoch), *own, *alerts(epoch)]

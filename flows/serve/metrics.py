"""The metrics that Prometheus reads."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The metrics of one server, in a registry of their own."""

    def __init__(self, waiting: Callable[[], int], model: Callable[[], str]) -> None:
        """Make the metrics. Two values are asked for when Prometheus reads them.

        waiting: returns the length of the queue.
        model: returns the name of the model that is served.
        """
        registry = self.registry = CollectorRegistry()
        self.requests = Counter("inserter_requests", "Requests that have ended.", ["route", "status"], registry=registry)
        self.seconds = Histogram("inserter_request_seconds", "Seconds per request.", ["route"], registry=registry, buckets=SECONDS)
        self.batch = Histogram("inserter_batch_size", "Requests answered together.", registry=registry, buckets=SIZES)
        self.tokens = Counter("inserter_tokens", "LM positions read and tokens drawn.", ["kind"], registry=registry)
        self.reloads = Counter("inserter_reloads", "Attempts to follow a moved alias.", ["outcome"], registry=registry)
        self.in_progress = Gauge(
            "inserter_requests_in_progress", "Requests that are read, wait or are answered.", registry=registry
        )
        queue = Gauge("inserter_queue_length", "Requests that wait for the model.", registry=registry)
        queue.set_function(waiting)
        self._info = Gauge("inserter_model_info", "The model that is served.", ["model"], registry=registry)
        self._model = model

    def text(self) -> bytes:
        """Return Prometheus' text format."""
        self._info.clear()
        self._info.labels(self._model()).set(1)
        return generate_latest(self.registry)

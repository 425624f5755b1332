"""What the server counts, in the format of Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from llmpath.serving.admission import Admission
from llmpath.serving.answers import Ended

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """The counters of one server; their names and labels are made from no request's content.

    Args:
        admission: whose places and queue are shown.
    """

    def __init__(self, admission: Admission) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "llmpath_requests",
            "Requests for texts, by what became of them.",
            ["endpoint", "status"],
            registry=self.registry,
        )
        self._tokens = Counter(
            "llmpath_tokens", "Tokens read and written.", ["kind"], registry=self.registry
        )
        self._reused = Counter(
            "llmpath_reused_tokens",
            "Tokens of prompts that did not have to be read again.",
            registry=self.registry,
        )
        self._seconds = self._histogram("llmpath_request_seconds", "From a request to its end.")
        self._first = self._histogram(
            "llmpath_first_token_seconds", "From a request to its first token."
        )
        for name, text, value in (
            ("llmpath_active_requests", "Requests that are written.", lambda: admission.active),
            ("llmpath_waiting_requests", "Requests in the queue.", lambda: admission.waiting),
        ):
            Gauge(name, text, registry=self.registry).set_function(value)

    def request(self, endpoint: str, status: str, seconds: float) -> None:
        """Count a request that has ended; its status is HTTP's, or `gone`."""
        self._requests.labels(endpoint, status).inc()
        self._seconds.observe(seconds)

    def first_token(self, seconds: float) -> None:
        """Note how long somebody waited for the first token."""
        self._first.observe(seconds)

    def tokens(self, ended: Ended) -> None:
        """Count the tokens of a text that has ended."""
        self._tokens.labels("prompt").inc(ended.prompt_tokens)
        self._tokens.labels("completion").inc(ended.completion_tokens)
        self._reused.inc(ended.reused_tokens)

    def text(self) -> bytes:
        """All of them, for Prometheus to read."""
        return generate_latest(self.registry)

    def _histogram(self, name: str, text: str) -> Histogram:
        return Histogram(name, text, buckets=_SECONDS, registry=self.registry)

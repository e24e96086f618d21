"""Metrics in CloudWatch's embedded metric format, by service, by use case and by model."""

import os

from aws_lambda_powertools.metrics import EphemeralMetrics


def document(use_case: str, model: str | None = None) -> EphemeralMetrics:
    """A document to add metrics of a use case to, and to flush; by model as well if one is named."""
    service = os.environ["POWERTOOLS_SERVICE_NAME"]
    metrics = EphemeralMetrics(namespace="Bulwark")
    metrics.add_dimension("use_case", use_case)
    # Alarms cannot search over dimensions, so each metric is there without the use case as well.
    metrics.add_dimensions(service=service)
    if model:
        metrics.add_dimensions(service=service, use_case=use_case, model=model)
    return metrics


def of_store(store: str) -> EphemeralMetrics:
    """A document to add metrics of a store to, and to flush."""
    metrics = EphemeralMetrics(namespace="Bulwark")
    metrics.add_dimension("store", store)
    metrics.add_dimensions(service=os.environ["POWERTOOLS_SERVICE_NAME"])
    return metrics

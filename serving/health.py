"""grpc.health.v1: whether the server takes requests.

In: start and stop of the server. Out: a servicer that tells SERVING for "",
"ModelService" and "PredictionService" (unqualified, as TensorFlow Serving
names them), NOT_SERVING once the server stops, and NOT_FOUND for others.
"""

from grpc_health.v1 import health, health_pb2

SERVICES = ("", "ModelService", "PredictionService")


def make_servicer() -> health.HealthServicer:
    """A servicer on which all services are serving."""
    servicer = health.HealthServicer()
    for name in SERVICES:
        servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    return servicer

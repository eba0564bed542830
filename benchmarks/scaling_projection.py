"""A step on up to eight GPUs or machines: arithmetic, not a measurement.

In: a row of `scaling.py`, and assumptions. Out: speed-ups, and the share of
communication.

    seconds(n) = flop / (gpu_tflops * gpu_share)
                 + 2 (n - 1) / n * bytes / bandwidth + messages * latency * n

as of sums in a ring, none of it hidden behind the arithmetic, each replica
with the batch that was measured. Most messages are batch norm's: one a norm
forward, and one backward, of each network that sees the batch.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

REPLICAS = (1, 2, 4, 8)


@dataclass(frozen=True)
class Assumptions:
    """Of the projection: a GPU, and what joins eight of them or of machines."""

    gpu_tflops: float
    gpu_share: float
    gpu_gbytes: float
    network_gbytes: float
    gpu_latency_us: float
    network_latency_us: float


def project(row: dict[str, Any], assumed: Assumptions) -> dict[str, Any]:
    """Seconds of a step on n GPUs and on n machines of one GPU, see above."""
    compute = row["flop"] / (assumed.gpu_tflops * 1e12 * assumed.gpu_share)
    joins = {
        "gpus": (assumed.gpu_gbytes, assumed.gpu_latency_us),
        "machines": (assumed.network_gbytes, assumed.network_latency_us),
    }
    out: dict[str, Any] = {"stage": row["stage"], "compute_seconds": compute}
    for name, (gbytes, latency) in joins.items():
        out[name] = []
        for n in REPLICAS:
            sent = 2 * (n - 1) / n * row["bytes"] / (gbytes * 1e9)
            waits = row["messages"] * latency * 1e-6 * n if n > 1 else 0.0
            talk = sent + waits
            out[name].append(
                {
                    "replicas": n,
                    "communication_share": talk / (compute + talk),
                    "speed_up": n * compute / (compute + talk),
                }
            )
    return out


def table(rows: list[dict[str, Any]], assumed: Assumptions) -> str:
    """Speed-ups of 1 to 8 by the formula, and what was assumed."""
    facts = ", ".join(
        f"{name} {value:g}"
        for name, value in dataclasses.asdict(assumed).items()
    )
    out = [f"Projected speed-up, not measured ({facts}):"]
    for row in rows:
        for name in ("gpus", "machines"):
            speeds = "  ".join(
                f"{p['replicas']}: {p['speed_up']:.2f}" for p in row[name]
            )
            out.append(f"stage {row['stage']}, {name:8}  {speeds}")
    return "\n".join(out)

"""What the engine's own process is told, as one JSON file in the run folder; torch-free, for both sides."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from results import atomic
from transfer.detection_protocols import DetectionProtocol

TASK_FILE = "task.json"
CONVERTED_FILE = "backbone.pkl"
REFUSAL_FILE = "refusal.txt"
PROOF_FILE = "proof.json"
RESULTS_FILE = "results.json"
DETECTIONS_FILE = "detections.npz"
PICTURE_FILE = "detections.png"
LOG_FILE = "engine.log"
METRICS_FILE = "metrics.jsonl"


@dataclass(frozen=True)
class Task:
    """One detector to fine-tune and measure in `folder`. Empty `rendezvous`: all processes are on this machine."""

    protocol: DetectionProtocol
    checkpoint: str
    data: str
    folder: str
    seed: int
    limit: int
    workers: int
    device: str
    """One of "auto", "cpu", "cuda"."""
    processes: int = 0
    """Processes on this machine, one for each GPU; 0 for the most that share the batch evenly, or one on a CPU."""
    nodes: int = 1
    node_rank: int = 0
    rendezvous: str = ""
    """As "tcp://host:port", of node 0."""
    checkpoint_iterations: int = 1000

    def file(self, name: str) -> Path:
        """A file in the run folder."""
        return Path(self.folder) / name

    def own_name(self, name: str) -> str:
        """The name of a file that each of several machines keeps for itself."""
        return f"node{self.node_rank}-{name}" if self.node_rank else name


def write_task(task: Task) -> Path:
    """Write the task into its folder; the path."""
    path = task.file(task.own_name(TASK_FILE))
    atomic.write_text(path, json.dumps(dataclasses.asdict(task), indent=1) + "\n")
    return path


def read_task(path: Path) -> Task:
    """What `write_task` wrote."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    settings: dict[str, Any] = content["protocol"]
    settings = {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
    return Task(**{**content, "protocol": DetectionProtocol(**settings)})

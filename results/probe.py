"""A short look at this machine: how fast it decodes, how fast its GPU (or CPU) runs ResNet-50, what it has free."""

import io
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

from results.costs import Hardware, known_hardware
from results.refusal import Refusal

DECODE_SECONDS = 1.0
TIME_LIMIT_SECONDS = 180.0


def probe() -> tuple[Hardware, int]:
    """This machine's figures and how many GPUs it has (0: it works on its CPU).

    Pretraining and detection are not run; they are scaled from a V100's by the measured training rate.

    Raises:
        Refusal: the program that measures ResNet-50 failed.
    """
    command = [sys.executable, "-m", "benchmarks.probe"]
    root = Path(__file__).parent.parent
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=TIME_LIMIT_SECONDS, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        reason = str(getattr(error, "stderr", "") or error).strip().splitlines()[-1]
        raise Refusal(
            f"the probe failed ({reason}); give --hardware with one of {', '.join(known_hardware())}"
        ) from error
    reference = known_hardware()["v100"]
    speed = found["train_images_per_second"] / reference.train_images_per_second
    gpus = int(found["gpus"])
    hardware = Hardware(
        "here", found["title"], found["forward_images_per_second"], found["train_images_per_second"],
        reference.views_per_second * speed, reference.detection_speed * speed, found["memory_gib"],
        cores() / max(1, gpus), decode_rate(),
        "measured here in a few seconds; pretraining and detection scaled from a V100's by the training rate",
    )  # fmt: skip
    return hardware, gpus


def decode_rate(seconds: float = DECODE_SECONDS) -> float:
    """JPEG images of ImageNet's usual size that one core decodes, crops to 224 pixels and flips in a second."""
    from PIL import Image, ImageOps

    generator = random.Random(0)
    blocks = Image.new("RGB", (50, 38))
    blocks.putdata([tuple(generator.randrange(256) for _ in range(3)) for _ in range(50 * 38)])
    buffer = io.BytesIO()
    blocks.resize((500, 375), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    content = buffer.getvalue()
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        image = Image.open(io.BytesIO(content)).convert("RGB")
        ImageOps.mirror(image.resize((224, 224), Image.Resampling.BILINEAR, box=(40, 30, 400, 340)))
        count += 1
    return count / (time.perf_counter() - started)


def cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_disk_gib(folder: Path) -> float:
    """Free space on the disk that holds `folder`, or would if it existed."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(existing).free / 2**30


def host_memory_gib() -> tuple[float, float]:
    """Memory of this machine, in all and available; zeros where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0, 0.0
    sizes = {line.split(":")[0]: int(line.split()[1]) / 2**20 for line in lines if line.endswith("kB")}
    return sizes.get("MemTotal", 0.0), sizes.get("MemAvailable", 0.0)

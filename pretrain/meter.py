"""Speed, waiting and memory between two log lines."""

import resource
import time

import torch


class Meter:
    """Counts images and seconds since the last `read`."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._restart()

    def waited(self, seconds: float) -> None:
        """Add time spent waiting for the next batch."""
        self._waiting += seconds

    def took_step(self, images: int) -> None:
        """Add a step of `images` over all ranks."""
        self._images += images

    def read(self) -> dict[str, float]:
        """images_per_second, data_wait_share (0…1) and peak_memory_bytes, then start anew."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        seconds = max(time.perf_counter() - self._since, 1e-9)
        found = {
            "images_per_second": round(self._images / seconds, 2),
            "data_wait_share": round(self._waiting / seconds, 4),
            "peak_memory_bytes": self._peak_memory(),
        }
        self._restart()
        return found

    def _restart(self) -> None:
        self._since, self._waiting, self._images = time.perf_counter(), 0.0, 0

    def _peak_memory(self) -> int:
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

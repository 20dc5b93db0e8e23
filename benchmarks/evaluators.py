"""kNN and VOC07's SVMs as rows: smaller sizes of `benchmarks.knn_stream` and `benchmarks.svm`, which tell more."""

import tempfile
from pathlib import Path

from benchmarks import knn_stream, svm
from benchmarks.harness import Outcome, share, times_faster


def streamed_knn() -> Outcome:
    """10,000 x 4,000 features of 2048, K 200: rate of the streamed exact search, as a share of the raw product's."""
    return knn(10_000, 4_000, rounds=3)


def knn(bank_rows: int, query_rows: int, *, rounds: int, k: int = 200, memory_mb: int = 256) -> Outcome:
    """Seconds of the product over those of the search, in turns, on features read from the same files."""
    with tempfile.TemporaryDirectory(prefix="features-") as folder:
        bank = knn_stream.new_store(Path(folder) / "bank", bank_rows, seed=0)
        queries = knn_stream.new_store(Path(folder) / "queries", query_rows, seed=1)
        in_memory = bank.all_rows(), queries.all_rows()
        product, stream = [], []
        for _ in range(rounds):
            product.append([knn_stream.product_seconds(*in_memory)])
            stream.append([knn_stream.stream_seconds(bank, queries, k, memory_mb)])
    found = share(product, stream, bank=bank_rows, queries=query_rows, k=k, memory_mb=memory_mb)
    # The search is ours and the product the baseline, though the rate is the inverse of their times.
    return Outcome(found.value, found.lowest, found.highest, found.baseline, found.ours, found.details)


def one_class_svm() -> Outcome:
    """The middle one of VOC07's 20 classes at full size (5,011 x 2,048, 11 costs, 3 folds), each trainer once.

    Processor time of whole processes: over 20 classes both trainers keep both cores busy, so it is what becomes the
    wall time of `benchmarks.svm`; with one class VISSL has one thread, and this suite a process for each fold. Five
    seconds of imports and of rotating the features, once for all 20 classes, count in full against this suite here. A
    class of 3 % of the images, the rarest, would take VISSL 25 seconds and show 2.6 instead.
    """
    found = svm.compare(1)
    ours, theirs = found["this suite"], found["VISSL"]
    apart = abs(ours["mAP"] - theirs["mAP"])
    assert apart <= svm.MAP_TOLERANCE, f"the trainers disagree by {apart} points of mAP"
    work = [[[side["processor_seconds"]]] for side in (ours, theirs)]
    return times_faster(*work, classes=svm.spread(1), mAP_difference=apart, trainers=found)

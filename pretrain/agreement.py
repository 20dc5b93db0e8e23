"""Ranks that work together must mean the same: what each was given is compared before the first step.

Imports torch only where several ranks have met.
"""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from results import provenance
from results.refusal import USAGE_STATUS, Refusal

ROOT = Path(__file__).parents[1]
CODE = ("data", "pretrain", "evaluate", "results")
Prepared = TypeVar("Prepared")


def carried(prepare: Callable[[], Prepared]) -> Prepared | Refusal:
    """What `prepare` returns. One of several ranks brings its refusal to the others instead, who would wait for it."""
    alone = int(os.environ.get("WORLD_SIZE", "1")) == 1
    if not alone:
        # Read when torch is loaded. A store lost with rank 0 is told of by roll_call, without torch's stack traces.
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")
    try:
        return prepare()
    except Refusal as refusal:
        if alone:
            raise
        return refusal


def agreed(own: Prepared | Refusal, claims: Callable[[Prepared], Mapping[str, str]]) -> Prepared:
    """`own`, once every rank has one and all ranks' `claims` (by what they are called) are equal. All ranks call this.

    Raises:
        Refusal: on rank 0, naming what differs and on which ranks, or what a rank refused.
        SystemExit: on the other ranks, who leave without repeating it.
    """
    from pretrain import distributed

    said: tuple[str, Mapping[str, str]] = (str(own), {}) if isinstance(own, Refusal) else ("", _with_code(claims(own)))
    problem = disagreement(distributed.gather_objects(said))
    if problem:
        if os.environ.get("RANK", "0") == "0":
            raise Refusal(problem)
        raise SystemExit(USAGE_STATUS)
    assert not isinstance(own, Refusal)
    return own


def disagreement(said: Sequence[tuple[str, Mapping[str, str]]]) -> str:
    """What keeps ranks from working together, in one line; empty if nothing does. `said` holds refusal and claims."""
    if refusals := {rank: text for rank, (text, _) in enumerate(said) if text}:
        text = next(iter(refusals.values()))
        everywhere = len(refusals) == len(said) and len(set(refusals.values())) == 1
        return text if everywhere else f"{_ranks(list(refusals))}: {text}"
    for what in said[0][1]:
        by_value: dict[str, list[int]] = {}
        for rank, (_, claims) in enumerate(said):
            by_value.setdefault(claims.get(what, "nothing"), []).append(rank)
        if len(by_value) > 1:
            values = ", ".join(f"{value} on {_ranks(ranks)}" for value, ranks in by_value.items())
            return f"the ranks differ in {what}: {values}; start every rank with the same command, code and data"
    return ""


def _with_code(claims: Mapping[str, str]) -> dict[str, str]:
    versions = provenance.versions()
    return {**claims, "code": f"{provenance.commit()[:12]} ({_code_digest()})", "torch": versions.get("torch", "none")}


def _code_digest() -> str:
    """A short digest of this suite's modules as they are on disk, committed or not."""
    digest = hashlib.sha256()
    for room in CODE:
        for path in sorted((ROOT / room).rglob("*.py")):
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:8]


def _ranks(ranks: Sequence[int]) -> str:
    return ("rank " if len(ranks) == 1 else "ranks ") + ", ".join(map(str, ranks))

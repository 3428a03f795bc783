"""Verifiers by name: the core's exact ones, those that need a library where it is installed, and those that run code.

Importing this loads no library, and neither does `create_verifiers`: each is loaded when its verifier is first asked.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING

from autodata_core.citations import CitationVerifier
from autodata_core.ports import Verifier
from autodata_core.verify import EXACT_VERIFIERS

if TYPE_CHECKING:
    from autodata_adapters.sandbox import Job, Outcome, Sandbox

__all__ = ["create_verifiers"]

_PACKAGES = {
    "quantity": ("pint",),
    "mathematics": ("mpmath",),
    "json_schema": ("jsonschema", "referencing", "re2"),
    "pattern": ("re2",),
    "table": (),
}
"""By module of this folder: what must be installed for it."""


def create_verifiers(sandbox: str = "auto") -> dict[str, Verifier]:
    """Return every verifier that can be used here, by `Check.kind`.

    Args:
        sandbox: Tier that runs code which a model wrote, see `create_sandbox`. It is tried when code is first run, or when
            the version of such a verifier is asked for.
    """
    made: list[Verifier] = [*EXACT_VERIFIERS.values(), CitationVerifier()]
    for module, packages in _PACKAGES.items():
        if all(find_spec(package) is not None for package in packages):
            made.append(import_module(f"{__name__}.{module}").create())
    shared = _SandboxOnDemand(sandbox)
    made += [import_module(f"{__name__}.{module}").create(shared) for module in ("python", "sql")]
    return {verifier.kind: verifier for verifier in made}


class _SandboxOnDemand:
    """A sandbox that is made when it is first needed: to prove that one holds takes about a second."""

    def __init__(self, tier: str) -> None:
        self._tier = tier
        self._made: Sandbox | None = None
        self._lock = Lock()

    @property
    def _sandbox(self) -> Sandbox:
        with self._lock:
            if self._made is None:
                self._made = import_module("autodata_adapters.sandbox").create_sandbox(self._tier)
            return self._made

    @property
    def tier(self) -> str:
        return self._sandbox.tier

    def run(self, job: Job) -> Outcome:
        return self._sandbox.run(job)

    def close(self) -> None:
        if self._made is not None:
            self._made.close()

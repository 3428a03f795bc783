"""The loop, the rules and the records of Autodata, with no host framework.

    source → candidate → attempts → verdict → row

Start with `Recipe`, `EvaluationProtocol` and `advance`; `ports` says what the loop needs from outside.
"""

from autodata_core.acceptance import PRESETS, AcceptancePolicy, policy_from
from autodata_core.budget import Budget
from autodata_core.domains import DOMAINS, Domain, RubricShape
from autodata_core.driver import Ports, adrive, drive
from autodata_core.errors import AutodataError
from autodata_core.item import ItemState, Step, start
from autodata_core.loop import advance
from autodata_core.ports import (
    CoverageMap,
    MemoryStore,
    Model,
    ModelReply,
    ModelRequest,
    NoCoverage,
    RecordStore,
    Verifier,
)
from autodata_core.recipe import EvaluationProtocol, Recipe, Rules
from autodata_core.recipe_file import RecipeFile
from autodata_core.records import (
    Attempt,
    Candidate,
    Check,
    Criterion,
    Example,
    Reason,
    ReasonKind,
    Source,
    Usage,
    Verdict,
)
from autodata_core.rows import example_from

__version__ = "0.1.0"

__all__ = [
    "DOMAINS",
    "PRESETS",
    "AcceptancePolicy",
    "Attempt",
    "AutodataError",
    "Budget",
    "Candidate",
    "Check",
    "CoverageMap",
    "Criterion",
    "Domain",
    "EvaluationProtocol",
    "Example",
    "ItemState",
    "MemoryStore",
    "Model",
    "ModelReply",
    "ModelRequest",
    "NoCoverage",
    "Ports",
    "Reason",
    "ReasonKind",
    "Recipe",
    "RecipeFile",
    "RecordStore",
    "RubricShape",
    "Rules",
    "Source",
    "Step",
    "Usage",
    "Verdict",
    "Verifier",
    "__version__",
    "adrive",
    "advance",
    "drive",
    "example_from",
    "policy_from",
    "start",
]

"""Runs every gate on every row of a data set that exists, each on its own, and says how far they agree with known labels.

In the loop the first gate that refuses ends a round; here each is asked, so that each has figures of its own. Reading
files is in the adapters, what agreement means is in `agreement`.
"""

from autodata_core.audit.gold import GoldLine, Label, read_gold_line
from autodata_core.audit.matching import GoldFigures, match_gold
from autodata_core.audit.opinions import gate_names, judge_row
from autodata_core.audit.reporting import UNNAMED, AuditReport, FaultFigures, report
from autodata_core.audit.reviewing import ask_reviewer, reviewers
from autodata_core.audit.rows import AuditRow, GateOpinion, RowOpinions
from autodata_core.audit.rules import AuditRules, audit_rules
from autodata_core.audit.sampling import Drawn, draw_sample

__all__ = [
    "UNNAMED",
    "AuditReport",
    "AuditRow",
    "AuditRules",
    "Drawn",
    "FaultFigures",
    "GateOpinion",
    "GoldFigures",
    "GoldLine",
    "Label",
    "RowOpinions",
    "ask_reviewer",
    "audit_rules",
    "draw_sample",
    "gate_names",
    "judge_row",
    "match_gold",
    "read_gold_line",
    "report",
    "reviewers",
]

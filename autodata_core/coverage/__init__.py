"""What a data set covers, what it lacks, and what to ask next. Pure: vectors and clusters come from adapters.

rows + topics → cells → gaps against targets → plan of the next batch → measured again
"""

from autodata_core.coverage.advising import Advice
from autodata_core.coverage.asking import Asked, Course, Outcome
from autodata_core.coverage.batches import Batch, Digest, Steering, Tried, digest_of
from autodata_core.coverage.cells import (
    ANY,
    BANDS,
    OTHER,
    Band,
    Cell,
    Topic,
    TopicMap,
    band_of,
    cell_of,
    count_cells,
    reachable_bands,
)
from autodata_core.coverage.collapse import Alarm, Figures, Limit, check_collapse, figures, vendi
from autodata_core.coverage.drawing import Point, heat_map_svg, map_svg
from autodata_core.coverage.guidance import Nearby, key_terms, steering_text
from autodata_core.coverage.lacking import Closing, Gap, gaps, measure
from autodata_core.coverage.mixing import Mixed, mix
from autodata_core.coverage.monitoring import CollapseMonitor
from autodata_core.coverage.planning import Planned, plan
from autodata_core.coverage.repeating import Saturation, saturated_cells, saturation
from autodata_core.coverage.reporting import CoverageReport, Region, coverage_report
from autodata_core.coverage.targets import TargetLine, grid, proportional, tabled, uniform
from autodata_core.coverage.wording import report_text

__all__ = [
    "ANY",
    "BANDS",
    "OTHER",
    "Advice",
    "Alarm",
    "Asked",
    "Band",
    "Batch",
    "Cell",
    "Closing",
    "CollapseMonitor",
    "Course",
    "CoverageReport",
    "Digest",
    "Figures",
    "Gap",
    "Limit",
    "Mixed",
    "Nearby",
    "Outcome",
    "Planned",
    "Point",
    "Region",
    "Saturation",
    "Steering",
    "TargetLine",
    "Topic",
    "TopicMap",
    "Tried",
    "band_of",
    "cell_of",
    "check_collapse",
    "count_cells",
    "coverage_report",
    "digest_of",
    "figures",
    "gaps",
    "grid",
    "heat_map_svg",
    "key_terms",
    "map_svg",
    "measure",
    "mix",
    "plan",
    "proportional",
    "reachable_bands",
    "report_text",
    "saturated_cells",
    "saturation",
    "steering_text",
    "tabled",
    "uniform",
    "vendi",
]

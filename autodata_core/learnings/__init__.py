"""What failures taught, over many items: counted by rule, or noted by the study role, checked, merged, retired, kept.

A learning never holds text of a source or of a question, so it can go into another source's prompt.
"""

from autodata_core.learnings.admitting import fault_of, faults_of
from autodata_core.learnings.asking import Refused, StudiedItem, Study, StudyStep, study_with_model
from autodata_core.learnings.counting import Figures, SharedNames, Try, count, lessons_from, study, tries_of
from autodata_core.learnings.keeping import Kept, keep, select
from autodata_core.learnings.library import Library, LibraryEntry
from autodata_core.learnings.record import Learning, Retired, StudySettings, estimate_tokens

__all__ = [
    "Figures",
    "Kept",
    "Learning",
    "Library",
    "LibraryEntry",
    "Refused",
    "Retired",
    "SharedNames",
    "StudiedItem",
    "Study",
    "StudySettings",
    "StudyStep",
    "Try",
    "count",
    "estimate_tokens",
    "fault_of",
    "faults_of",
    "keep",
    "lessons_from",
    "select",
    "study",
    "study_with_model",
    "tries_of",
]

"""Rules of safety for sources and rows: personal data, listed terms, licences, instructions to models, listed groups."""

from autodata_core.safety.bias import AttributeFigures, Figures, ValueFigures, attribute_figures
from autodata_core.safety.decoding import decoded
from autodata_core.safety.instructions import find_instructions, neutralise
from autodata_core.safety.licences import allows_licence
from autodata_core.safety.personal_data import KINDS, PersonalData, PersonalDataKind, find_personal_data, mask
from autodata_core.safety.role_tokens import break_marks
from autodata_core.safety.rules import Action, SafetyRules
from autodata_core.safety.screens import Screened, ScreenedSource, screen_source, screen_texts

__all__ = [
    "KINDS",
    "Action",
    "AttributeFigures",
    "Figures",
    "PersonalData",
    "PersonalDataKind",
    "SafetyRules",
    "Screened",
    "ScreenedSource",
    "ValueFigures",
    "allows_licence",
    "attribute_figures",
    "break_marks",
    "decoded",
    "find_instructions",
    "find_personal_data",
    "mask",
    "neutralise",
    "screen_source",
    "screen_texts",
]

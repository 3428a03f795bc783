"""Print the item graph as Mermaid, drawn from the graph itself. `--write README.md` puts it between the marks there."""

import re
import sys
from pathlib import Path

from autodata_core import Recipe
from autodata_langgraph import create_autodata_graph

drawn = create_autodata_graph(Recipe.for_domain("math_objects")).compile().get_graph().draw_mermaid(with_styles=False)
picture = f"```mermaid\n{drawn.strip()}\n```"
if sys.argv[1:2] == ["--write"]:
    page = Path(sys.argv[2])
    marks = r"(<!-- graph:begin -->\n).*?(<!-- graph:end -->)"
    page.write_text(
        re.sub(marks, lambda m: f"{m[1]}{picture}\n{m[2]}", page.read_text("utf-8"), flags=re.DOTALL), "utf-8"
    )
else:
    print(picture)

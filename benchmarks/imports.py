"""What `import autodata_core` costs and loads. Gate: a multiple of what importing pydantic costs, and no host framework."""

import subprocess
import sys

PROGRAM = """
import sys, time
began = time.process_time()
import {what}
print(time.process_time() - began)
print(" ".join(sorted({{"langgraph", "langchain_core", "dspy", "chromadb", "numpy", "tiktoken"}} & set(sys.modules))))
"""
MOST = 4.5
"""Times the import of pydantic's models, which the core cannot do without; seconds differ from machine to machine."""


def measure(what: str) -> tuple[float, str]:
    """Return the least CPU seconds of five imports, and which hosts were loaded."""
    times, loaded = [], ""
    for _ in range(5):
        program = PROGRAM.format(what=what)
        out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        seconds, loaded = out.split("\n")[:2]
        times.append(float(seconds))
    return min(times), loaded


def main() -> None:
    base, _ = measure("pydantic.main, pydantic.fields")
    core, loaded = measure("autodata_core")
    print(
        f"import autodata_core: {core:.3f} s CPU, {core / base:.1f} times pydantic's {base:.3f}; hosts: {loaded or 'none'}"
    )
    if core > MOST * base or loaded:
        sys.exit("FAILED: the core is slow to import, or loads a host")


if __name__ == "__main__":
    main()

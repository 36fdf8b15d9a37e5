#!/usr/bin/env bash
# The demo of real text: a trained detector finds its lines on a scanned page inside a quarter of
# the device memory it would take. Expects the command line to be built; fetches two files.
set -euo pipefail
cd "$(dirname "$0")/.."

.venv/bin/python tools/make_models.py ppocr_det page.png
.venv/bin/python tools/demo_detect.py "$@"

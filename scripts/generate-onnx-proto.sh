#!/bin/sh
# Writes Sources/ModelImport/Generated/onnx.pb.swift anew from the definition in the onnx package.
# The result is committed; run this only to follow a newer version of either package.
# Needs: git, python3 with venv, a Swift toolchain, and protoc (apt install protobuf-compiler).
set -eu

ONNX_VERSION=1.23.0
SWIFT_PROTOBUF_VERSION=1.39.0

root=$(cd "$(dirname "$0")/.." && pwd)
if ! command -v protoc >/dev/null; then
    echo "protoc is missing; install it with: apt-get install protobuf-compiler" >&2
    exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet download --no-deps --only-binary :all: --dest "$work" \
    "onnx==$ONNX_VERSION"
"$work/venv/bin/python" -m zipfile -e "$work"/onnx-*.whl "$work/onnx"

git clone --quiet --depth 1 --branch "$SWIFT_PROTOBUF_VERSION" \
    https://github.com/apple/swift-protobuf "$work/swift-protobuf"
swift build --package-path "$work/swift-protobuf" --product protoc-gen-swift

protoc --plugin="$work/swift-protobuf/.build/debug/protoc-gen-swift" \
    --swift_out="$root/Sources/ModelImport/Generated" \
    --swift_opt=Visibility=Internal --swift_opt=FileNaming=DropPath \
    --swift_opt=UseAccessLevelOnImports=true \
    -I "$work/onnx/onnx" onnx.proto

#!/usr/bin/env bash
# Installs the command, its detector, manual page and completions: install.sh SLUICE PREFIX
set -euo pipefail
cd "$(dirname "$0")/.."

sluice=$1 prefix=$2
install -D -m 755 "$sluice" "$prefix/bin/sluice"
install -D -m 644 tools/detector/digits.onnx "$prefix/share/sluice/digits.onnx"
install -D -m 644 out/man/sluice.1 "$prefix/share/man/man1/sluice.1"
# Where each shell looks by itself; zsh only if this folder is in its fpath.
while read -r shell path; do
    mkdir -p "$prefix/share/$(dirname "$path")"
    "$sluice" --generate-completion-script "$shell" >"$prefix/share/$path"
done <<END
bash bash-completion/completions/sluice
zsh zsh/site-functions/_sluice
fish fish/vendor_completions.d/sluice.fish
END
echo "installed $prefix/bin/sluice with its detector, manual page and completions"

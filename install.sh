#!/bin/sh
# Installs raytrain with its tests' needs into .venv, editable, unless that was done. PYTHON names another Python than
# the one found. uv is used where there is one.
set -eu
cd "$(dirname "$0")"

# 3.11 first: the cluster's images in cluster.yaml have it, and client and cluster must agree. TensorFlow has no 3.14 yet.
candidates=${PYTHON:-python3.11 python3.12 python3.13 python3 python}
fits='import sys; assert (3, 11) <= sys.version_info[:2] <= (3, 13)'
uv=$(command -v uv || true)
has_pip='import pip' makes_venv='import ensurepip, venv' # Debian ships venv without the part that puts pip into it
if [ -n "$uv" ]; then has_pip=pass makes_venv=pass; fi    # which needs neither
venv=.venv/bin/python
done_file=.venv/.installed # written last, with this folder in it: an installation cut short, or moved, is taken up again

can() { "$1" -c "$fits; $2" 2>/dev/null; }

if can "$venv" pass && [ "$(cat "$done_file" 2>/dev/null)" = "$PWD" ] && [ ! pyproject.toml -nt "$done_file" ]; then
	exit 0
fi

if ! can "$venv" "$has_pip"; then
	python='' incomplete=''
	for candidate in $candidates; do
		can "$candidate" pass || continue
		if can "$candidate" "$makes_venv"; then python=$candidate && break; fi
		incomplete=${incomplete:-$candidate}
	done
	if [ -z "$python" ] && [ -n "$incomplete" ]; then
		package=$("$incomplete" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
		echo "$incomplete cannot make virtual environments: its ensurepip or venv module is missing." >&2
		echo "On Debian or Ubuntu: sudo apt install $package" >&2
		exit 1
	elif [ -z "$python" ]; then
		echo "raytrain needs Python 3.11, 3.12 or 3.13; tried: $candidates" >&2
		echo "On Debian or Ubuntu: sudo apt install python3 python3-venv" >&2
		echo "Or name one:         make demo PYTHON=/path/to/python3.12" >&2
		exit 1
	fi
	echo "Making .venv with $python" >&2
	rm -rf .venv
	if [ -n "$uv" ]; then "$uv" venv --python "$python" .venv; else "$python" -m venv .venv; fi
fi

echo "Installing raytrain into .venv; the first time takes some minutes." >&2
if [ -n "$uv" ]; then
	"$uv" pip install --python "$venv" --editable '.[dev]'
else
	"$venv" -m pip install --disable-pip-version-check --editable '.[dev]'
fi
echo "$PWD" >"$done_file"

# Shared by the scripts: sourced, not run. Keeps one virtual environment in .venv at the repository's root.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

say() { printf '\033[1m── %s\033[0m\n' "$*" >&2; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# have_debian PACKAGE: is it installed?
have_debian() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }

# need_debian PACKAGE…: install what is missing with apt-get when root; else say the one line that does it.
need_debian() {
  local missing=() package
  command -v dpkg-query >/dev/null || die "This is not Debian: install yourself what these packages give, then call again: $*"
  for package in "$@"; do have_debian "$package" || missing+=("$package"); done
  [ ${#missing[@]} -eq 0 ] && return 0
  if [ "$(id -u)" -ne 0 ]; then die "Missing Debian packages. Run: sudo apt-get install -y ${missing[*]}"; fi
  say "Installing Debian packages: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null 2>&1 ||
    { apt-get update -q >/dev/null && apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null; } ||
    die "apt-get could not install: ${missing[*]}"
}

# find_python: a Python 3.11 or newer that can make virtual environments
find_python() {
  local candidate
  for candidate in python3.11 python3 python3.12 python3.13; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11) or sys.version_info >= (3, 14))' 2>/dev/null; then
      command -v "$candidate"; return 0
    fi
  done
  return 1
}

# find_exact VERSION: a Python of just this version, also one that pyenv keeps out of the path
find_exact() {
  local candidate
  for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python; do
    if "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then command -v "$candidate"; return 0; fi
  done
  return 1
}

# make_venv LOCK: .venv from a lock with hashes
make_venv() {
  local python
  find_python >/dev/null || need_debian python3
  python=$(find_python) || die "Python 3.11 is needed: apt-get install python3"
  # ensurepip is what Debian splits off into python3-venv
  "$python" -c 'import ensurepip, venv' 2>/dev/null || need_debian python3-venv
  make_venv_of "$python" .venv "$1"
}

# make_venv_of PYTHON FOLDER LOCK: made again only when the lock, the project's metadata or the Python changes
make_venv_of() {
  local python=$1 folder=$2 lock=$3 stamp
  stamp=$(cat "$lock" pyproject.toml scripts/lib.sh | sha256sum | cut -d' ' -f1)-$("$python" -V | tr ' ' -)
  if [ -f "$folder/stamp" ] && [ "$(cat "$folder/stamp")" = "$stamp" ] && "$folder/bin/python" -c 'import agent' 2>/dev/null; then return 0; fi
  say "Making the virtual environment in $folder from $lock (a few minutes the first time)"
  rm -rf "$folder"
  "$python" -m venv "$folder" || { rm -rf "$folder"; need_debian python3-venv; "$python" -m venv "$folder"; }
  "$folder/bin/python" -m pip install -qq --disable-pip-version-check --require-hashes -r "$lock"
  # one at a time: it writes beside the sources, and scripts/test makes two environments at once
  flock pyproject.toml "$folder/bin/python" -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
  # simulator, benchmarks and training are not part of the installed program: the checkout itself is on the path
  printf '%s\n' "$root" >"$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/checkout.pth"
  printf '%s' "$stamp" >"$folder/stamp"
}

# what the libraries load at run time: OpenCV's wheel wants libGL and glib; ssh-keygen makes keys and signatures, openssl the page's certificate
runtime_packages=(libgl1 libglib2.0-0 openssh-client openssl ca-certificates)

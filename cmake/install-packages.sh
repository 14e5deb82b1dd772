#!/bin/sh
# Installs the Debian packages of the named sections of debian-packages.txt that are missing.
# Usage: install-packages.sh SECTION...
set -eu

list=$(dirname "$0")/debian-packages.txt
log=${TMPDIR:-/tmp}/espalier-packages.$$.log
trap 'rm -f "$log"' EXIT

wanted=
for section in "$@"; do
  found=$(sed -n "/^\[$section\]\$/,/^\[/{/^[a-z0-9]/p}" "$list")
  if [ -z "$found" ]; then
    echo "deps: $list has no section [$section]" >&2
    exit 2
  fi
  wanted="$wanted $found"
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "deps: not a Debian system; please see to it that you have:" $wanted
  exit 0
fi

missing=
for package in $wanted; do
  state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

root=
if [ "$(id -u)" -ne 0 ]; then
  if ! sudo -n true 2>/dev/null; then
    echo "deps: packages are missing, and sudo would ask for a password; please run" >&2
    echo "  sudo apt-get install --no-install-recommends$missing" >&2
    exit 1
  fi
  root="sudo -n"
fi

apt() {
  $root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
    -o Acquire::Retries=3 "$@" >"$log" 2>&1 </dev/null
}

echo "deps: installing$missing"
started=$(date +%s)
# The lists may be absent or too old to fetch from: read them anew, once.
if ! { apt update && apt install --no-install-recommends $missing; }; then
  tail -n 30 "$log" >&2
  echo "deps: apt-get failed" >&2
  exit 1
fi
echo "deps: installed in $(($(date +%s) - started)) s"

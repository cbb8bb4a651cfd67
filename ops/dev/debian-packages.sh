#!/usr/bin/env bash
# Installs the Debian packages that building and testing use, and only those that are missing.
set -euo pipefail

packages=(python3 make g++ sqlite3 curl jq strace fiu-utils iproute2 nftables faketime bind9-dnsutils
  ceph-mon ceph-osd radosgw # a real S3, 130 MB
  prometheus)               # promtool

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
  [[ $status == installed ]] || missing+=("$package")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

as_root=()
if [[ $(id -u) -ne 0 ]]; then
  command -v sudo >/dev/null || { echo "run as root, or install: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
echo "installing ${missing[*]}" >&2
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null

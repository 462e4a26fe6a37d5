#!/bin/bash
# install.sh LIST...: installs the packages named in packaging/apt/LIST.txt that are missing. Needs root for that.
set -euo pipefail
cd "$(dirname "$0")"
missing=()
for package in $(sort -u $(printf '%s.txt ' "$@")); do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
echo "installing ${#missing[@]} Debian packages: ${missing[*]}"
started=$(date +%s)
# policy-rc.d: packages with a daemon (nginx) must not start it here; the lab starts its own.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' >$policy
  chmod 755 $policy
  trap 'rm -f '$policy EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -q update </dev/null >/dev/null || { apt-get -q update </dev/null; exit 1; }
log=$(mktemp)
apt-get -q -y --no-install-recommends install "${missing[@]}" </dev/null >"$log" 2>&1 || { tail -30 "$log"; exit 1; }
rm -f "$log"
echo "packages installed in $(($(date +%s) - started)) s (download included)"

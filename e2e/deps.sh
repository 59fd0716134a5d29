#!/bin/bash
# Installs the Debian packages that the lab is made of, when one is missing. Run as root.
set -euo pipefail

packages="containerd runc containernetworking-plugins buildah iptables nftables conntrack ipset
  iputils-arping iputils-ping tcpdump busybox-static bind9-dnsutils ethtool ndisc6 jq curl
  iproute2 procps util-linux"

missing=""
for package in $packages; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  if [ "$status" != installed ]; then missing="$missing $package"; fi
done
if [ -z "$missing" ]; then
  echo "deps: all packages of the lab are installed"
  exit 0
fi

if [ "$(id -u)" != 0 ]; then
  echo "deps: missing:$missing; run as root to install them" >&2
  exit 1
fi
echo "deps: installing$missing"
export DEBIAN_FRONTEND=noninteractive
# A fresh machine has no package lists, and old lists name packages that are gone.
apt-get update -q
# Without recommends: the lab starts its own containerd and wants no other services. A package's
# own service must not start either, or a second containerd would run on this machine.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
# shellcheck disable=SC2086  # a list of words on purpose
apt-get install -q -y --no-install-recommends $missing
echo "deps: done"

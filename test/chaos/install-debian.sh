#!/bin/sh
# Installs what test/chaos needs on Debian and Ubuntu: namespaces and shaping
# (iproute2), a firewall (iptables), faults of disks (strace), and two file systems.
set -eu
if [ "$(id -u)" != 0 ]; then
  echo "install-debian.sh: must run as root, for example with sudo" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y --no-install-recommends iproute2 iptables strace xfsprogs e2fsprogs mount

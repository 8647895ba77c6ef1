#!/bin/bash
# Installs what the tests' real receivers need on a Debian machine (as root) and leaves everything of the project's own under
# tests/receivers/work, which git does not track. Runs in seconds when everything is there already.
#   rsyslog, syslog-ng   Debian's packages; syslog-ng is unpacked beside the system, since the two packages exclude each other
#   OpenSearch           a real node, started from its Maven artifacts
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$here/work
mkdir -p "$work"
export DEBIAN_FRONTEND=noninteractive

updated=
apt_update() { [ -n "$updated" ] || { apt-get update -q; updated=1; }; }
need() { # need COMMAND PACKAGE…: installs the packages where the command is missing
  local command=$1
  shift
  command -v "$command" >/dev/null 2>&1 && return 0
  apt_update
  apt-get install -y -q --no-install-recommends "$@"
}

need rsyslogd rsyslog
[ -e /usr/lib/x86_64-linux-gnu/rsyslog/lmnsd_gtls.so ] || { apt_update; apt-get install -y -q --no-install-recommends rsyslog-gnutls; }
need openssl openssl
need python3 python3
need curl curl
need ss iproute2
need mvn maven
need javac default-jdk-headless
need rpm rpm
need debootstrap debootstrap

if [ ! -x "$work/syslog-ng/usr/sbin/syslog-ng" ]; then
  apt_update
  mkdir -p "$work/debs" "$work/syslog-ng"
  (cd "$work/debs" && apt-get download -q syslog-ng-core libivykis0 libnet1 libwrap0 libpcre3)
  for deb in "$work"/debs/*.deb; do dpkg -x "$deb" "$work/syslog-ng"; done
fi

if [ ! -f "$work/opensearch/classes/OpenSearchNode.class" ]; then
  rm -rf "$work/opensearch"
  mkdir -p "$work/opensearch/classes"
  (cd "$here/opensearch" && mvn -q -B dependency:copy-dependencies -DoutputDirectory="$work/opensearch/lib")
  javac -cp "$work/opensearch/lib/*" -d "$work/opensearch/classes" "$here/opensearch/src/OpenSearchNode.java"
fi
[ -f "$work/certs/ca.pem" ] || "$here/certificates.sh" "$work/certs"
echo "receivers are ready"

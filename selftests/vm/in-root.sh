#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs a command with ROOT, a directory that suite.sh has filled, as its root.
# DIRECTORY, /dev and /proc are there as well.
#
#	in-root.sh ROOT DIRECTORY COMMAND...
#
# Nothing of that is seen from outside. It takes root's rights, or user
# namespaces.
set -eu

if [ "${IN_ROOT-}" != "$1" ]; then
	export IN_ROOT="$1"
	[ "$(id -u)" = 0 ] || exec unshare -rm "$0" "$@"
	exec unshare -m "$0" "$@"
fi
unset IN_ROOT
root=$1
directory=$2
shift 2
mkdir -p "$root/tmp"
for place in /dev /proc "$directory"; do
	mkdir -p "$root$place"
	mount --rbind "$place" "$root$place"
done
exec chroot "$root" "$@"

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Unpacks packages of other suites of Debian into a directory of the cache;
# nothing is installed, and the system's apt does not learn of the suites.
#
#	suite.sh [-a ARCH] [-d] [-m MEMBER] NAME SUITE[,SUITE...] PACKAGE...
#
# NAME is the directory's name in the cache, which is printed. If it is there,
# nothing is done. A PACKAGE with a * is the newest one whose name matches; -d
# takes all that the packages depend on as well, so that programs can run with
# the directory as their root; -m unpacks but what matches; -a asks for another
# architecture. The mirror is that of the system's own suites, and signatures are
# verified with Debian's keyring.
#
# The cache is VMCLOCK_CACHE, by default ~/.cache/vmclock.
set -eu

me=suite.sh
here=$(dirname "$0")
cache=${VMCLOCK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vmclock}
# shellcheck source=selftests/vm/apt.sh
. "$here/apt.sh"

usage() {
	sed -n 's/^#\t\(suite.sh.*\)/usage: \1/p' "$0" >&2
	exit 2
}

# apt with nothing of the system's but its mirror: options go to "$apt/conf".
configure() {
	apt=$tmp/apt
	mkdir -p "$apt/parts" "$apt/lists/partial" "$apt/cache/archives/partial" "$tmp/tree"
	: >"$apt/status"
	for suite in $(echo "$suites" | tr , ' '); do
		source_for "$suite"
	done >"$apt/parts/suites.sources"
	cat >"$apt/conf" <<-END
		Dir::Etc::SourceList "/dev/null";
		Dir::Etc::SourceParts "$apt/parts";
		Dir::Etc::Preferences "/dev/null";
		Dir::Etc::PreferencesParts "/dev/null";
		Dir::State "$apt";
		Dir::State::Lists "$apt/lists";
		Dir::State::status "$apt/status";
		Dir::Cache "$apt/cache";
		APT::Architecture "$arch";
		APT::Architectures { "$arch"; };
		APT::Default-Release "";
		APT::Install-Recommends "false";
		APT::Sandbox::User "root";
	END
}

with_conf() {
	program=$1
	shift
	APT_CONFIG=$apt/conf "$program" -qq "$@"
}

# The newest package whose name matches $1.
newest() {
	case $1 in
	*\**) ;;
	*) echo "$1" && return ;;
	esac
	regex=^$(echo "$1" | sed 's/[.+]/\\&/g; s/\*/.*/g')\$
	found=$(with_conf apt-cache pkgnames "${1%%\**}" | grep "$regex" | sort -V | tail -n 1)
	[ -n "$found" ] || die "no package $1 in $suites"
	echo "$found"
}

download() {
	if [ -n "$deep" ]; then
		with_conf apt-get -y --download-only install "$@" >&2
		mv "$apt"/cache/archives/*.deb "$tmp/"
	else
		(cd "$tmp" && with_conf apt-get download "$@" >&2)
	fi
}

# Packages may have files in /bin or in /usr/bin: it is one directory.
unpack() {
	for dir in bin sbin lib lib64; do
		mkdir -p "$tmp/tree/usr/$dir"
		ln -s "usr/$dir" "$tmp/tree/$dir"
	done
	for deb in "$tmp"/*.deb; do
		dpkg --fsys-tarfile "$deb" |
			tar -x --keep-directory-symlink -C "$tmp/tree" --wildcards "$members"
		rm "$deb"
	done
}

arch=$(dpkg --print-architecture)
deep=
members="*"
while getopts a:dm: option; do
	case $option in
	a) arch=$OPTARG ;;
	d) deep=y ;;
	m) members=$OPTARG ;;
	*) usage ;;
	esac
done
shift $((OPTIND - 1))
[ $# -ge 3 ] || usage
name=$1
suites=$2
shift 2

if [ ! -d "$cache/$name" ]; then
	mkdir -p "$cache"
	tmp=$(mktemp -d "$cache/tmp.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	trap 'exit 1' HUP INT TERM
	configure
	say "fetching from $suites: $*" >&2
	retry with_conf apt-get update >&2 || die "apt-get update failed"
	names=
	for package; do
		found=$(newest "$package") || exit
		names="$names $found"
	done
	# shellcheck disable=SC2086	# a list of names
	retry download $names || die "could not fetch$names"
	unpack
	# In one step: an interrupted run leaves nothing half done.
	mv -T "$tmp/tree" "$cache/$name"
fi
echo "$cache/$name"

# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# What the scripts that fetch Debian packages share. They name themselves in
# $me.

keyring=/usr/share/keyrings/debian-archive-keyring.gpg

say() {
	echo "${me:?}: $*"
}

die() {
	say "$*" >&2
	exit 1
}

# Mirrors and networks have bad moments.
retry() {
	for pause in 5 15 0; do
		"$@" && return
		sleep $pause
	done
	return 1
}

# Where apt has release $1 of Debian from, if it has.
mirror() {
	# shellcheck disable=SC2016	# apt's variables, not the shell's
	apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI) $(ORIGIN)' \
		'Created-By: Packages' |
		sed -n "s/^$1 main \([^ ]*\) Debian.*/\1/p" | head -n 1
}

# A deb822 source for suite $1, on the mirror of this release: security updates
# are at a place of their own.
source_for() {
	case $1 in
	*-security) uri=$(mirror bookworm-security) ;;
	*) uri=$(mirror bookworm) ;;
	esac
	[ -n "$uri" ] || die "apt has no place for $1: this needs Debian 12, with its security updates"
	printf '%s\n' "Types: deb" "URIs: $uri" "Suites: $1" "Components: main" \
		"Signed-By: $keyring" ""
}

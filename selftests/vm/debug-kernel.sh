#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Builds a kernel that finds bugs: Debian's source, with debug.config. That takes
# hours on a slow machine; it is done once per version and configuration, and
# goes on where it was interrupted.
#
#	debug-kernel.sh BUILD	writes BUILD/kernel-debug.mk
#
# In the cache, debug-kernel-HASH has the source in src, what was built in out,
# and a file done. JOBS says how many compilers run at once.
set -eu

me=debug-kernel.sh
build=$1
here=$(realpath "$(dirname "$0")")
cache=${VMCLOCK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vmclock}
config=$here/debug.config
source=linux-source-6.12
# shellcheck source=selftests/vm/apt.sh
. "$here/apt.sh"

unpack_source() {
	[ ! -e "$tree/src/Makefile" ] || return 0
	say "unpacking $source"
	mkdir -p "$tree/new"
	tar -xJf "$packed/usr/src/$source.tar.xz" -C "$tree/new" --strip-components=1
	mv -T "$tree/new" "$tree/src"
}

# Every line of the fragment must have come through, or it checks less than it says.
configure() {
	make -s -C "$tree/src" O="$tree/out" KCONFIG_ALLCONFIG="$config" allnoconfig >/dev/null
	grep '^CONFIG_' "$config" | while read -r line; do
		grep -qxF "$line" "$tree/out/.config" && continue
		die "this kernel does not take $line"
	done
}

# What modules are built with stays, and the image.
prune() {
	find "$tree/out" -path "$tree/out/scripts" -prune -o -path "$tree/out/tools" -prune -o \
		\( -name '*.o' -o -name '*.a' -o -name '.*.cmd' -o -name 'vmlinux*' \) -print |
		grep -v '/arch/x86/boot/bzImage$' | xargs rm -f
	find "$tree/src" -name '*.c' ! -path "$tree/src/scripts/*" ! -path "$tree/src/tools/*" -delete
	rm -rf "$tree/src/Documentation" "$tree/src/tools/testing" "$packed"
}

build_kernel() {
	packed=$("$here/suite.sh" $source bookworm-security $source)
	unpack_source
	mkdir -p "$tree/out"
	configure
	say "building the debug kernel in $tree: this can take hours, and goes on after an interruption"
	nice -n 19 make -s -C "$tree/src" O="$tree/out" -j"${JOBS:-$(nproc)}" bzImage modules
	prune
	touch "$tree/done"
}

tree=$cache/debug-kernel-$(sha256sum "$config" | cut -c 1-12)
[ -e "$tree/done" ] || build_kernel
mkdir -p "$build"
cat >"$build/kernel-debug.mk" <<-END
	# Written by selftests/vm/debug-kernel.sh.
	GUEST_KVER := $(cat "$tree/out/include/config/kernel.release")
	GUEST_KDIR := $tree/out
	GUEST_VMLINUZ := $tree/out/arch/x86/boot/bzImage
	GUEST_MAKE := env -u MAKEFLAGS make
	GUEST_PATIENCE := 4
END

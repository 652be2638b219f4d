#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Sets up what `make check-host` needs beside what setup.sh has done: a QEMU with
# vhost-user-rtc-pci, the kernel's virtio_rtc driver, rust-vmm's vhost crate and
# a compiler for it. All of that is of other Debian suites, or would be in the
# way of packages that are here: it is unpacked into the cache, not installed.
#
#	setup-host.sh BUILD	writes BUILD/setup-host.mk
set -eu

me=setup
here=$(dirname "$0")
build=$1
cache=${VMCLOCK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vmclock}
# shellcheck source=selftests/vm/apt.sh
. "$here/apt.sh"

newer=trixie,trixie-backports
linux="linux-source-7.2"

# What vhost's front-end is made of. Cargo wants to see winapi, and compiles none of it.
crates="bitflags bitflags-1 byteorder cfg-if getrandom libc ppv-lite86 proc-macro2 quote rand
	rand-chacha rand-core syn thiserror-1 thiserror-impl-1 unicode-ident uuid vhost vm-memory
	vmm-sys-util winapi winapi-i686-pc-windows-gnu winapi-x86-64-pc-windows-gnu zerocopy
	zerocopy-derive"

# The packages of QEMU itself have to come from backports, those they need do not.
fetch_qemu() {
	set --
	for package in qemu-system-x86 qemu-system-common qemu-system-data seabios; do
		set -- "$@" $package/trixie-backports
	done
	"$here/suite.sh" -d qemu-host $newer "$@" >/dev/null
}

# By the loader of its own suite: this one's C library is too old for it.
write_qemu_runner() {
	tree=$cache/qemu-host
	cat >"$build/qemu-host" <<-END
		#!/bin/sh
		QEMU_MODULE_DIR=$tree/usr/lib/x86_64-linux-gnu/qemu \\
		exec $tree/usr/lib64/ld-linux-x86-64.so.2 \\
			--library-path $tree/usr/lib/x86_64-linux-gnu \\
			$tree/usr/bin/qemu-system-x86_64 \\
			-L $tree/usr/share/qemu -L $tree/usr/share/seabios "\$@"
	END
	chmod +x "$build/qemu-host"
	"$build/qemu-host" -device vhost-user-rtc-pci,help >/dev/null ||
		die "this QEMU does not run here, or has no vhost-user-rtc-pci"
}

# Named one by one, so that tar need not read to the end.
fetch_rtc_driver() {
	[ ! -d "$cache/virtio-rtc" ] || return 0
	source=$(VMCLOCK_CACHE=$tmp "$here/suite.sh" source $newer $linux) || return
	mkdir "$tmp/rtc"
	tar -xJf "$source/usr/src/$linux.tar.xz" -C "$tmp/rtc" --strip-components=1 --occurrence=1 \
		$linux/drivers/virtio/virtio_rtc_class.c \
		$linux/drivers/virtio/virtio_rtc_driver.c \
		$linux/drivers/virtio/virtio_rtc_internal.h \
		$linux/drivers/virtio/virtio_rtc_ptp.c \
		$linux/include/uapi/linux/virtio_rtc.h || return
	mv -T "$tmp/rtc" "$cache/virtio-rtc"
}

# Of what cargo needs, the packages that setup.sh does not install: rustc-web
# would throw out rustc.
fetch_rust() {
	names=$(apt-get -s -o Dir::State::status=/dev/null --no-install-recommends install cargo-web |
		sed -n 's/^Inst \([^ ]*\(rust\|cargo\|llvm\)[^ ]*\) .*/\1/p')
	# shellcheck disable=SC2086	# a list of names
	"$here/suite.sh" rust bookworm,bookworm-security $names >/dev/null
}

fetch_crates() {
	# shellcheck disable=SC2046,SC2086	# lists of names
	"$here/suite.sh" crates trixie $(printf 'librust-%s-dev ' $crates) >/dev/null
}

mkdir -p "$cache" "$build"
tmp=$(mktemp -d "$cache/tmp.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

fetch_qemu || die "no QEMU of $newer (40 MB)"
write_qemu_runner
fetch_rtc_driver || die "no $linux of $newer (165 MB, of which a few files are kept)"
fetch_rust || die "no compiler for Rust (100 MB)"
fetch_crates || die "no crates of trixie (3 MB)"
cat >"$build/setup-host.mk" <<-END
	# Written by selftests/vm/setup-host.sh.
	HOST_QEMU := $build/qemu-host
	VIRTIO_RTC := $cache/virtio-rtc
	RUST := $cache/rust/usr
	CRATES := $cache/crates/usr/share/cargo/registry
END

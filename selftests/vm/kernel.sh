#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Fetches a guest kernel of Debian and what builds modules for it, and tells
# make where it is.
#
#	kernel.sh BUILD SERIES	writes BUILD/kernel-SERIES.mk
#
# SERIES is 5.10, 6.12 or 7.2, debug for what debug-kernel.sh builds, or arm64,
# which is 6.12 for that machine; 6.1 is Debian 12's own, which setup.sh sees to.
set -eu

build=$1
series=$2
here=$(dirname "$0")
name=kernel-$series
# The kernel's own driver, if it has one.
in_tree=
# What vmclock.ko needs and this kernel does not have built in, in this order.
before=
# What programs for the guest are linked with, if it is no machine like this one.
libraries=

# The compiler is the system's.
shallow() {
	tree=$("$here/suite.sh" "$name" "$1" "linux-headers-$series.*-cloud-amd64" \
		"linux-headers-$series.*-common" "$2" "linux-image-$series.*-cloud-amd64")
	kver=$(basename "$tree"/usr/src/linux-headers-*-cloud-amd64 | sed 's/^linux-headers-//')
	kdir=$tree/usr/src/linux-headers-$kver
	vmlinuz=$tree/boot/vmlinuz-$kver
	# It names the place where the other headers would have been installed.
	sed -i "s|^include /usr/src/|include $tree/usr/src/|" "$kdir/Makefile"
	make="env -u MAKEFLAGS make CC=gcc-12 CONFIG_DEBUG_INFO_BTF_MODULES="
}

# The compiler and the other tools are of the kernel's release, and run with the
# directory as their root.
deep() {
	tree=$("$here/suite.sh" -d "$name" "$1" "linux-headers-$series.*-cloud-amd64" \
		"linux-binary-$series.*-cloud-amd64" "linux-modules-$series.*-cloud-amd64" \
		binutils make dash coreutils sed grep findutils mawk)
	kver=$(basename "$tree"/usr/src/linux-headers-*-cloud-amd64 | sed 's/^linux-headers-//')
	kdir=/usr/src/linux-headers-$kver
	vmlinuz=$tree/usr/lib/modules/$kver/vmlinuz
	ln -sf mawk "$tree/usr/bin/awk"
	in_tree=$tree/usr/lib/modules/$kver/kernel/drivers/ptp/ptp_vmclock.ko
	[ -e "$in_tree" ] || unxz -k "$in_tree.xz"
	make="env -u MAKEFLAGS $(realpath "$here")/in-root.sh $tree $build make CONFIG_DEBUG_INFO_BTF_MODULES="
}

# The headers' programs are for arm64: take this machine's in their place. And
# libraries, for programs that run there.
cross() {
	tree=$("$here/suite.sh" -a arm64 "$name-guest" "$1" "linux-headers-$2.*-cloud-arm64" \
		"linux-headers-$2.*-common" "linux-image-$2.*-cloud-arm64")
	libraries=$("$here/suite.sh" -a arm64 libraries-arm64 bookworm liburing-dev \
		libjansson-dev libinih-dev)
	kver=$(basename "$tree"/usr/src/linux-headers-*-cloud-arm64 | sed 's/^linux-headers-//')
	kdir=$tree/usr/src/linux-headers-$kver
	vmlinuz=$tree/boot/vmlinuz-$kver
	kbuild=linux-kbuild-${kver%-cloud-arm64}
	tools=$("$here/suite.sh" "$kbuild" "$1" "$kbuild")
	ln -sfn "$tools/usr/lib/$kbuild" "$tree/usr/lib/$kbuild"
	sed -i "s|^include /usr/src/|include $tree/usr/src/|" "$kdir/Makefile"
	make="env -u MAKEFLAGS make ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu- \
		CC=aarch64-linux-gnu-gcc-12 CONFIG_DEBUG_INFO_BTF_MODULES="
}

case $series in
5.10)
	shallow bullseye-security linux-kbuild-5.10
	drivers=$tree/usr/lib/modules/$kver/kernel/drivers
	before="$drivers/pps/pps_core.ko $drivers/ptp/ptp.ko"
	;;
6.12) shallow bookworm-security "linux-kbuild-6.12.*" ;;
7.2) deep trixie,trixie-security,trixie-backports ;;
arm64) cross bookworm-security 6.12 ;;
debug) exec "$here/debug-kernel.sh" "$build" ;;
*)
	echo "kernel.sh: no kernel $series; there are 5.10, 6.1, 6.12, 7.2, debug and arm64" >&2
	exit 2
	;;
esac

mk=$build/kernel-$series.mk
mkdir -p "$build"
cat >"$mk.new" <<-END
	# Written by selftests/vm/kernel.sh.
	GUEST_KVER := $kver
	GUEST_KDIR := $kdir
	GUEST_VMLINUZ := $vmlinuz
	GUEST_MAKE := $make
	GUEST_IN_TREE := $in_tree
	GUEST_BEFORE := $before
	GUEST_LIBRARIES := $libraries
END
mv "$mk.new" "$mk"

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Sets up what `make check` and `make run` need, on Debian 12: installs missing
# packages, fetches the guest's kernel and a few files of its source into a
# cache, and tells make where everything is.
#
#	setup.sh BUILD [soak|debug|host|arm64]	writes BUILD/setup.mk
#
# The cache is VMCLOCK_CACHE, by default ~/.cache/vmclock. What is there is
# neither fetched nor unpacked again.
set -eu

me=setup
here=$(dirname "$0")
build=$1
cache=${VMCLOCK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vmclock}
codename=bookworm
qemu_min=1:10.0
emulators=qemu-system-x86
headers=linux-headers-cloud-amd64
# shellcheck source=selftests/vm/apt.sh
. "$here/apt.sh"

# package: reason
packages="\
gcc: compiles everything
libc6-dev: the C library's headers
gcc-12-multilib: checks that the headers work for 32-bit programs
g++: checks that the headers work in C++
g++-12-multilib: the same, 32-bit
gcc-s390x-linux-gnu: builds the library for a big-endian machine
libc6-dev-s390x-cross: the C library's headers for that
gcc-aarch64-linux-gnu: builds the library for arm64
libc6-dev-arm64-cross: the C library's headers for that
qemu-user: runs what was built for them
python3: runs the tests and the referee
perl: runs the kernel's checkpatch and kernel-doc
sparse: checks byte order and address spaces in the driver
shellcheck: checks the shell scripts
mandoc: checks the manual pages
gnuplot-nox: draws what vmclockctl has recorded
spin: searches the model of the sequence protocol
sqlite3: a database client that takes its time from a page
cpio: packs the guest's initramfs
xz-utils: unpacks the kernel's source
liburing-dev: the tests of io_uring, and the programs that wait by it
acpica-tools: compiles the ACPI table of the guest's test devices
libinih-dev: the host writer's configuration file
libjansson-dev: JSON, for the host writer's control socket and QEMU's monitor, and vmclockctl host
tzdata: its list of leap seconds tells TAI from UTC
libcap2: chronyd, which runs in the guest, is linked with it
libedit2: the same for chronyc
libgnutls30: the same for chronyd
libnettle8: the same for both
libseccomp2: the same for chronyd
$headers: the guest kernel's headers, to build the module against"

# Only `make soak` needs these: they are large.
if [ "${2-}" = soak ]; then
	packages="$packages
clang: its libFuzzer looks for inputs that chance does not find
libclang-rt-14-dev: libFuzzer"
fi

# And only a kernel's build these.
if [ "${2-}" = debug ]; then
	packages="$packages
bc: the kernel's build calculates with it
bison: makes parsers for it
flex: the same
libelf-dev: its objtool is linked with libelf"
fi

# Only `make check-host` needs these; setup-host.sh does the rest for it.
if [ "${2-}" = host ]; then
	packages="$packages
libgit2-1.5: cargo is linked with it
libcurl4: the same
libssh2-1: the same"
fi

# And only a guest of that kind these.
if [ "${2-}" = arm64 ]; then
	packages="$packages
device-tree-compiler: describes the test pages to it
gcc-arm-linux-gnueabihf: builds a test for its 32-bit programs
libc6-dev-armhf-cross: the C library's headers for that"
	emulators="$emulators qemu-system-arm"
fi

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "not root, and no sudo: cannot run $*"
	fi
}

apt_root() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
		-o DPkg::Lock::Timeout=300 "$@"
}

apt_update() {
	[ -z "${updated-}" ] || return 0
	say "updating the package lists"
	retry apt_root update >/dev/null || die "apt-get update failed"
	updated=y
}

installed_version() {
	dpkg-query -W -f '${db:Status-Status} ${Version}\n' "$1" 2>/dev/null |
		sed -n 's/^installed //p'
}

install_packages() {
	missing=
	while IFS=: read -r name reason; do
		[ -z "$(installed_version "$name")" ] || continue
		say "installing $name:$reason"
		missing="$missing $name"
	done <<-END
		$packages
	END
	[ -n "$missing" ] || return 0
	apt_update
	# shellcheck disable=SC2086	# a list of names
	retry apt_root install --no-install-recommends $missing || die "apt-get install failed"
}

have_qemu() {
	for emulator in $emulators; do
		dpkg --compare-versions "$(installed_version "$emulator")" ge $qemu_min || return
	done
}

install_qemu() {
	have_qemu && return
	say "installing $emulators from $codename-backports: the guest; its vmclock device came with QEMU 10.0"
	apt_update
	if [ -z "$(mirror $codename-backports)" ]; then
		list=/etc/apt/sources.list.d/vmclock-backports.sources
		say "adding $codename-backports to apt, in $list"
		source_for $codename-backports | as_root tee $list >/dev/null
		updated=
		apt_update
	fi
	# shellcheck disable=SC2086	# a list of names
	retry apt_root install --no-install-recommends -t $codename-backports \
		$emulators || die "apt-get install failed"
	have_qemu || die "QEMU is still older than $qemu_min"
}

# With an expired list the page would carry UTC: Debian updates the package.
refresh_leap_seconds() {
	expires=$(sed -n 's/^#@[[:space:]]*\([0-9]*\).*/\1/p' /usr/share/zoneinfo/leap-seconds.list)
	# Its seconds count from 1900.
	[ "${expires:-0}" -le $(($(date +%s) + 2208988800)) ] || return 0
	say "updating tzdata: its list of leap seconds has expired"
	apt_update
	retry apt_root install --no-install-recommends tzdata || die "apt-get install failed"
}

# Download package $1 (NAME or NAME=VERSION), with further options for apt.
download() {
	package=$1
	shift
	(cd "$tmp" && retry apt-get -q -o APT::Sandbox::User=root "$@" download "$package")
}

# The members of package file $1 that match $3..., below directory $2.
unpack() {
	deb=$1
	into=$2
	shift 2
	mkdir -p "$into"
	dpkg --fsys-tarfile "$deb" | tar -x -C "$into" --wildcards "$@"
}

# In one step: an interrupted run leaves nothing half done. set -e does not hold
# inside of conditions, hence the returns up to here.
keep() {
	mv -T "$1" "$cache/$2" || return
	rm -f "$tmp"/*.deb
}

guest_version() {
	kver=$(dpkg-query -W -f '${Depends}\n' $headers |
		sed -n 's/.*linux-headers-\([0-9][^ ,]*-cloud-amd64\).*/\1/p')
	[ -n "$kver" ] || die "$headers does not name a kernel"
	version=$(installed_version "linux-headers-$kver")
	series=$(echo "$kver" | cut -d. -f1,2)
	image=linux-image-virtio-${kver}_$version
	source=linux-source-${series}_$version
}

fetch_image() {
	[ ! -d "$cache/$image" ] || return 0
	say "fetching linux-image-$kver: the guest's kernel (not installed)"
	download "linux-image-$kver=$version" || return
	unpack "$tmp"/linux-image-*.deb "$tmp/image" "./boot/vmlinuz-*" \
		"./lib/modules/*/kernel/drivers/virtio/*" || return
	keep "$tmp/image" "$image"
}

fetch_source() {
	[ ! -d "$cache/$source" ] || return 0
	say "fetching linux-source-$series: kselftest, checkpatch and kernel-doc (140 MB, a few files are kept)"
	download "linux-source-$series=$version" || return
	mkdir "$tmp/source"
	dpkg --fsys-tarfile "$tmp"/linux-source-*.deb |
		tar -xO --wildcards "./usr/src/linux-source-*.tar.xz" |
		tar -xJ -C "$tmp/source" --strip-components=1 --wildcards \
			"*/tools/testing/selftests/kselftest" \
			"*/tools/testing/selftests/kselftest*.h" \
			"*/tools/testing/selftests/kselftest_deps.sh" \
			"*/tools/testing/selftests/lib.mk" \
			"*/scripts/checkpatch.pl" "*/scripts/spelling.txt" \
			"*/scripts/const_structs.checkpatch" "*/scripts/kernel-doc" \
			"*/Documentation/userspace-api/ioctl/ioctl-number.rst" || return
	keep "$tmp/source" "$source"
}

# A newer Debian's kernel header, to compare ours with.
fetch_abi_header() {
	[ -n "$(mirror $codename)" ] || apt_update
	"$here/suite.sh" -m "*/linux/vmclock-abi.h" abi-header trixie-backports linux-libc-dev \
		>/dev/null
}

# Not installed: chrony would take over this system's clock.
fetch_clients() {
	[ ! -d "$cache/clients" ] || return 0
	say "fetching linuxptp and chrony: they use the PTP clock in the guest (not installed)"
	for package in linuxptp chrony; do
		download "$package" || {
			apt_update
			download "$package" || return
		}
	done
	unpack "$tmp"/linuxptp_*.deb "$tmp/clients" ./usr/sbin/phc_ctl || return
	unpack "$tmp"/chrony_*.deb "$tmp/clients" ./usr/sbin/chronyd ./usr/bin/chronyc || return
	keep "$tmp/clients" clients
}

fetch_kernel() {
	guest_version
	fetch_image && fetch_source && return
	# The mirror no longer has what was installed some time ago.
	say "installing the present $headers"
	apt_update
	retry apt_root install --no-install-recommends $headers || return
	guest_version
	fetch_image && fetch_source
}

write_setup_mk() {
	mkdir -p "$build"
	cat >"$tmp/setup.mk" <<-END
		# Written by selftests/vm/setup.sh.
		GUEST_KVER := $kver
		GUEST_KDIR := /usr/src/linux-headers-$kver
		GUEST_VMLINUZ := $cache/$image/boot/vmlinuz-$kver
		GUEST_MODULES := $cache/$image/lib/modules/$kver/kernel/drivers
		KSELFTEST_DIR := $cache/$source/tools/testing/selftests
		KERNEL_SCRIPTS := $cache/$source/scripts
		IOCTL_NUMBER_RST := $cache/$source/Documentation/userspace-api/ioctl/ioctl-number.rst
		VMCLOCK_ABI_INCLUDE := $cache/abi-header/usr/include
		CLIENTS := $cache/clients/usr
	END
	cmp -s "$tmp/setup.mk" "$build/setup.mk" || cp "$tmp/setup.mk" "$build/setup.mk"
}

mkdir -p "$cache"
# In the cache: what is kept is renamed into place.
tmp=$(mktemp -d "$cache/tmp.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

install_packages
refresh_leap_seconds
install_qemu
fetch_kernel || die "could not fetch the guest's kernel"
fetch_abi_header || die "could not fetch <linux/vmclock-abi.h>"
fetch_clients || die "could not fetch linuxptp and chrony"
write_setup_mk

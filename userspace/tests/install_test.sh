#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What is installed can be built against and run, and nothing else is.

# shellcheck source-path=SCRIPTDIR
. tests/tap.sh

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
root=$dir/root

cat > "$dir/program.c" <<'END'
#include <stdio.h>
#include <linux/vmclock-dev.h>
#include <vmclk-writer.h>

int main(void)
{
	return puts(vmclk_version()) < 0;
}
END

# Those who build packages have a VERSION in their environment, of something else.
do_install()
{
	MAKEFLAGS='' VERSION=9.9.9 make -s install OUT="$dir/build" CFLAGS=-O0 STATIC=no \
		DESTDIR="$root" PREFIX="${1:-/usr}" LIBDIR=/usr/lib/lab
}

field()
{
	sed -n "s/^$1=//p" "$root/usr/lib/lab/pkgconfig/libvmclk.pc"
}

builds()
{
	${CC:-cc} -I"$root$(field includedir)" -o "$dir/program" "$dir/program.c" \
		-L"$root$(field libdir)" -lvmclk
}

# Other paths are no reason to compile anything anew.
builds_nothing_twice()
{
	touch "$dir/then"
	do_install /opt && [ -z "$(find "$dir/build" -name '*.o' -newer "$dir/then")" ]
}

version=$(sed -n 's/^VERSION .*= //p' Makefile)
runs()
{
	[ "$(LD_LIBRARY_PATH=$root/usr/lib/lab "$dir/program")" = "$version" ]
}

tool_runs()
{
	LD_LIBRARY_PATH=$root/usr/lib/lab "$root/usr/bin/vmclockctl" --version |
		grep -qxF "vmclockctl $version"
}

# A page for each function: its group's, or one line that leads there.
functions()
{
	sed -n 's/^\t\(vmclk_[a-z_]*\);$/\1/p' lib/libvmclk.map
	printf 'vmclk_%s\n' counter fast_init fast_now
	printf 'vmclk_uring_prep_%s\n' cancel poll poll_multishot read snapshot wait
}

list()
{
	functions | sed 's|.*|./usr/share/man/man3/&.3|' >> "$dir/expected"
	sort -o "$dir/expected" "$dir/expected"
	(cd "$root" && find . ! -type d) | sort | diff - "$dir/expected"
}

# What a page is read as has the name of the function.
aliases_lead_to_pages()
{
	for page in "$root"/usr/share/man/man3/*; do
		name=$(basename "$page" .3)
		led_to=$(sed -n 's/^\.so //p' "$page")
		grep -q "^\.Nm $name\( ,\)*\$" "$root/usr/share/man/${led_to:-man3/$name.3}" || {
			echo "$name"; return 1
		}
	done
}

# The unit names programs that are there, and nothing is left to be filled in.
unit_fits()
{
	unit=$root/usr/lib/systemd/system/vmclock-hostd.service
	! grep -q "@[A-Z]*@" "$unit" || return
	sed -n 's/^Exec[A-Za-z]*=\([^ ]*\).*/\1/p' "$unit" > "$dir/programs"
	[ "$(wc -l < "$dir/programs")" = 2 ] || return
	while read -r program; do
		[ -x "$root$program" ] || { echo "$program"; return 1; }
	done < "$dir/programs"
}

# Where it is installed for good. What systemd does not understand it warns of, and goes on;
# it also loads units that ours depends on, and warns of those.
unit_is_understood()
{
	mkdir "$dir/unit"
	sed "s|=/usr/|=$root/usr/|" "$root/usr/lib/systemd/system/vmclock-hostd.service" \
		> "$dir/unit/vmclock-hostd.service"
	TMPDIR=$dir systemd-analyze verify --man=no "$dir/unit/vmclock-hostd.service" \
		> "$dir/said" 2>&1 || echo "exit status $?" >> "$dir/said"
	cat "$dir/said"
	! grep -Eq 'vmclock-hostd|^exit status' "$dir/said"
}

cat > "$dir/expected" <<'END'
./usr/bin/vmclockctl
./usr/include/linux/vmclock-dev.h
./usr/include/linux/vmclock-page.h
./usr/include/vmclk-inline.h
./usr/include/vmclk-stamp.h
./usr/include/vmclk-uring.h
./usr/include/vmclk-watch.h
./usr/include/vmclk-writer.h
./usr/include/vmclk.h
./usr/lib/lab/libvmclk-preload.so
./usr/lib/lab/libvmclk.a
./usr/lib/lab/libvmclk.so
./usr/lib/lab/libvmclk.so.0
./usr/lib/lab/pkgconfig/libvmclk.pc
./usr/lib/systemd/system/vmclock-hostd.service
./usr/sbin/vmclock-hostd
./usr/share/doc/vmclock/hostd.conf
./usr/share/man/man1/vmclockctl.1
./usr/share/man/man4/vmclock.4
./usr/share/man/man5/vmclock-hostd.conf.5
./usr/share/man/man7/libvmclk-preload.7
./usr/share/man/man7/libvmclk.7
./usr/share/man/man8/vmclock-hostd.8
END

test_that "make install succeeds" do_install
test_that "without a static program if there is to be none" \
	test ! -e "$dir/build/vmclockctl-static"
test_that "it installs what it should and no more" list
test_that "each function has a manual page that speaks of it" aliases_lead_to_pages
test_that "a program builds against what was installed" builds
test_that "and runs" runs
test_that "the installed vmclockctl finds the installed library" tool_runs
test_that "the unit starts and reloads what was installed" unit_fits
if command -v systemd-analyze > /dev/null; then
	test_that "systemd understands all of the unit" unit_is_understood
else
	tap_skip "systemd understands all of the unit" "no systemd-analyze here"
fi
test_that "a second install compiles nothing" builds_nothing_twice
tap_done

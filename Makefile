# SPDX-License-Identifier: GPL-2.0-or-later
#
# The front door; "make help" lists what there is. Everything built goes to
# build/.

KDIR ?= /lib/modules/$(shell uname -r)/build
PREFIX ?= /usr/local
DESTDIR ?=
INSTALL_MOD_PATH ?= $(DESTDIR)
SECONDS ?= 20
# Of the guest's fuzzer, in each machine.
FUZZ_SECONDS ?= $(if $(filter arm64,$(KERNEL)),15,60)
# In the feed test the host writer publishes as often as readers in an emulated
# machine can bear: their windows are some microseconds long.
FEED_OPTIONS ?= --publish-us=5
# How long the machine that is restored was saved, in seconds.
KEEP ?= 20

BUILD := $(CURDIR)/build
# Those of userspace/Makefile: whatever the environment says of them is not meant.
unexport OUT BUILD_ROOT
RESULTS := $(BUILD)/results

# The guest's kernel: a series of Debian's, or "debug". Without a choice, check
# runs everything on Debian 12's own, and the most on the newest.
kernels := 5.10 6.1 6.12 7.2
modes := stock unstable feed
arm64_vms := arm64:stock arm64:feed
check_vms := $(if $(KERNEL),$(modes:%=$(KERNEL):%),$(modes:%=6.1:%) \
	6.1:restored 6.1:life 7.2:stock 7.2:feed)
KERNEL ?= 6.1

# Where selftests/vm/setup.sh has put the guest's kernel and the rest, and
# kernel.sh another one.
GUEST_MAKE = $(MAKE) C=2 CF=-D__CHECK_ENDIAN__
GUEST_PATIENCE = 1
-include build/setup.mk build/setup-host.mk
ifneq ($(KERNEL),6.1)
-include build/kernel-$(KERNEL).mk
endif

# What is built for the guest's machine. Another kind of machine has its own.
GUEST := $(BUILD)
ifeq ($(KERNEL),arm64)
GUEST := $(BUILD)/arm64
override CC := aarch64-linux-gnu-gcc
cross := CC=$(CC) AR=aarch64-linux-gnu-ar CC32=arm-linux-gnueabihf-gcc \
	CPPFLAGS=-I$(GUEST_LIBRARIES)/usr/include \
	LDFLAGS=-L$(GUEST_LIBRARIES)/usr/lib/aarch64-linux-gnu
cross_userspace = $(if $(Q),-s) OUT=$(GUEST)/userspace $(cross) \
	$(addprefix $(GUEST)/userspace/,libvmclk.a vmclockctl-static vmclock-hostd)
# This machine's kernel has no word on that machine's counter.
cross_feed := --force-counter
endif
VM := $(GUEST)/vm

Q := $(if $(filter 1,$(V)),,@)
# All processors, unless the caller has said how many.
JOBS = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))
TAP := python3 selftests/tap.py
# With -n, lines that call make are run nevertheless: let them say what they would do.
ifneq ($(findstring n,$(filter-out -%,$(firstword $(MAKEFLAGS)))),)
TAP := echo $(TAP)
endif
MAKEFLAGS += --no-print-directory

all: modules userspace

# Kbuild writes beside the sources: give it copies. $(1) is the directory.
# What has gone from the tree must not live on there.
define stage
$(Q)mkdir -p $(1) && cp -au Kbuild driver uapi $(1)/
$(Q)cd $(1) && find Kbuild driver uapi -name '*.[ch]' ! -name '*.mod.c' | \
	while read -r file; do [ -e $(CURDIR)/$$file ] || rm $$file; done
endef

modules:
	@[ -e $(KDIR)/Makefile ] || { \
		echo "No kernel headers at $(KDIR)."; \
		echo "On Debian: apt install linux-headers-$(shell uname -r); or say where: make modules KDIR=..."; \
		exit 1; }
	$(call stage,$(BUILD)/modules)
	$(Q)$(MAKE) -C $(KDIR) M=$(BUILD)/modules modules

userspace:
	$(Q)$(MAKE) -C userspace PREFIX=$(PREFIX) $(cross_userspace)

# A distribution's headers come without its key; do not try to sign then.
unsigned = $(if $(wildcard $(KDIR)/certs/signing_key.pem),,CONFIG_MODULE_SIG_ALL=)

install: all
	$(Q)$(MAKE) -C $(KDIR) M=$(BUILD)/modules INSTALL_MOD_PATH=$(INSTALL_MOD_PATH) \
		$(unsigned) modules_install
	$(Q)$(MAKE) -C userspace install PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)
	install -D -m 644 driver/vmclock-modprobe.conf $(DESTDIR)/usr/lib/modprobe.d/vmclock.conf
	@echo "Installed $(DESTDIR)/usr/lib/modprobe.d/vmclock.conf: it keeps the in-tree ptp_vmclock from binding the device; read it to go back."

clean:
	$(Q)rm -rf build

SETUP_FOR = $(filter debug arm64,$(KERNEL) $(SETUP_KERNELS))

# What follows needs Debian packages and more: set up first, then start again
# with what the set-up has written.
setup:
	@selftests/vm/setup.sh $(BUILD) $(SETUP_FOR)
	@for series in $(filter-out 6.1,$(sort $(KERNEL) $(SETUP_KERNELS))); do \
		selftests/vm/kernel.sh $(BUILD) $$series || exit; \
	done

setup-host: SETUP_FOR := host
setup-host: setup
	@selftests/vm/setup-host.sh $(BUILD)

run: setup
	@$(MAKE) do-$@

sum := $(TAP) sum --results $(RESULTS) --expected-skips selftests/vm/expected-skips

check-static check-unit check-vm-stock check-vm-unstable check-vm-feed check-vm-restored check-vm-life \
check-vm-hibernated: setup
	@rm -rf $(RESULTS)
	@status=0; $(MAKE) do-$@ || status=1; $(sum) && exit $$status

# What is called 6.1:stock here has the results vm-stock, 7.2:stock has 7.2-vm-stock.
vm_results = $(patsubst 6.1-%,%,$(subst :,-vm-,$(1)))
run_vms = for vm in $(1); do \
		echo "== check-vm-$${vm\#*:} KERNEL=$${vm%:*}"; \
		$(MAKE) do-check-vm-$${vm\#*:} KERNEL=$${vm%:*} || echo "== $$vm: FAILED"; \
	done
kernels_of = $(sort $(foreach vm,$(1),$(firstword $(subst :, ,$(vm)))))

# The same tests, on a machine of another kind.
check-vm-arm64:
	@rm -rf $(RESULTS)
	@$(MAKE) setup KERNEL=arm64
	@$(call run_vms,$(arm64_vms))
	@$(sum) --require $(call vm_results,$(arm64_vms))

# Against what was not written here: QEMU's front-end and the kernel's driver, and
# rust-vmm's front-end.
check-host:
	@rm -rf $(RESULTS)/host
	@status=0; $(MAKE) setup-host KERNEL=6.1 && $(MAKE) do-$@ KERNEL=6.1 || status=1; \
		$(TAP) sum --results $(RESULTS)/host --require $(host_tests) && exit $$status

# Everything runs, also after something failed; the sum at the end decides.
check:
	@rm -rf $(RESULTS) $(BUILD)/summary
	@$(MAKE) setup SETUP_KERNELS="$(call kernels_of,$(check_vms))"
	@for part in static unit; do \
		echo "== check-$$part"; \
		$(MAKE) do-check-$$part || echo "== check-$$part: FAILED"; \
	done
	@$(call run_vms,$(check_vms))
	@$(sum) --require $(check_tests) >$(BUILD)/summary; \
		status=$$?; cat $(BUILD)/summary; exit $$status

# All kernels that the driver is for.
all_vms := $(foreach series,$(kernels),$(modes:%=$(series):%)) $(arm64_vms) 6.1:hibernated \
	7.2:restored
check-kernels:
	@rm -rf $(RESULTS)
	@$(MAKE) setup SETUP_KERNELS="$(call kernels_of,$(all_vms))"
	@$(call run_vms,$(all_vms))
	@$(sum) --require $(call vm_results,$(all_vms))

# A kernel that looks for bugs itself, and does it? It is built first, which takes long.
debug_vms := debug:planted $(modes:%=debug:%) debug:restored
check-debug:
	@rm -rf $(RESULTS)
	@$(MAKE) setup KERNEL=debug
	@$(call run_vms,$(debug_vms))
	@$(sum) --require $(call vm_results,$(debug_vms))

# What CI runs. On a machine that is slow already with check there is no time for
# check-host: that is a skip, and the only one that is expected of it.
HOST_WITHIN ?= 1800
check-ci:
	@start=$$(date +%s); status=0; required="$(check_tests)"; \
	$(MAKE) check || status=1; took=$$(($$(date +%s) - start)); \
	if [ $$took -lt $(HOST_WITHIN) ]; then \
		required="$$required $(addprefix host/,$(host_tests))"; \
		echo "== check-host: check took $$took s, less than $(HOST_WITHIN)"; \
		$(MAKE) check-host || status=1; \
	else \
		echo "== check-host: not run, check took $$took s, not less than $(HOST_WITHIN)"; \
		mkdir -p $(RESULTS); echo "1..0 # SKIP there was no time for it" >$(RESULTS)/check-host.tap; \
		echo 0 >$(RESULTS)/check-host.status; \
	fi; \
	$(sum) --require $$required >$(BUILD)/summary || status=1; \
	cat $(BUILD)/summary; exit $$status

# Hours of what check does in a minute.
soak: SETUP_FOR := soak
soak: SETUP_KERNELS := 6.12 7.2
soak: setup
	@$(MAKE) -C userspace $(JOBS) soak
	@$(MAKE) soak-vm KERNEL=6.12
	@$(MAKE) soak-vm KERNEL=7.2
	@$(MAKE) soak-life

# Removals of each of two pages, and seconds of the guest's fuzzer.
SOAK_ROUNDS ?= 2000
SOAK_SECONDS ?= 3600
# Rounds of a machine's life.
SOAK_LIVES ?= 100
soak-vm soak-life: setup
	@$(MAKE) do-$@

static_checks := uapi/headers_test uapi/abi_agrees userspace-build module-build checkpatch shellcheck kernel-doc man \
	ioctl-magic udev-rules tap_test judge_test kernel_log_test
unit_tests := $(addprefix userspace/,$(basename $(notdir $(wildcard userspace/tests/*_test.*))))
check_tests = $(static_checks) $(unit_tests) $(call vm_results,$(check_vms))
host_tests := vm-host host-virtio_rtc_test rust-vmm

export KERNEL_SCRIPTS IOCTL_NUMBER_RST VMCLOCK_ABI_INCLUDE

do-check-static:
	@status=0; \
	check() { name=$$1; shift; $(TAP) cmd --results $(RESULTS) $$name -- "$$@" || status=1; }; \
	$(MAKE) -C uapi check RESULTS=$(RESULTS) || status=1; \
	check userspace-build $(MAKE) -C userspace $(JOBS); \
	check module-build $(MAKE) guest-module; \
	for text in checkpatch shellcheck kernel-doc man ioctl-magic udev-rules; do \
		check $$text selftests/static-checks.sh $$text; \
	done; \
	$(TAP) run --results $(RESULTS) tap_test -- python3 selftests/tap_test.py || status=1; \
	$(TAP) run --results $(RESULTS) judge_test -- python3 selftests/vm/judge_test.py || status=1; \
	$(TAP) run --results $(RESULTS) kernel_log_test -- python3 selftests/vm/kernel_log_test.py || status=1; \
	exit $$status

do-check-unit:
	@$(MAKE) -C userspace $(JOBS) check RESULTS=$(RESULTS)

# The module for the guest. Sparse warns without failing, so its output is read.
guest := $(BUILD)/guest/$(GUEST_KVER)
guest_log := $(guest).log
guest-module:
	$(call stage,$(guest))
	$(Q)$(GUEST_MAKE) -C $(GUEST_KDIR) M=$(guest) W=1 KCFLAGS=-Werror modules \
		>$(guest_log) 2>&1 || { cat $(guest_log); exit 1; }
	$(Q)! grep -E '^WARNING|(driver|uapi)/[^ ]*: (warning|error):' $(guest_log)

# Programs of the machine: static ones for the guest, the others for the host.
vm_static := $(VM)/init $(VM)/clock-peer $(VM)/load $(VM)/stamps
vm_programs := $(vm_static) $(VM)/clock-exchange $(VM)/host-clock
$(vm_static): private static := -static
$(vm_programs): $(VM)/%: selftests/vm/%.c $(wildcard selftests/vm/*.h)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -O2 -g -Wall -Wextra -Wshadow -Wstrict-prototypes \
		-Wmissing-prototypes -Werror $(vm_flags) $(static) $(LDFLAGS) -o $@ $< $(vm_libs)
# The witness uses the library.
$(VM)/stamps: userspace
$(VM)/stamps: private vm_flags := -pthread -Iuapi -Iuserspace/include
$(VM)/stamps: private vm_libs := $(GUEST)/userspace/libvmclk.a

machine: guest-module $(vm_programs)
	$(Q)$(MAKE) -C userspace $(JOBS) $(cross_userspace)

# Modules of the tests' own, of the directory $(1), go to the directory $(2).
test_module = dir=$(BUILD)/guest/$(1)-$(GUEST_KVER); \
	mkdir -p $$dir $(2) && cp -au selftests/$(1)/. $$dir/ && \
	{ $(GUEST_MAKE) -C $(GUEST_KDIR) M=$$dir modules >$$dir.log 2>&1 || \
		{ cat $$dir.log; exit 1; }; } && \
	cp -p $$dir/*.ko $(2)/

guest-tests: machine
	$(Q)$(call test_module,rival,$(GUEST)/selftests)
	$(Q)$(MAKE) $(if $(Q),-s) -C selftests $(JOBS) KSELFTEST_DIR=$(KSELFTEST_DIR) \
		OUTPUT=$(GUEST)/selftests USERSPACE_BUILD=$(GUEST)/userspace $(cross)
	$(Q)cp -p $(guest)/driver/vmclock_sim.ko $(GUEST_IN_TREE) $(GUEST)/selftests/
	$(Q)mkdir -p $(BUILD)/clients/right
	$(Q)cp -u $(CLIENTS)/sbin/phc_ctl $(CLIENTS)/sbin/chronyd $(CLIENTS)/bin/chronyc $(BUILD)/clients/
	$(Q)cp -u /usr/share/zoneinfo/right/UTC $(BUILD)/clients/right/

vm_run = python3 selftests/vm/run.py $(1) --build $(GUEST) --kernel $(GUEST_VMLINUZ) \
	--series $(KERNEL) $(addprefix --before=,$(GUEST_BEFORE)) \
	--module $(guest)/driver/vmclock.ko

# What the results of a VM are called: those of the default kernel only by the mode.
series := $(KERNEL:6.1=)
prefix := $(if $(series),$(series)-)

# Seconds that a machine may take, so that what hangs is told from what is slow.
vm_timeout := $(shell echo $$((1200 * $(GUEST_PATIENCE))))
vm_check = $(TAP) run --timeout $(vm_timeout) --results $(RESULTS) $(prefix)vm-$(1) -- \
	$(call vm_run,$(1)) --results $(RESULTS) --patience $(GUEST_PATIENCE)

do-check-vm-stock: guest-tests
	@$(call vm_check,stock) --set FUZZ_SECONDS=$(FUZZ_SECONDS)

do-check-vm-unstable: guest-tests
	@$(call vm_check,unstable)

do-check-vm-feed: guest-tests
	@$(call vm_check,feed) --hostd-options='$(FEED_OPTIONS) $(cross_feed)'

# KASAN's first report must not be its last.
do-check-vm-planted: machine
	$(Q)$(call test_module,planted,$(VM))
	@$(call vm_check,planted) --set kasan_multi_shot

do-soak-vm: guest-tests
	@$(call vm_run,soak) --results $(BUILD)/soak --patience 100 \
		--set REMOVAL_ROUNDS=$(SOAK_ROUNDS) --set FUZZ_SECONDS=$(SOAK_SECONDS)

# A machine that is saved, restored and moved.
moved_run = python3 selftests/vm/$(1).py --build $(BUILD) --kernel $(GUEST_VMLINUZ) \
	--module $(guest)/driver/vmclock.ko

do-check-vm-restored: guest-tests
	@$(TAP) run --timeout $(vm_timeout) --results $(RESULTS) $(prefix)vm-restored -- \
		$(call moved_run,restored) --keep $(KEEP)

# Hibernates, and is woken by another QEMU.
do-check-vm-hibernated: guest-tests
	@$(TAP) run --timeout $(vm_timeout) --results $(RESULTS) $(prefix)vm-hibernated -- \
		$(call moved_run,hibernated) --series $(KERNEL) --results $(RESULTS)

# The kernel's driver, for a kernel without it; and what it needs of that kernel.
rtc := $(BUILD)/guest/virtio_rtc
virtio_modules := $(addprefix $(GUEST_MODULES)/virtio/,virtio.ko virtio_ring.ko \
	virtio_pci_legacy_dev.ko virtio_pci_modern_dev.ko virtio_pci.ko)
rtc-module:
	$(Q)mkdir -p $(rtc)/uapi && cp -au selftests/virtio_rtc/. $(VIRTIO_RTC)/drivers/virtio/. $(rtc)/
	$(Q)cp -au $(VIRTIO_RTC)/include/uapi/. $(rtc)/uapi/
	$(Q)$(MAKE) -C $(GUEST_KDIR) M=$(rtc) modules >$(rtc).log 2>&1 || { cat $(rtc).log; exit 1; }
	$(Q)cp -u $(rtc)/virtio_rtc.ko $(virtio_modules) $(VM)/

do-check-vm-host: guest-tests rtc-module
	@$(TAP) run --timeout $(vm_timeout) --results $(RESULTS)/host vm-host -- \
		$(call vm_run,host) --results $(RESULTS)/host --qemu $(HOST_QEMU) \
		--hostd-options='--interval=200ms'

# Cargo writes beside the sources too. No registry is asked: the crates are Debian's.
front := $(BUILD)/rust-vmm
rust-vmm:
	$(Q)mkdir -p $(front)/home && cp -au selftests/rust-vmm/. $(front)/
	$(Q)printf '[source.crates-io]\nreplace-with = "debian"\n[source.debian]\ndirectory = "%s"\n' \
		$(CRATES) >$(front)/home/config.toml
	$(Q)cd $(front) && LD_LIBRARY_PATH=$(RUST)/lib/x86_64-linux-gnu RUSTC=$(RUST)/bin/rustc \
		CARGO_HOME=$(front)/home CARGO_TARGET_DIR=$(front)/target \
		$(RUST)/bin/cargo build --offline >$(front).log 2>&1 || { cat $(front).log; exit 1; }
	$(Q)$(MAKE) -C userspace $(JOBS) asan-hostd

do-check-rust-vmm: rust-vmm
	@$(TAP) run --results $(RESULTS)/host rust-vmm -- $(front)/target/debug/vhost-front \
		$(BUILD)/userspace-asan/vmclock-hostd $(BUILD)

do-check-host:
	@status=0; for part in rust-vmm vm-host; do \
		$(MAKE) do-check-$$part || { status=1; echo "== check-$$part: FAILED"; }; \
	done; exit $$status

.PHONY: setup-host check-host check-ci rtc-module rust-vmm do-check-vm-host do-check-rust-vmm \
	do-check-host

# Stopped, saved, restored, moved: two rounds are a sample of those in soak.
do-check-vm-life: machine
	@$(TAP) run --timeout 2400 --results $(RESULTS) $(prefix)vm-life -- \
		$(call moved_run,life) --rounds 2 --reset

do-soak-life: guest-tests
	@$(call moved_run,restored) --keep 60
	@$(call moved_run,life) --rounds $(SOAK_LIVES) --reset

# The pictures of the documentation, of runs that are real: not part of check.
pictures: setup
	@$(MAKE) do-$@

do-pictures: machine
	$(Q)$(MAKE) -C userspace $(JOBS) pictures
	$(Q)$(call moved_run,picture) userspace/pictures/migration.svg

do-run: machine
	@$(call vm_run,run) --seconds $(SECONDS)

# Not part of check: numbers of a machine are no verdict.
bench:
	$(Q)$(MAKE) -C userspace bench

bench-vm: setup
	@$(MAKE) do-$@

do-bench-vm: guest-tests
	@$(call vm_run,bench) --results $(BUILD)/bench --hostd-options='$(FEED_OPTIONS)'

help:
	@echo "make             modules and userspace"
	@echo "make modules     vmclock.ko for the kernel of KDIR (the running one's)"
	@echo "make userspace   library, vmclockctl, vmclock-hostd"
	@echo "make install     to DESTDIR; PREFIX (/usr/local), INSTALL_MOD_PATH (DESTDIR)"
	@echo "make clean       removes build/"
	@echo
	@echo "On Debian 12, as root or with sudo; these install the packages they need:"
	@echo "make run         a VM that reads the host's clock, live; SECONDS=20"
	@echo "make soak        hours more of the tests that try things at random, soak-vm: those in a VM;"
	@echo "                 SOAK_ROUNDS=2000 removals, SOAK_SECONDS=3600 of the fuzzer; soak-life:"
	@echo "                 SOAK_LIVES=100 rounds of check-vm-life, and check-vm-restored for KEEP=60"
	@echo "make check       all tests; the last line counts them. Parts of it:"
	@echo "                 check-static check-unit check-vm-stock check-vm-unstable check-vm-feed"
	@echo "                 check-vm-restored; KEEP=20, seconds that the machine is kept saved"
	@echo "                 check-vm-life: a machine that is saved, restored and moved all the time"
	@echo "                 on Debian's 6.1 and the most on 7.2; KERNEL=5.10, 6.1, 6.12 or 7.2 picks one,"
	@echo "                 without check-vm-restored and -life"
	@echo "make check-kernels  what runs in VMs, without check-vm-restored and -life, on all of these kernels;"
	@echo "                 and check-vm-hibernated: a machine that hibernates, and is woken by another QEMU"
	@echo "make check-vm-arm64  the part of these that is an arm64 guest, emulated"
	@echo "make check-debug what runs in VMs, on a kernel with KASAN, lockdep, kmemleak and UBSAN, which"
	@echo "                 is built first: an hour or several"
	@echo "make check-host  the clock device with a newer QEMU, the kernel's driver, and rust-vmm;"
	@echo "                 fetches 300 MB once and installs little of it"
	@echo
	@echo "make bench       what a reading costs, on this machine; nothing is installed"
	@echo "make bench-vm    the ioctls, in a VM"
	@echo "make pictures    the pictures of the documentation, made again in real runs: two minutes"
	@echo
	@echo "CC, CFLAGS and LDFLAGS are honoured; V=1 shows the commands."

# One after the other: a check must not compete with the next.
.NOTPARALLEL:
.PHONY: all modules userspace install clean setup run check soak help guest-module machine \
	bench bench-vm do-bench-vm pictures do-pictures \
	check-kernels check-debug soak-vm do-soak-vm do-check-vm-unstable do-check-vm-planted \
	guest-tests check-static check-unit check-vm-stock check-vm-unstable check-vm-feed do-run \
	check-vm-restored do-check-vm-restored check-vm-hibernated do-check-vm-hibernated check-vm-arm64 check-vm-life do-check-vm-life \
	soak-life do-soak-life \
	do-check-static do-check-unit do-check-vm-stock do-check-vm-feed

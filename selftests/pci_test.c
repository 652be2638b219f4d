// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages in the memory of PCI functions: which are bound, that they work like any
 * other, their interrupt, and how they come and go.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "helpers.h"

#define WATCH_NEVER "0"
#define DEBUGFS "/tmp/debugfs"

static int get_info(int fd, struct vmclock_info *info)
{
	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	return ioctl(fd, VMCLOCK_IOC_INFO, info) ? -errno : 0;
}

static int snapshot(int fd, struct vmclock_snapshot *snap)
{
	memset(snap, 0, sizeof(*snap));
	snap->size = sizeof(*snap);
	return ioctl(fd, VMCLOCK_IOC_SNAPSHOT, snap) ? -errno : 0;
}

/* Write a page's function to a file of its bus. */
static int tell_bus(const char *path, int page)
{
	char name[16];

	t_pci_function(page, name, sizeof(name));
	return t_write_file(path, name);
}

static bool has_driver(int page)
{
	char path[128];

	t_pci_dir(page, path, sizeof(path));
	strcat(path, "/driver");
	return !access(path, F_OK);
}

/* A number in the function's directory; -1 if it is not there. */
static long attribute(int page, const char *name)
{
	char path[128], line[64];

	t_pci_dir(page, path, sizeof(path));
	snprintf(path + strlen(path), sizeof(path) - strlen(path), "/%s", name);
	return t_read_line(path, line, sizeof(line)) ? strtol(line, NULL, 0) : -1;
}

/* What the driver has said of a function since the machine started. */
static int lines_of(int page)
{
	char name[16], line[256];

	t_pci_function(page, name, sizeof(name));
	return t_count_in_log("vmclock", name, line, sizeof(line));
}

TEST(a_page_is_bound)
{
	int fd = t_open(T_PCI, O_RDONLY);
	struct vmclock_info info;
	char name[16];

	t_pci_function(T_PCI, name, sizeof(name));
	ASSERT_EQ(0, get_info(fd, &info));
	EXPECT_EQ(VMCLOCK_BUS_PCI, info.bus);
	EXPECT_STREQ(name, info.name);
	EXPECT_EQ(0x1000, info.region_size);
	EXPECT_EQ(getpagesize(), info.map_size);
	EXPECT_EQ(T_COUNTER, info.counter_id);
	EXPECT_EQ(VMCLOCK_EVENTS_WATCHED, info.events_from);
	EXPECT_LE(0, info.ptp_index);
	close(fd);
}

/* What the function had on when nobody had bound it, it has on now. */
TEST(other_memory_is_left_alone_without_a_word)
{
	EXPECT_FALSE(has_driver(T_PCI_LATER));
	EXPECT_EQ(0, lines_of(T_PCI_LATER));
	EXPECT_EQ(0, attribute(T_PCI_LATER, "enable"));
	EXPECT_EQ(1, attribute(T_PCI, "enable"));
}

TEST(no_alias_loads_the_module)
{
	int fd = open("/vmclock.ko", O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *module;

	ASSERT_EQ(0, fstat(fd, &st));
	module = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, module);
	EXPECT_NE(NULL, memmem(module, st.st_size, "alias=acpi", 10));
	EXPECT_EQ(NULL, memmem(module, st.st_size, "alias=pci", 9));
	munmap(module, st.st_size);
	close(fd);
}

FIXTURE(page) {
	int fd;
	const volatile struct vmclock_page *map;
	struct vmclock_page page;
	struct vmclock_page before;
};

FIXTURE_VARIANT(page) {
	int page;
};

FIXTURE_VARIANT_ADD(page, plain) {
	.page = T_PCI
};

FIXTURE_VARIANT_ADD(page, doorbell) {
	.page = T_PCI_NOTIFIED
};

FIXTURE_SETUP(page)
{
	self->fd = t_open(variant->page, O_RDONLY);
	ASSERT_GE(self->fd, 0);
	self->map = mmap(NULL, getpagesize(), PROT_READ, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
	ASSERT_TRUE(t_peek(variant->page, 0, &self->before, sizeof(self->before)));
	ASSERT_TRUE(t_settle(self->fd, variant->page, &self->page));
}

FIXTURE_TEARDOWN(page)
{
	ASSERT_TRUE(t_poke(variant->page, 0, &self->before, sizeof(self->before)));
	munmap((void *)self->map, getpagesize());
	close(self->fd);
	EXPECT_EQ(0, t_write_file(T_WATCH_MS, "10"));
}

TEST_F(page, mapping_read_and_snapshot_show_the_host_memory)
{
	struct vmclock_snapshot snap;
	struct vmclock_page copy;

	self->page.disruption_marker = htole64(0x1234567);
	ASSERT_TRUE(t_publish(variant->page, &self->page, 3));
	EXPECT_EQ(self->page.seq_count, self->map->seq_count);
	EXPECT_EQ(self->page.disruption_marker, self->map->disruption_marker);
	ASSERT_EQ(sizeof(copy), pread(self->fd, &copy, sizeof(copy), 0));
	EXPECT_EQ(0, memcmp(&copy, &self->page, sizeof(copy)));
	ASSERT_EQ(0, snapshot(self->fd, &snap));
	EXPECT_EQ(0, memcmp(&snap.page, &self->page, sizeof(copy)));
	EXPECT_TRUE(snap.valid & VMCLOCK_SNAPSHOT_TIME);
	EXPECT_LE(le64toh(self->page.time_sec), snap.time_sec);
}

TEST_F(page, update_is_an_event)
{
	struct vmclock_wait wait;

	self->page.clock_status = VMCLOCK_PAGE_STATUS_FREERUNNING;
	ASSERT_TRUE(t_publish(variant->page, &self->page, 1));
	ASSERT_EQ(0, t_wait(self->fd, VMCLOCK_EVENT_STATUS, 10000000000LL, &wait));
	EXPECT_EQ(VMCLOCK_EVENT_UPDATE | VMCLOCK_EVENT_STATUS, wait.events);
}

#ifndef T_ARM64	/* which keeps no list of the types */
/* Where the function's memory is: the third line of a file in sysfs. */
static unsigned long long memory_at(int page)
{
	unsigned long long at = 0;
	char path[128], line[128];
	FILE *f;

	t_pci_dir(page, path, sizeof(path));
	strcat(path, "/resource");
	f = fopen(path, "re");
	for (int i = 0; f && i <= 2 && fgets(line, sizeof(line), f); i++)
		at = strtoull(line, NULL, 16);
	if (f)
		fclose(f);
	return at;
}

/*
 * The line of the kernel's list of memory types that begins at the function's
 * memory: "PAT: [mem 0x00000000feb10000-0x00000000feb11000] write-back".
 */
static bool memory_type(int page, char *line, size_t size)
{
	bool found = false;
	char start[32];
	FILE *f;

	snprintf(start, sizeof(start), "0x%016llx-", memory_at(page));
	f = fopen(DEBUGFS "/x86/pat_memtype_list", "re");
	while (f && !found && fgets(line, size, f))
		found = strstr(line, start);
	if (f)
		fclose(f);
	return found;
}

/* The processors' own word on where memory is uncached; one range of it. */
struct uncached {
	int reg;
	unsigned long long base;
	unsigned long size;
};

static bool find_uncached(struct uncached *u)
{
	FILE *f = fopen("/proc/mtrr", "re");
	bool found = false;
	char line[128];

	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, "uncachable") &&
			sscanf(line, "reg%d: base=0x%llx (%*[^)]), size=%luMB", &u->reg, &u->base,
			       &u->size) == 3;
	if (f)
		fclose(f);
	return found;
}

FIXTURE(type) {
	struct uncached uncached;
	char line[256];
};

FIXTURE_VARIANT(type) {
	int page;
};

FIXTURE_VARIANT_ADD(type, plain) {
	.page = T_PCI
};

FIXTURE_VARIANT_ADD(type, doorbell) {
	.page = T_PCI_NOTIFIED
};

/*
 * The firmware has made all PCI memory uncached, which beats what a driver asks
 * for: take that back. Emulation does not care, and KVM's host decides.
 */
FIXTURE_SETUP(type)
{
	char command[64];

	mkdir(DEBUGFS, 0700);
	ASSERT_EQ(0, mount("debugfs", DEBUGFS, "debugfs", 0, NULL));
	ASSERT_TRUE(find_uncached(&self->uncached));
	ASSERT_EQ(0, tell_bus(T_PCI_DRIVER_DIR "/unbind", variant->page));
	snprintf(command, sizeof(command), "disable=%d\n", self->uncached.reg);
	ASSERT_EQ(0, t_write_file("/proc/mtrr", command));
	ASSERT_EQ(0, tell_bus(T_PCI_DRIVER_DIR "/bind", variant->page));
}

FIXTURE_TEARDOWN(type)
{
	char command[96];

	ASSERT_EQ(0, tell_bus(T_PCI_DRIVER_DIR "/unbind", variant->page));
	snprintf(command, sizeof(command), "base=0x%llx size=0x%lx type=uncachable\n",
		 self->uncached.base, self->uncached.size << 20);
	EXPECT_EQ(0, t_write_file("/proc/mtrr", command));
	ASSERT_EQ(0, tell_bus(T_PCI_DRIVER_DIR "/bind", variant->page));
	umount(DEBUGFS);
}

/* A page in user space gets the type that the kernel has on its list. */
TEST_F(type, memory_is_mapped_write_back)
{
	EXPECT_TRUE(memory_type(variant->page, self->line, sizeof(self->line)));
	EXPECT_NE(NULL, strstr(self->line, "] write-back"))
		TH_LOG("%s", self->line);
}
#endif

static bool poll_says(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	poll(&p, 1, 10000);
	return p.revents == events;
}

FIXTURE(bell) {
	int fd;
	struct vmclock_page page;
	struct vmclock_page before;
};

FIXTURE_SETUP(bell)
{
	ASSERT_EQ(0, t_write_file(T_WATCH_MS, WATCH_NEVER));
	self->fd = t_open(T_PCI_NOTIFIED, O_RDONLY);
	ASSERT_GE(self->fd, 0);
	ASSERT_TRUE(t_peek(T_PCI_NOTIFIED, 0, &self->before, sizeof(self->before)));
	ASSERT_TRUE(t_settle(self->fd, T_PCI_NOTIFIED, &self->page));
}

FIXTURE_TEARDOWN(bell)
{
	ASSERT_TRUE(t_poke(T_PCI_NOTIFIED, 0, &self->before, sizeof(self->before)));
	read(self->fd, &self->page, sizeof(self->page));
	close(self->fd);
	EXPECT_EQ(0, t_write_file(T_WATCH_MS, "10"));
}

TEST_F(bell, interrupt_tells_of_the_update)
{
	long before = t_interrupt_count(T_PCI_NOTIFIED);
	struct vmclock_info info;

	ASSERT_LT(0, before);
	ASSERT_EQ(0, get_info(self->fd, &info));
	EXPECT_EQ(VMCLOCK_EVENTS_NOTIFIED, info.events_from);
	ASSERT_TRUE(t_publish(T_PCI_NOTIFIED, &self->page, 1));
	EXPECT_TRUE(poll_says(self->fd, POLLIN));
	EXPECT_LT(before, t_interrupt_count(T_PCI_NOTIFIED));
}

/* The interrupt is listened to, but the page does not promise it. */
TEST_F(bell, without_the_flag_it_is_not_relied_on)
{
	struct vmclock_info info;

	self->page.flags &= ~htole64(VMCLOCK_PAGE_FLAG_NOTIFICATION_PRESENT);
	ASSERT_TRUE(t_publish(T_PCI_NOTIFIED, &self->page, 1));
	EXPECT_TRUE(poll_says(self->fd, POLLIN) || poll_says(self->fd, POLLIN | POLLHUP));
	ASSERT_EQ(0, get_info(self->fd, &info));
	EXPECT_EQ(VMCLOCK_EVENTS_NONE, info.events_from);

	self->page.flags |= htole64(VMCLOCK_PAGE_FLAG_NOTIFICATION_PRESENT);
	ASSERT_TRUE(t_publish(T_PCI_NOTIFIED, &self->page, 1));
}

FIXTURE(gone) {
	int fd;
	const volatile struct vmclock_page *map;
};

FIXTURE_VARIANT(gone) {
	int page;
	bool unplug;
};

FIXTURE_VARIANT_ADD(gone, plain_unbound) {
	.page = T_PCI
};

FIXTURE_VARIANT_ADD(gone, plain_unplugged) {
	.page = T_PCI, .unplug = true
};

FIXTURE_VARIANT_ADD(gone, doorbell_unbound) {
	.page = T_PCI_NOTIFIED
};

FIXTURE_VARIANT_ADD(gone, doorbell_unplugged) {
	.page = T_PCI_NOTIFIED, .unplug = true
};

static int take_away(int page, bool unplug)
{
	char path[128];

	if (!unplug)
		return tell_bus(T_PCI_DRIVER_DIR "/unbind", page);
	t_pci_dir(page, path, sizeof(path));
	strcat(path, "/remove");
	return t_write_file(path, "1");
}

static int bring_back(int page, bool unplug)
{
	return unplug ? t_write_file("/sys/bus/pci/rescan", "1") :
			tell_bus(T_PCI_DRIVER_DIR "/bind", page);
}

FIXTURE_SETUP(gone)
{
	self->fd = t_open(variant->page, O_RDONLY);
	ASSERT_GE(self->fd, 0);
	self->map = mmap(NULL, getpagesize(), PROT_READ, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
	ASSERT_EQ(VMCLOCK_PAGE_MAGIC, le32toh(self->map->magic));
	ASSERT_EQ(0, take_away(variant->page, variant->unplug));
}

FIXTURE_TEARDOWN(gone)
{
	if (!has_driver(variant->page))
		bring_back(variant->page, variant->unplug);
	munmap((void *)self->map, getpagesize());
	close(self->fd);
}

TEST_F(gone, files_and_mappings_say_so)
{
	struct vmclock_snapshot snap;
	char path[64];

	EXPECT_EQ(-ENODEV, snapshot(self->fd, &snap));
	EXPECT_EQ(VMCLOCK_PAGE_MAGIC_GONE, le32toh(self->map->magic));
	EXPECT_EQ(VMCLOCK_PAGE_STATUS_UNRELIABLE, self->map->clock_status);
	EXPECT_TRUE(poll_says(self->fd, POLLHUP | POLLERR));
	EXPECT_FALSE(t_node(variant->page, path, sizeof(path)));
	if (!variant->unplug)
		EXPECT_EQ(0, attribute(variant->page, "enable"));
}

TEST_F(gone, it_comes_back)
{
	bool notified = variant->page == T_PCI_NOTIFIED;
	struct vmclock_snapshot snap;
	struct vmclock_info info;
	int fd;

	ASSERT_EQ(0, bring_back(variant->page, variant->unplug));
	fd = t_open(variant->page, O_RDONLY);
	EXPECT_EQ(0, snapshot(fd, &snap));
	EXPECT_EQ(VMCLOCK_PAGE_MAGIC, le32toh(snap.page.magic));
	EXPECT_EQ(0, get_info(fd, &info));
	EXPECT_EQ(notified ? VMCLOCK_EVENTS_NOTIFIED : VMCLOCK_EVENTS_WATCHED, info.events_from);
	close(fd);
	EXPECT_EQ(-ENODEV, snapshot(self->fd, &snap));
	EXPECT_EQ(VMCLOCK_PAGE_STATUS_UNRELIABLE, self->map->clock_status);
}

/* A page where there was none. */
FIXTURE(later) {
	struct vmclock_page page;
	char before[sizeof(struct vmclock_page)];
	int lines;
};

FIXTURE_SETUP(later)
{
	ASSERT_TRUE(t_peek(T_PCI, 0, &self->page, sizeof(self->page)));
	ASSERT_TRUE(t_peek(T_PCI_LATER, 0, self->before, sizeof(self->before)));
	self->lines = lines_of(T_PCI_LATER);
}

FIXTURE_TEARDOWN(later)
{
	if (has_driver(T_PCI_LATER))
		EXPECT_EQ(0, tell_bus(T_PCI_DRIVER_DIR "/unbind", T_PCI_LATER));
	ASSERT_TRUE(t_poke(T_PCI_LATER, 0, self->before, sizeof(self->before)));
}

TEST_F(later, bind_takes_it)
{
	struct vmclock_snapshot snap;
	int fd;

	EXPECT_EQ(-ENODEV, tell_bus(T_PCI_DRIVER_DIR "/bind", T_PCI_LATER));
	ASSERT_TRUE(t_poke(T_PCI_LATER, 0, &self->page, sizeof(self->page)));
	ASSERT_EQ(0, tell_bus(T_PCI_DRIVER_DIR "/bind", T_PCI_LATER));
	fd = t_open(T_PCI_LATER, O_RDONLY);
	EXPECT_EQ(0, snapshot(fd, &snap));
	EXPECT_EQ(0, memcmp(&snap.page, &self->page, sizeof(snap.page)));
	close(fd);
}

TEST_F(later, so_does_probing_the_bus_again)
{
	ASSERT_TRUE(t_poke(T_PCI_LATER, 0, &self->page, sizeof(self->page)));
	EXPECT_FALSE(has_driver(T_PCI_LATER));
	ASSERT_EQ(0, tell_bus("/sys/bus/pci/drivers_probe", T_PCI_LATER));
	EXPECT_TRUE(has_driver(T_PCI_LATER));
}

/* The memory is large, and all the driver maps of it is what a page can be. */
TEST_F(later, a_page_that_is_none_is_not_taken)
{
	struct {
		size_t offset;
		size_t len;
		uint32_t value;
	} bad[] = {
		{ offsetof(struct vmclock_page, magic), 4, htole32(VMCLOCK_PAGE_MAGIC_GONE) },
		{ offsetof(struct vmclock_page, version), 2, htole16(2) },
		{ offsetof(struct vmclock_page, size), 4, htole32(0x10) },
		{ offsetof(struct vmclock_page, size), 4, htole32(0x10001) },
		{ offsetof(struct vmclock_page, counter_id), 1, 7 },
		{ offsetof(struct vmclock_page, counter_period_shift), 1, 128 },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ASSERT_TRUE(t_poke(T_PCI_LATER, 0, &self->page, sizeof(self->page)));
		ASSERT_TRUE(t_poke(T_PCI_LATER, bad[i].offset, &bad[i].value, bad[i].len));
		EXPECT_EQ(-ENODEV, tell_bus(T_PCI_DRIVER_DIR "/bind", T_PCI_LATER))
			TH_LOG("number %zu", i);
		EXPECT_EQ(0, attribute(T_PCI_LATER, "enable"));
	}
	EXPECT_EQ(self->lines, lines_of(T_PCI_LATER));
}

TEST_HARNESS_MAIN

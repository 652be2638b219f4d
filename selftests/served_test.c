// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages that vmclock-hostd serves through QEMU's ivshmem devices: an interrupt for
 * each update, and a page that ACPI describes inside a PCI function.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "helpers.h"

#define WATCH_NEVER "0"
#define UPDATES 10
#define PATIENCE_NS 60000000000LL

FIXTURE(served) {
	int fd;
	struct vmclock_info info;
	const volatile struct vmclock_page *map;
};

FIXTURE_VARIANT(served) {
	int page;
	uint8_t bus;
	uint8_t events_from;
};

FIXTURE_VARIANT_ADD(served, doorbell) {
	.page = T_PCI_SERVED, .bus = VMCLOCK_BUS_PCI, .events_from = VMCLOCK_EVENTS_NOTIFIED,
};

FIXTURE_VARIANT_ADD(served, file_by_acpi) {
	.page = T_ACPI_SERVED, .bus = VMCLOCK_BUS_ACPI, .events_from = VMCLOCK_EVENTS_WATCHED,
};

FIXTURE_SETUP(served)
{
	self->info.size = sizeof(self->info);
	self->fd = t_open(variant->page, O_RDONLY);
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(0, ioctl(self->fd, VMCLOCK_IOC_INFO, &self->info));
	self->map = mmap(NULL, self->info.map_size, PROT_READ, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->map);
}

FIXTURE_TEARDOWN(served)
{
	munmap((void *)self->map, self->info.map_size);
	close(self->fd);
	EXPECT_EQ(0, t_write_file(T_WATCH_MS, "10"));
}

TEST_F(served, is_bound_by_what_describes_it)
{
	EXPECT_EQ(variant->bus, self->info.bus);
	EXPECT_EQ(0x1000, self->info.region_size);
	EXPECT_EQ(VMCLOCK_PAGE_COUNTER_X86_TSC, self->info.counter_id);
	EXPECT_EQ(variant->events_from, self->info.events_from);
}

/* Without looking by itself, where the host promises to tell. */
TEST_F(served, updates_come)
{
	bool is_notified = variant->events_from == VMCLOCK_EVENTS_NOTIFIED;
	struct vmclock_wait wait;
	uint32_t seq;

	ASSERT_EQ(0, t_write_file(T_WATCH_MS, is_notified ? WATCH_NEVER : "10"));
	for (int i = 0; i < UPDATES; i++) {
		seq = le32toh(self->map->seq_count);
		ASSERT_EQ(0, t_wait(self->fd, VMCLOCK_EVENT_UPDATE, PATIENCE_NS, &wait));
		if (i)
			EXPECT_LT(0, (int32_t)(le32toh(self->map->seq_count) - seq));
	}
}

TEST_F(served, page_says_what_the_host_does)
{
	bool is_notified = variant->events_from == VMCLOCK_EVENTS_NOTIFIED;
	struct vmclock_snapshot snap = { .size = sizeof(snap) };
	uint64_t flags;

	ASSERT_EQ(0, ioctl(self->fd, VMCLOCK_IOC_SNAPSHOT, &snap));
	flags = le64toh(snap.page.flags);
	EXPECT_EQ(VMCLOCK_PAGE_STATUS_SYNCHRONIZED, snap.page.clock_status);
	EXPECT_EQ(is_notified, !!(flags & VMCLOCK_PAGE_FLAG_NOTIFICATION_PRESENT));
	EXPECT_NE(0, flags & VMCLOCK_PAGE_FLAG_TIME_MAXERROR_VALID);
	EXPECT_EQ(-37, (int16_t)le16toh(snap.page.tai_offset_sec));
}

/* Its memory is the ACPI device's, and it is not bound a second time. */
TEST(the_function_below_an_acpi_device_is_left_alone)
{
	char path[128];

	t_pci_dir(T_ACPI_SERVED, path, sizeof(path));
	ASSERT_EQ(0, access(path, F_OK));
	strcat(path, "/driver");
	EXPECT_NE(0, access(path, F_OK));
}

TEST_HARNESS_MAIN

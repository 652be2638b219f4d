// SPDX-License-Identifier: GPL-2.0-only
/*
 * The only file that touches the shared page.
 *
 * The hypervisor, or a process on the host, writes the page at any time and
 * may stop half-way, never stop, or lie. Each word is read once, into memory
 * of ours, and the copy is what gets judged. Every wait is bounded.
 *
 * virt_rmb() rather than smp_rmb(): the writer is on another CPU even when
 * this kernel was built for one. The first one pairs with the writer's barrier
 * between its last field and the even number, the second with the one between
 * the odd number and the first field (vmclk_writer_commit() and _begin() in
 * userspace/lib/write.c; smp_wmb() in QEMU's hw/acpi/vmclock.c).
 */
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/ktime.h>
#include <linux/pci.h>
#include <linux/sched/signal.h>

#include "vmclock.h"
#include "vmclock_math.h"
#include "trace.h"

/* An update takes far less, unless its writer has lost the CPU. */
#define WAIT_MAX_MS	100
/* Below this many tries we spin: an update in progress is usually over then. */
#define SPINS		200
/* So often where we must not sleep. */
#define TRIES		50

struct patience {
	unsigned int tries;
	ktime_t deadline;
};

/*
 * Give the writer a chance. 0, -ETIMEDOUT, or -EINTR for a signal: a call that
 * restarts would wait anew, and with signals in a row for ever.
 */
static int wait_for_writer(struct patience *p)
{
	if (p->tries++ < SPINS) {
		cpu_relax();
		return 0;
	}

	if (p->tries == SPINS + 1)
		p->deadline = ktime_add_ms(ktime_get(), WAIT_MAX_MS);
	else if (ktime_after(ktime_get(), p->deadline))
		return -ETIMEDOUT;

	if (signal_pending(current))
		return -EINTR;
	usleep_range(10, 50);
	return 0;
}

static void copy_once(void *to, const void *from, size_t len)
{
	const u64 *words = from;
	const u8 *bytes = from;
	u64 *out = to;
	u8 *tail = to;
	size_t i;

	for (i = 0; i < len / sizeof(u64); i++)
		out[i] = READ_ONCE(words[i]);
	for (i *= sizeof(u64); i < len; i++)
		tail[i] = READ_ONCE(bytes[i]);
}

static u32 load_seq(const struct vmclock_device *vd)
{
	return le32_to_cpu(READ_ONCE(vd->page->seq_count));
}

/* One try. Return: true if the window stayed closed to the writer. */
static bool try_read(struct vmclock_device *vd, void *buf, size_t len,
		     struct vmclock_clocks *clocks)
{
	u32 seq = load_seq(vd);

	if (seq & 1)
		return false;
	virt_rmb();	/* even number before fields; see the top of this file */
	copy_once(buf, vd->page, len);
	if (clocks && !vmclock_clocks_read(clocks))
		return false;
	virt_rmb();	/* fields before the number again */
	return load_seq(vd) == seq;
}

/**
 * vmclock_page_read() - copy the start of the region, consistently
 * @vd: the device, entered
 * @buf: where the copy goes, aligned to 8 bytes; undefined on error
 * @len: bytes, at most the region's size
 * @clocks: if not NULL, filled with readings taken inside the same window
 *
 * Context: process context, may sleep.
 * Return: 0, -ETIMEDOUT if updates left no gap for 100 ms, or -EINTR.
 */
int vmclock_page_read(struct vmclock_device *vd, void *buf, size_t len,
		      struct vmclock_clocks *clocks)
{
	struct patience patience = { };

	while (!try_read(vd, buf, len, clocks)) {
		int err = wait_for_writer(&patience);

		if (err == -ETIMEDOUT)
			trace_vmclock_timeout(vd->index, load_seq(vd), patience.tries);
		if (err)
			return err;
	}

	if (patience.tries)
		trace_vmclock_retry(vd->index, load_seq(vd), patience.tries);
	return 0;
}

/**
 * vmclock_page_try() - the same, without the patience
 * @vd: the device, entered
 * @buf: as above
 * @len: as above
 * @clocks: as above
 *
 * Context: does not sleep; some microseconds.
 * Return: true if there was a gap between updates.
 */
bool vmclock_page_try(struct vmclock_device *vd, void *buf, size_t len,
		      struct vmclock_clocks *clocks)
{
	unsigned int tries = 0;

	while (!try_read(vd, buf, len, clocks)) {
		if (++tries == TRIES)
			return false;
		cpu_relax();
	}
	return true;
}

/**
 * vmclock_page_counter_id() - which counter the page names at this moment
 * @vd: the device, entered
 */
u8 vmclock_page_counter_id(const struct vmclock_device *vd)
{
	return READ_ONCE(vd->page->counter_id);
}

/**
 * vmclock_page_last() - sequence number and marker, at removal
 * @vd: the device, not yet gone
 * @seq: the number, odd or even
 * @marker: the disruption marker
 *
 * Never waits: the two need not belong to one update.
 */
void vmclock_page_last(const struct vmclock_device *vd, u32 *seq, u64 *marker)
{
	*seq = load_seq(vd);
	*marker = le64_to_cpu(READ_ONCE(vd->page->disruption_marker));
}

/**
 * vmclock_page_size() - how much of a copy may be believed
 * @vd: the device
 * @copy: a consistent copy
 *
 * Return: bytes of struct vmclock_page that exist, or -EPROTO if the copy is
 * no page (any more).
 */
int vmclock_page_size(const struct vmclock_device *vd,
		      const struct vmclock_page *copy)
{
	u32 size = min(le32_to_cpu(copy->size), vd->region_size);

	if (le32_to_cpu(copy->magic) != VMCLOCK_PAGE_MAGIC ||
	    le16_to_cpu(copy->version) != VMCLOCK_PAGE_VERSION ||
	    size < VMCLOCK_PAGE_SIZE_MIN)
		return -EPROTO;
	return min_t(u32, size, sizeof(*copy));
}

/* A PCI function's memory may be somebody else's, with nothing wrong about it. */
static bool refuse(struct device *dev, const char *what, u32 value)
{
	if (dev_is_pci(dev))
		dev_dbg(dev, "no page: %s 0x%x\n", what, value);
	else
		dev_err(dev, "page refused: %s 0x%x\n", what, value);
	return false;
}

/* The header does not change, so no window is needed. */
static bool header_is_good(const struct vmclock_page *head, struct device *dev,
			   resource_size_t room)
{
	u32 size = le32_to_cpu(head->size);

	if (le32_to_cpu(head->magic) != VMCLOCK_PAGE_MAGIC)
		return refuse(dev, "magic is", le32_to_cpu(head->magic));
	if (le16_to_cpu(head->version) != VMCLOCK_PAGE_VERSION)
		return refuse(dev, "version is", le16_to_cpu(head->version));
	if (size < VMCLOCK_PAGE_SIZE_MIN)
		return refuse(dev, "size is below the minimum:", size);
	if (size > room)
		return refuse(dev, "size is more than the resource has:", size);
	if (head->counter_id != VMCLOCK_PAGE_COUNTER_NONE &&
	    !vmclock_counter_is_ours(head->counter_id))
		return refuse(dev, "counter is not one of this architecture:",
			      head->counter_id);
	return true;
}

/* What may change is looked at too, if there is a gap to look through. */
static bool line_is_good(struct vmclock_device *vd, struct device *dev)
{
	struct vmclock_page copy = { };
	int err = vmclock_page_read(vd, &copy,
				    min_t(u32, vd->region_size, sizeof(copy)), NULL);

	if (err) {
		dev_warn(dev, "no gap between updates of the page (error %d); readers will time out until there is one\n",
			 err);
		return true;
	}
	if (copy.counter_id != VMCLOCK_PAGE_COUNTER_NONE &&
	    copy.counter_period_shift > VMCLOCK_MATH_SHIFT_MAX)
		return refuse(dev, "period shift is above 127:",
			      copy.counter_period_shift);
	if (copy.counter_id != VMCLOCK_PAGE_COUNTER_NONE && !vmclock_counter_usable())
		dev_warn(dev, "this kernel considers the counter unstable: no time will be given\n");
	return true;
}

/**
 * vmclock_page_check() - validate a freshly mapped page
 * @vd: the device, @page mapped
 * @dev: for messages
 * @room: bytes of the resource that were mapped, at least the minimum
 *
 * Sets @vd->region_size.
 *
 * Context: probe.
 * Return: 0, or -ENODEV after one line in the log that says which check failed
 * and for what value; for a PCI function only if it is debugged.
 */
int vmclock_page_check(struct vmclock_device *vd, struct device *dev,
		       resource_size_t room)
{
	struct vmclock_page head;

	copy_once(&head, vd->page, VMCLOCK_PAGE_SIZE_MIN);
	if (!header_is_good(&head, dev, room))
		return -ENODEV;

	vd->region_size = le32_to_cpu(head.size);
	return line_is_good(vd, dev) ? 0 : -ENODEV;
}

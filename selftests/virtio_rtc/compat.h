/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What Linux 6.1 lacks for the virtio_rtc driver of Linux 7.2, whose source is
 * compiled as it is, with this file before it.
 */
#ifndef VIRTIO_RTC_COMPAT_H
#define VIRTIO_RTC_COMPAT_H

#include <linux/device.h>
#include <linux/pm_wakeup.h>
#include <linux/ptp_clock_kernel.h>
#include <linux/timekeeping.h>
#include <linux/virtio_config.h>

/*
 * Cross timestamps: on x86 the driver has none, and never calls this. From 6.9
 * on a counter value names its clocksource by a number.
 */
struct viortc_counterval {
	u64 cycles;
	enum clocksource_ids cs_id;
};

#define system_counterval_t		viortc_counterval
#define ktime_get_snapshot_id(id, at)	ktime_get_snapshot(at)
#define get_device_system_crosststamp(fn, context, begin, result) \
	((void)(fn), -EOPNOTSUPP)

/* 6.11: a queue's name and its callback in one place. The driver has two queues. */
struct virtqueue_info {
	const char *name;
	vq_callback_t *callback;
};

static inline int viortc_find_vqs(struct virtio_device *vdev, unsigned int count,
				  struct virtqueue **vqs, const struct virtqueue_info *infos,
				  struct irq_affinity *desc)
{
	vq_callback_t *callbacks[2] = { infos[0].callback, infos[1].callback };
	const char * const names[2] = { infos[0].name, infos[1].name };

	return virtio_find_vqs(vdev, count, vqs, callbacks, names, desc);
}

#define virtio_find_vqs			viortc_find_vqs

/* 6.15: the same, undone by itself. The driver has it for smeared clocks only. */
static inline int devm_device_init_wakeup(struct device *dev)
{
	return device_init_wakeup(dev, true);
}

#endif /* VIRTIO_RTC_COMPAT_H */

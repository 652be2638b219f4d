// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "bell.h"
#include "log.h"
#include "vhost-queue.h"
#include "vhost-state.h"

#define NSEC_PER_SEC	1000000000ULL

int vhost_init(struct vhost *v, const struct rtc_clocks *clocks,
	       const struct vhost_page_user *page_user)
{
	int err;

	*v = (struct vhost){ .page_user = *page_user, .timer = -1, .load = -1 };
	rtc_init(&v->rtc, clocks);
	for (unsigned int i = 0; i < VHOST_QUEUES; i++)
		v->queues[i] = (struct vhost_queue){
			.vhost = v, .kick = -1, .call = -1, .error = -1,
		};
	err = bell_prepare();
	if (err)
		return err;
	v->timer = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	return v->timer < 0 ? log_error("timerfd", -errno) : 0;
}

/*
 * Woken up when the next alarm is due or the kernel's clock was set; and every
 * second, as the guest's clocks need not run quite as the timer's does, and are
 * set later than the kernel's.
 */
static void arm_timer(struct vhost *v)
{
	struct itimerspec when = { 0 };
	uint64_t delay;
	bool has_alarm = false;

	for (unsigned int i = 0; i < RTC_CLOCK_COUNT; i++)
		has_alarm |= v->rtc.alarms[i].is_enabled;
	if (has_alarm) {
		delay = rtc_delay_ns(&v->rtc);
		if (delay > NSEC_PER_SEC)
			delay = NSEC_PER_SEC;
		clock_gettime(CLOCK_REALTIME, &when.it_value);
		delay += when.it_value.tv_nsec;
		when.it_value.tv_sec += delay / NSEC_PER_SEC;
		when.it_value.tv_nsec = delay % NSEC_PER_SEC;
	}
	/* Set meanwhile: then it must be looked at once more. */
	if (timerfd_settime(v->timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &when, NULL) &&
	    errno == ECANCELED)
		v->has_more = true;
}

void vhost_work(struct vhost *v)
{
	uint64_t count;
	ssize_t unused;

	/* That the clock was set is an error of read(), and as good a reason. */
	unused = read(v->timer, &count, sizeof(count));
	(void)unused;
	state_read(v);
	rtc_look(&v->rtc);
	queues_work(v);
	arm_timer(v);
}

void vhost_disconnect(struct vhost *v)
{
	queues_pause(v);
	for (unsigned int i = 0; i < VHOST_QUEUES; i++)
		queue_reset(&v->queues[i]);
	vhost_memory_clear(&v->memory);
	dirty_vm_end(&v->memory.log);
	shm_put(&v->inflight.shm);
	v->inflight.queues = 0;
	state_drop(v);
	v->load_error = 0;
	v->features = 0;
	v->protocol = 0;
	v->status = 0;
	v->has_more = false;
	rtc_reset(&v->rtc);
	rtc_set_features(&v->rtc, false);
	arm_timer(v);
}

void vhost_end(struct vhost *v)
{
	vhost_disconnect(v);
	close(v->timer);
}

// SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-2-Clause)
/*
 * For sparse: every field through the conversion of its byte order. With WRONG
 * defined some conversions are missing, and sparse must say so.
 */
#include <linux/vmclock-dev.h>

/* The kernel's own conversions lose what sparse needs when they are installed. */
#ifdef __CHECKER__
#define FORCE __attribute__((force))
#else
#define FORCE
#endif

static __u16 le16(__le16 x)
{
	return (FORCE __u16)x;
}

static __u32 le32(__le32 x)
{
	return (FORCE __u32)x;
}

static __u64 le64(__le64 x)
{
	return (FORCE __u64)x;
}

__u64 use_page(const struct vmclock_page *p)
{
	__u64 sum = 0;

	sum += le32(p->magic);
	sum += le32(p->size);
	sum += le16(p->version);
	sum += p->counter_id;
	sum += p->time_type;
	sum += le32(p->seq_count);
	sum += le64(p->disruption_marker);
	sum += le64(p->flags);
	sum += p->reserved[0];
	sum += p->clock_status;
	sum += p->smear_hint;
	sum += le16(p->tai_offset_sec);
	sum += p->leap_indicator;
	sum += p->counter_period_shift;
	sum += le64(p->counter_value);
	sum += le64(p->counter_period_frac_sec);
	sum += le64(p->counter_period_esterror_rate_frac_sec);
	sum += le64(p->counter_period_maxerror_rate_frac_sec);
	sum += le64(p->time_sec);
	sum += le64(p->time_frac_sec);
	sum += le64(p->time_esterror_nanosec);
	sum += le64(p->time_maxerror_nanosec);
	sum += le64(p->vm_generation_counter);
	return sum;
}

__u64 use_info(const struct vmclock_info *i)
{
	return i->size + i->flags + i->features + i->region_size + i->map_size +
	       i->index + i->ptp_index + i->counter_id + i->counter_usable +
	       i->bus + i->events_from + i->watch_us + i->name[0] + i->ptp_timescale +
	       i->reserved[0];
}

static __u64 use_system_time(const struct vmclock_system_time *t)
{
	return t->realtime_ns + t->monotonic_raw_ns + t->boottime_ns;
}

__u64 use_snapshot(const struct vmclock_snapshot *s)
{
	return s->size + s->flags + s->valid + s->page_size + s->counter +
	       s->time_sec + s->time_nsec + s->reserved + s->maxerror_ns +
	       use_system_time(&s->before) + use_system_time(&s->after) +
	       use_page(&s->page);
}

#ifdef WRONG
__u64 use_wrongly(const struct vmclock_page *p)
{
	return p->size + p->version + p->time_sec;
}
#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints: events/vmclock/ in tracefs. "index" is the number of the node.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vmclock

#if !defined(VMCLOCK_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define VMCLOCK_TRACE_H

#include <linux/tracepoint.h>
#include <linux/vmclock-dev.h>

/* A look found another sequence number. */
TRACE_EVENT(vmclock_update,
	TP_PROTO(int index, u32 seq, u32 last_seq, u32 events),
	TP_ARGS(index, seq, last_seq, events),
	TP_STRUCT__entry(
		__field(int, index)
		__field(u32, seq)
		__field(u32, last_seq)
		__field(u32, events)
	),
	TP_fast_assign(
		__entry->index = index;
		__entry->seq = seq;
		__entry->last_seq = last_seq;
		__entry->events = events;
	),
	TP_printk("index=%d seq=%u last_seq=%u events=%s", __entry->index, __entry->seq,
		  __entry->last_seq,
		  __print_flags(__entry->events, "|",
				{ VMCLOCK_EVENT_UPDATE, "update" },
				{ VMCLOCK_EVENT_RECALIBRATED, "recalibrated" },
				{ VMCLOCK_EVENT_DISRUPTED, "disrupted" },
				{ VMCLOCK_EVENT_GENERATION, "generation" },
				{ VMCLOCK_EVENT_STATUS, "status" },
				{ VMCLOCK_EVENT_LEAP, "leap" },
				{ VMCLOCK_EVENT_MAINTENANCE, "maintenance" }))
);

/* A look found another marker or generation. */
TRACE_EVENT(vmclock_disruption,
	TP_PROTO(int index, const struct vmclock_page *old, const struct vmclock_page *new),
	TP_ARGS(index, old, new),
	TP_STRUCT__entry(
		__field(int, index)
		__field(u64, last_marker)
		__field(u64, marker)
		__field(u64, last_generation)
		__field(u64, generation)
	),
	TP_fast_assign(
		__entry->index = index;
		__entry->last_marker = le64_to_cpu(old->disruption_marker);
		__entry->marker = le64_to_cpu(new->disruption_marker);
		__entry->last_generation = le64_to_cpu(old->vm_generation_counter);
		__entry->generation = le64_to_cpu(new->vm_generation_counter);
	),
	TP_printk("index=%d marker=%#llx last_marker=%#llx generation=%#llx last_generation=%#llx",
		  __entry->index, __entry->marker, __entry->last_marker,
		  __entry->generation, __entry->last_generation)
);

/* A reader needed more than one try, and got through or not. */
DECLARE_EVENT_CLASS(vmclock_patience,
	TP_PROTO(int index, u32 seq, unsigned int tries),
	TP_ARGS(index, seq, tries),
	TP_STRUCT__entry(
		__field(int, index)
		__field(u32, seq)
		__field(unsigned int, tries)
	),
	TP_fast_assign(
		__entry->index = index;
		__entry->seq = seq;
		__entry->tries = tries;
	),
	TP_printk("index=%d seq=%u tries=%u", __entry->index, __entry->seq, __entry->tries)
);

DEFINE_EVENT(vmclock_patience, vmclock_retry,
	TP_PROTO(int index, u32 seq, unsigned int tries),
	TP_ARGS(index, seq, tries)
);

DEFINE_EVENT(vmclock_patience, vmclock_timeout,
	TP_PROTO(int index, u32 seq, unsigned int tries),
	TP_ARGS(index, seq, tries)
);

#endif /* VMCLOCK_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the daemon does between two waits, over a simulated counter and a reference
 * that gives readings: the same steps as vm.c, with the parts that vm.c takes them
 * from.
 */
#ifndef TESTS_SIM_DAEMON_H
#define TESTS_SIM_DAEMON_H

#include "calibrate.h"
#include "holdover.h"
#include "publish.h"
#include "scale.h"
#include "source.h"

/**
 * struct daemon - the daemon
 * @interval_ns: between two readings
 * @limits: of holdover
 * @guest: the guest's counter
 * @offset_error: ticks that @guest may be wrong by
 * @list: leap seconds
 * @wants_utc: the page is to be in UTC
 * @tai_offset: UTC - TAI as the operator said, if @has_tai_offset
 */
struct daemon {
	uint64_t interval_ns;
	struct holdover limits;
	struct guest_counter guest;
	uint64_t offset_error;
	struct leap_list list;
	bool wants_utc;
	bool has_tai_offset;
	int tai_offset;

	/* private */
	struct vmclock_page page;
	struct vmclk_writer *writer;
	struct shm memory;
	struct calibrate cal;
	struct publish pub;
	struct scale scale;
	bool needs_marker, has_published, is_expired, has_scale;
	uint64_t last_reading;
};

#define DRIFT_PPB	15000

/* An empty page. */
void daemon_init(struct daemon *d);

/* Starts, on the page that is there, with a first look at the kernel's clock. */
void daemon_start(struct daemon *d, const struct source_reading *reading);

/* Nothing is closed: as after SIGKILL. */
void daemon_kill(struct daemon *d);

bool daemon_is_warming(const struct daemon *d);

/* A reading comes; the page follows at once, or after @delay() in which time goes by. */
void daemon_reading(struct daemon *d, const struct source_reading *reading,
		    void (*delay)(void *), void *opaque);

/* The source gave nothing. */
void daemon_hold(struct daemon *d);

/* The same line again, as often-publishing daemons do. */
void daemon_publish_again(struct daemon *d);

#endif /* TESTS_SIM_DAEMON_H */

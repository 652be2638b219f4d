// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <sys/random.h>

#include <linux/vmclock-page.h>

#include "publish.h"

/* What depends on the line. */
#define LINE_FLAGS (VMCLOCK_PAGE_FLAG_TAI_OFFSET_VALID |	\
		    VMCLOCK_PAGE_FLAG_PERIOD_ESTERROR_VALID |	\
		    VMCLOCK_PAGE_FLAG_PERIOD_MAXERROR_VALID |	\
		    VMCLOCK_PAGE_FLAG_TIME_ESTERROR_VALID |	\
		    VMCLOCK_PAGE_FLAG_TIME_MAXERROR_VALID |	\
		    VMCLOCK_PAGE_FLAG_TIME_MONOTONIC)
#define ERROR_FLAGS (VMCLOCK_PAGE_FLAG_PERIOD_ESTERROR_VALID |	\
		     VMCLOCK_PAGE_FLAG_PERIOD_MAXERROR_VALID |	\
		     VMCLOCK_PAGE_FLAG_TIME_ESTERROR_VALID |	\
		     VMCLOCK_PAGE_FLAG_TIME_MAXERROR_VALID)
#define BOUND_FLAGS (VMCLOCK_PAGE_FLAG_PERIOD_MAXERROR_VALID |	\
		     VMCLOCK_PAGE_FLAG_TIME_MAXERROR_VALID)
#define NOTICE_FLAGS (VMCLOCK_PAGE_FLAG_DISRUPTION_SOON |		\
		      VMCLOCK_PAGE_FLAG_DISRUPTION_IMMINENT)
/* Ours to say, line or no line. */
#define OWN_FLAGS (NOTICE_FLAGS | VMCLOCK_PAGE_FLAG_NOTIFICATION_PRESENT)
/*
 * The generation counter belongs to the hypervisor, or is of publish_new_generation().
 * Nothing else is kept: who can be notified is known, and what is said of a coming
 * disruption is in @notice.
 */
#define KEPT_FLAGS VMCLOCK_PAGE_FLAG_GENERATION_PRESENT

/* Seconds above this are no time, and keep sums in range. */
#define SEC_MAX	(1ULL << 62)

int publish_attach(struct publish *pub, struct vmclk_writer *writer,
		   const struct shm *memory, const struct ivshmem_server *bell,
		   const struct guest_counter *guest, const struct holdover *limits)
{
	int err;

	pub->writer = writer;
	pub->memory = memory;
	pub->bell = bell;
	pub->wakes = false;
	pub->guest = guest;
	pub->limits = limits;
	pub->is_held = false;
	pub->is_hushed = false;
	pub->is_monotonic = false;
	pub->has_line = false;
	pub->base = 0;
	err = vmclk_writer_found(writer, &pub->fields);
	pub->was_torn = pub->fields.seq_count & 1;
	pub->notice = err ? 0 : pub->fields.flags & NOTICE_FLAGS;
	return err;
}

bool publish_found_line(const struct publish *pub, const struct scale *scale,
			struct calibrate_line *line)
{
	const struct vmclk_snapshot *f = &pub->fields;
	const int counter_id = COUNTER_ID;

	*line = (struct calibrate_line){
		.max = {
			.counter = f->counter_value,
			.time = { f->time_sec, f->time_frac_sec },
			.period = f->counter_period_frac_sec,
			.period_maxerror = f->counter_period_maxerror_rate_frac_sec,
			.maxerror_ns = f->time_maxerror_nanosec,
			.shift = f->counter_period_shift,
		},
		.bounded = (f->flags & BOUND_FLAGS) == BOUND_FLAGS,
	};
	if (scale->origin == SCALE_UTC)
		line->max.time.sec += scale->base;
	return !pub->was_torn && f->counter_id == counter_id &&
	       f->time_type == scale_time_type(scale) && f->counter_period_frac_sec &&
	       f->counter_period_shift <= VMCLOCK_MATH_SHIFT_MAX &&
	       f->counter_period_maxerror_rate_frac_sec <= f->counter_period_frac_sec &&
	       f->time_sec && f->time_sec < SEC_MAX;
}

/* Begins every update. */
static void begin(const struct publish *pub)
{
	if (!pub->is_hushed)
		vmclk_writer_begin(pub->writer);
}

static void put(const struct publish *pub, const struct vmclk_snapshot *fields)
{
	vmclk_writer_commit(pub->writer, fields);
	shm_mark_dirty(pub->memory, 0, sizeof(struct vmclock_page));
	if (pub->bell)
		ivshmem_server_ring(pub->bell);
	if (pub->wakes)
		vmclk_writer_wake(pub->writer);
}

/* Ends every update, so that none is missing in a dirty log. */
static void commit(struct publish *pub)
{
	pub->fields.flags = (pub->fields.flags & ~OWN_FLAGS) | pub->notice |
			    (pub->bell ? VMCLOCK_PAGE_FLAG_NOTIFICATION_PRESENT : 0);
	if (!pub->is_hushed)
		put(pub, &pub->fields);
}

/* The fields as they are. */
static void commit_all(struct publish *pub)
{
	begin(pub);
	commit(pub);
}

/* No line, and all that does not depend on one. */
static struct vmclk_snapshot without_line(const struct vmclk_snapshot *f)
{
	return (struct vmclk_snapshot){
		.disruption_marker = f->disruption_marker,
		.vm_generation_counter = f->vm_generation_counter,
		.flags = f->flags & (KEPT_FLAGS | OWN_FLAGS),
		.counter_id = COUNTER_ID,
		.time_type = f->time_type,
		.clock_status = VMCLOCK_PAGE_STATUS_INITIALIZING,
	};
}

void publish_start(struct publish *pub, uint8_t time_type, bool keep_line)
{
	if (!keep_line)
		pub->fields = without_line(&pub->fields);
	/* The line that comes may start earlier than this one. */
	pub->fields.flags &= KEPT_FLAGS | (LINE_FLAGS & ~VMCLOCK_PAGE_FLAG_TIME_MONOTONIC);
	pub->fields.counter_id = COUNTER_ID;
	pub->fields.time_type = time_type;
	pub->fields.clock_status = VMCLOCK_PAGE_STATUS_INITIALIZING;
	commit_all(pub);
}

static void fill_line(struct vmclk_snapshot *f, const struct calibrate_line *at,
		      const struct scale *scale, bool is_monotonic)
{
	bool tai_is_known = scale_tai_offset(scale, &f->tai_offset_sec);

	f->flags = (f->flags & KEPT_FLAGS) |
		   (is_monotonic ? VMCLOCK_PAGE_FLAG_TIME_MONOTONIC : 0) |
		   (tai_is_known ? VMCLOCK_PAGE_FLAG_TAI_OFFSET_VALID : 0) |
		   (at->bounded ? ERROR_FLAGS : 0);
	f->counter_value = at->max.counter;
	f->counter_period_shift = at->max.shift;
	f->counter_period_frac_sec = at->max.period;
	f->time_sec = scale_page_seconds(scale, at->max.time.sec);
	f->time_frac_sec = at->max.time.frac;
	/* What the flags do not offer is zero. */
	f->counter_period_esterror_rate_frac_sec = at->bounded ? at->est_rate : 0;
	f->counter_period_maxerror_rate_frac_sec =
		at->bounded ? at->max.period_maxerror : 0;
	f->time_esterror_nanosec = at->bounded ? at->est_ns : 0;
	f->time_maxerror_nanosec = at->bounded ? at->max.maxerror_ns : 0;
}

/*
 * Leap indicator and TAI offset are those of the latest reading, and hold at
 * the reference point: without a new reading it must not pass a leap second.
 */
static bool leap_is_between(const struct vmclk_snapshot *f, uint64_t to_sec)
{
	bool is_offset = f->time_type == VMCLOCK_PAGE_TIME_TAI &&
			 f->flags & VMCLOCK_PAGE_FLAG_TAI_OFFSET_VALID;
	int64_t utc = is_offset ? f->tai_offset_sec : 0;

	return vmclock_math_leap_is_near(f->leap_indicator, f->time_sec + utc, to_sec + utc);
}

/*
 * May the reference point of the line that is on the page move to @at? If the
 * latest reading is behind a leap second, but its line did not come to the page,
 * then the scale has an offset that is not that of the indicator there.
 */
static bool can_move(const struct publish *pub, const struct calibrate_line *at,
		     const struct scale *scale)
{
	return scale->base == pub->base &&
	       !leap_is_between(&pub->fields, scale_page_seconds(scale, at->max.time.sec));
}

static uint8_t line_status(const struct publish *pub, const struct calibrate_line *at)
{
	if (!at->bounded)
		return VMCLOCK_PAGE_STATUS_UNKNOWN;
	/* Whatever made it so wide. */
	if (at->max.maxerror_ns > pub->limits->max_bound_ns)
		return VMCLOCK_PAGE_STATUS_UNRELIABLE;
	return pub->is_held ? VMCLOCK_PAGE_STATUS_FREERUNNING :
			      VMCLOCK_PAGE_STATUS_SYNCHRONIZED;
}

/* The page is open. */
static void commit_line(struct publish *pub, const struct calibrate_line *line,
			const struct scale *scale, uint64_t counter, bool is_new)
{
	struct calibrate_line at;

	if (calibrate_rebase(line, counter, &at) &&
	    (is_new || can_move(pub, &at, scale))) {
		calibrate_normalise(&at);
		fill_line(&pub->fields, &at, scale, pub->is_monotonic);
		pub->base = scale->base;
		pub->has_line = true;
	}
	/*
	 * The line may stay near a leap second; the status must not. But if it is
	 * not there yet, what is there is from before, and not to be offered again.
	 */
	if (pub->has_line)
		pub->fields.clock_status = line_status(pub, &at);
	if (pub->fields.clock_status == VMCLOCK_PAGE_STATUS_UNRELIABLE)
		pub->fields.flags &= ~VMCLOCK_PAGE_FLAG_TIME_MONOTONIC;
	commit(pub);
}

/*
 * Does a leap second lie between the reading and the update that follows it? Then
 * its indicator and its TAI offset are not those of the reference point any more.
 */
static bool leap_came_since(const struct calibrate *cal, const struct scale *scale,
			    uint8_t leap_indicator, uint64_t counter)
{
	int16_t tai_offset;
	struct vmclock_time t;
	uint64_t from, to;

	if (!vmclock_math_time(&cal->line.max, counter, &t))
		return false;
	scale_tai_offset(scale, &tai_offset);
	if (scale_time_type(scale) == VMCLOCK_PAGE_TIME_UTC)
		tai_offset = 0;
	from = scale_page_seconds(scale, cal->reading.time >> 64) + tai_offset;
	to = scale_page_seconds(scale, t.sec) + tai_offset;
	/* The inserted second lasts as long as its number. */
	if (leap_indicator == VMCLOCK_PAGE_LEAP_POS)
		return from != to;
	return vmclock_math_leap_is_near(leap_indicator, from, to);
}

bool publish_calibrated(struct publish *pub, struct calibrate *cal,
			const struct scale *scale, uint8_t leap_indicator)
{
	uint64_t counter;
	bool in_time;

	pub->is_held = false;
	begin(pub);
	counter = guest_counter_read(pub->guest);
	in_time = !leap_came_since(cal, scale, leap_indicator, counter) &&
		  calibrate_cross(cal, counter);
	if (in_time)
		pub->fields.leap_indicator = leap_indicator;
	pub->is_monotonic = !cal->reading.bias;
	commit_line(pub, &cal->line, scale, counter, in_time);
	return in_time;
}

void publish_rebased(struct publish *pub, const struct calibrate_line *line,
		     const struct scale *scale)
{
	begin(pub);
	commit_line(pub, line, scale, guest_counter_read(pub->guest), false);
}

void publish_take_over(struct publish *pub, const struct publish *before,
		       const struct calibrate_line *line, const struct scale *scale)
{
	const struct vmclk_snapshot *f = &before->fields;
	struct vmclk_snapshot own = pub->fields;

	pub->fields = *f;
	pub->fields.disruption_marker = own.disruption_marker;
	pub->fields.vm_generation_counter = own.vm_generation_counter;
	pub->fields.flags = (f->flags & ~KEPT_FLAGS) | (own.flags & KEPT_FLAGS);
	pub->is_held = f->clock_status == VMCLOCK_PAGE_STATUS_FREERUNNING;
	pub->has_line = before->has_line;
	pub->base = scale->base;
	pub->is_monotonic = f->flags & VMCLOCK_PAGE_FLAG_TIME_MONOTONIC;
	publish_rebased(pub, line, scale);
}

void publish_held(struct publish *pub, struct calibrate *cal, const struct scale *scale)
{
	struct calibrate_line at;
	uint64_t counter;

	pub->is_held = true;
	begin(pub);
	counter = guest_counter_read(pub->guest);
	/* A line that can't be published now must not become the one in use. */
	if (calibrate_rebase(&cal->line, counter, &at) && can_move(pub, &at, scale))
		calibrate_hold(cal, counter);
	commit_line(pub, &cal->line, scale, counter, false);
}

void publish_unreliable(struct publish *pub)
{
	pub->fields.clock_status = VMCLOCK_PAGE_STATUS_UNRELIABLE;
	/* The line that comes next may start earlier. */
	pub->fields.flags &= ~VMCLOCK_PAGE_FLAG_TIME_MONOTONIC;
	commit_all(pub);
}

void publish_hush(struct publish *pub)
{
	struct vmclk_snapshot quiet = without_line(&pub->fields);

	pub->is_hushed = true;
	vmclk_writer_begin(pub->writer);
	put(pub, &quiet);
}

void publish_speak(struct publish *pub)
{
	pub->is_hushed = false;
	commit_all(pub);
}

void publish_notice(struct publish *pub, uint64_t notice)
{
	pub->notice = notice & NOTICE_FLAGS;
	if (!publish_is_ours(pub))
		return;
	commit_all(pub);
	if (pub->is_hushed)
		publish_hush(pub);
}

/* Another value, and not the one that stands for none. */
static int replace(uint64_t *value)
{
	uint64_t drawn = 0;

	while (!drawn || drawn == *value)
		if (getrandom(&drawn, sizeof(drawn), 0) != sizeof(drawn))
			return -errno;
	*value = drawn;
	return 0;
}

int publish_new_marker(struct publish *pub)
{
	pub->has_line = false;
	return replace(&pub->fields.disruption_marker);
}

int publish_new_generation(struct publish *pub)
{
	int err = replace(&pub->fields.vm_generation_counter);

	if (!err)
		pub->fields.flags |= VMCLOCK_PAGE_FLAG_GENERATION_PRESENT;
	return err;
}

bool publish_is_ours(const struct publish *pub)
{
	return vmclk_writer_is_alone(pub->writer);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What goes into the page, and when.
 *
 * Every update that carries a line opens the page, then reads the guest's
 * counter, and makes that reading the line's reference point. This is what
 * entitles the page to say TIME_MONOTONIC. Whoever reads the counter before
 * the update has used the old line at a counter no later than this reading
 * (see vmclk_writer_begin()), whoever reads after it uses the new line at a later one;
 * and at the reading itself both lines give the same time.
 *
 * None of that holds if the guest's counter may be another than we think: then
 * readers can meet the lines where they are apart, and the page does not say so.
 */
#ifndef HOST_PUBLISH_H
#define HOST_PUBLISH_H

#include <stdbool.h>
#include <stdint.h>

#include "calibrate.h"
#include "guest-counter.h"
#include "holdover.h"
#include "ivshmem-server.h"
#include "scale.h"
#include "shm.h"
#include "vmclk-writer.h"

/**
 * struct publish - a page and what was last published there
 * @writer: the page
 * @memory: where it is
 * @bell: who is to be told of each update, or NULL
 * @wakes: wake who sleeps on the page's sequence number, with each update; the caller's,
 *	who knows whether others of this host have it
 * @fields: what it says
 * @guest: the counter it is for
 * @limits: with a bound of more than these allow, the status is UNRELIABLE
 * @was_torn: an earlier writer died in an update; what it left is not used
 * @has_line: the page has a line of ours, under this marker
 * @base: that of the scale which the line on the page is in
 * @is_monotonic: the counter is known exactly
 * @is_held: the reference is lost: status FREERUNNING instead of SYNCHRONIZED
 * @is_hushed: after publish_hush(): @fields are kept up, but not put on the page
 * @notice: VMCLOCK_PAGE_FLAG_DISRUPTION_*, said with every update; at first, what
 *	the page said that was found
 */
struct publish {
	struct vmclk_writer *writer;
	const struct shm *memory;
	const struct ivshmem_server *bell;
	bool wakes;
	struct vmclk_snapshot fields;
	const struct guest_counter *guest;
	const struct holdover *limits;
	bool was_torn;
	bool is_held;
	bool is_hushed;
	uint64_t notice;
	bool is_monotonic;
	bool has_line;
	int base;
};

/**
 * publish_attach() - take over a page
 * @pub: initialised here; changes nothing on the page
 * @writer: the page
 * @memory: begins with the page, and is marked dirty when that is written; an
 *	empty handle will do for memory that nobody logs
 * @bell: whose clients are told of each update, and the page promises it; or NULL
 * @guest: the counter
 * @limits: of the bound
 *
 * All five stay the caller's, and are used until there is no next update.
 *
 * Return: 0, or what vmclk_writer_found() gave.
 */
int publish_attach(struct publish *pub, struct vmclk_writer *writer,
		   const struct shm *memory, const struct ivshmem_server *bell,
		   const struct guest_counter *guest, const struct holdover *limits);

/**
 * publish_found_line() - the line that was on the page
 * @pub: after publish_attach()
 * @scale: the scale in use; a line in another scale is none
 * @line: the line, in the scale of calibration
 *
 * Return: true if there is one that could be continued.
 */
bool publish_found_line(const struct publish *pub, const struct scale *scale,
			struct calibrate_line *line);

/**
 * publish_start() - announce that time is coming: status INITIALIZING
 * @pub: the page
 * @time_type: the scale that will be used
 * @keep_line: leave the line that was found
 */
void publish_start(struct publish *pub, uint8_t time_type, bool keep_line);

/**
 * publish_calibrated() - pass to the line that calibration has planned
 * @pub: the page
 * @cal: calibration, after CALIBRATE_READY
 * @scale: the scale
 * @leap_indicator: VMCLOCK_PAGE_LEAP_*
 *
 * Return: true if it was published; false if it came too late after its
 * reading, or a leap second came in between: then the line before it was
 * re-based, if that could be done.
 */
bool publish_calibrated(struct publish *pub, struct calibrate *cal,
			const struct scale *scale, uint8_t leap_indicator);

/**
 * publish_rebased() - the same line at the present counter
 * @pub: the page
 * @line: the line that publish_calibrated() published
 * @scale: the scale
 */
void publish_rebased(struct publish *pub, const struct calibrate_line *line,
		     const struct scale *scale);

/**
 * publish_take_over() - go on in a page with the line that was in another
 * @pub: the new page, after publish_attach(); its markers stay its own
 * @before: what the other one said last, while it had the line
 * @line: the line that publish_calibrated() published there
 * @scale: the scale
 */
void publish_take_over(struct publish *pub, const struct publish *before,
		       const struct calibrate_line *line, const struct scale *scale);

/**
 * publish_held() - the line at the present counter, without a reference
 * @pub: the page; its status is FREERUNNING until publish_calibrated()
 * @cal: calibration, with a line that is on the page; is told to hold it
 * @scale: the scale
 */
void publish_held(struct publish *pub, struct calibrate *cal, const struct scale *scale);

/**
 * publish_unreliable() - say that the page must not be believed
 * @pub: the page; its line stays
 */
void publish_unreliable(struct publish *pub);

/**
 * publish_hush() - offer no line, status INITIALIZING, until publish_speak()
 * @pub: the page
 *
 * What is published meanwhile changes nothing but @fields.
 */
void publish_hush(struct publish *pub);

/**
 * publish_speak() - put on the page what it would say by now
 * @pub: the page, after publish_hush()
 */
void publish_speak(struct publish *pub);

/**
 * publish_notice() - tell of a coming disruption
 * @pub: the page; one that somebody else has written says it when it is ours again
 * @notice: VMCLOCK_PAGE_FLAG_DISRUPTION_SOON and _IMMINENT, or 0
 */
void publish_notice(struct publish *pub, uint64_t notice);

/**
 * publish_new_marker() - choose a disruption marker for the next update
 * @pub: the page
 *
 * The marker is random: one that counts on could repeat after the machine was
 * restored from an older state.
 *
 * Return: 0, or what getrandom(2) answered.
 */
int publish_new_marker(struct publish *pub);

/**
 * publish_new_generation() - choose a generation counter, and have the page offer one
 * @pub: the page; the next update says so
 *
 * It is random for the same reason.
 *
 * Return: 0, or what getrandom(2) answered.
 */
int publish_new_generation(struct publish *pub);

/**
 * publish_is_ours() - is the page as we left it?
 * @pub: the page
 *
 * Return: false if somebody else has written: QEMU does when it restores a
 * machine.
 */
bool publish_is_ours(const struct publish *pub);

#endif /* HOST_PUBLISH_H */

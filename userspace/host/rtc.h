/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The requests and alarms of a virtio-rtc device (VIRTIO 1.4, device 17), as
 * bytes in and bytes out: no ring, no clock and no timer in here.
 *
 * Every request gets an answer; what a guest can send changes nothing but the
 * alarms of its own device. One thread.
 */
#ifndef HOST_RTC_H
#define HOST_RTC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Feature bit of the device. */
#define RTC_F_ALARM	0

/* The longest request, response and notification; longer ones are cut. */
#define RTC_REQUEST_MAX		24
#define RTC_RESPONSE_MAX	24
#define RTC_NOTIFICATION_SIZE	16

/* The clocks, by their ids; the types have the same numbers. */
enum rtc_clock {
	RTC_CLOCK_UTC,
	RTC_CLOCK_TAI,
	RTC_CLOCK_MONOTONIC,
	RTC_CLOCK_COUNT,
};

/**
 * struct rtc_reading - what a clock said
 * @ns: ns since the clock's epoch
 * @counter: the guest's counter at that instant; undefined where the device was
 *	told that it is not known
 * @epoch: another number if the counter has become another one since
 */
struct rtc_reading {
	uint64_t ns;
	uint64_t counter;
	uint64_t epoch;
};

/**
 * struct rtc_clocks - where readings come from
 * @read: reads @clock, now. Return: 0, or a negative errno value.
 * @context: passed to @read
 * @counter_id: VMCLOCK_PAGE_COUNTER_* whose value @read gives, or
 *	VMCLOCK_PAGE_COUNTER_NONE: then no cross timestamps are offered
 * @has_counter: is that known at present? NULL if it always is
 */
struct rtc_clocks {
	int (*read)(void *context, enum rtc_clock clock, struct rtc_reading *reading);
	void *context;
	uint8_t counter_id;
	bool (*has_counter)(void *context);
};

/**
 * struct rtc - the device
 * @clocks: where readings come from
 * @has_alarms: RTC_F_ALARM was negotiated
 * @alarms: by clock
 * @last: the latest answer of each clock, if @has_last
 * @has_last: there was one since the reset
 */
struct rtc {
	struct rtc_clocks clocks;
	bool has_alarms;
	struct rtc_alarm {
		uint64_t time;		/* ns of the clock */
		bool is_enabled;
		bool is_ahead;		/* not reached when last looked at */
		bool is_pending;	/* a notification is due */
	} alarms[RTC_CLOCK_COUNT];
	struct rtc_reading last[RTC_CLOCK_COUNT];
	bool has_last[RTC_CLOCK_COUNT];
};

/**
 * rtc_init() - a device that was never used
 * @rtc: initialised here
 * @clocks: copied
 */
void rtc_init(struct rtc *rtc, const struct rtc_clocks *clocks);

/**
 * rtc_reset() - the guest has reset the device
 * @rtc: the device
 *
 * Alarms are not retained, and what was told is forgotten.
 */
void rtc_reset(struct rtc *rtc);

/**
 * rtc_set_features() - what the guest's driver has accepted
 * @rtc: the device
 * @has_alarms: RTC_F_ALARM
 */
void rtc_set_features(struct rtc *rtc, bool has_alarms);

/**
 * rtc_respond() - answer a request
 * @rtc: the device
 * @request: a private copy of the readable bytes
 * @len: how many there are, at most RTC_REQUEST_MAX of them at @request
 * @response: where the answer goes
 * @room: bytes the guest has left for it; @response has RTC_RESPONSE_MAX
 *
 * Return: bytes of @response to hand over, not more than @room: 0 if not even
 * the status fits, else those of a response header or of the whole response.
 */
size_t rtc_respond(struct rtc *rtc, const void *request, size_t len, void *response,
		   size_t room);

/**
 * rtc_look() - see whether clocks have reached their alarms
 * @rtc: the device
 *
 * To be called when rtc_delay_ns() has passed, and when a clock was set.
 */
void rtc_look(struct rtc *rtc);

/**
 * rtc_delay_ns() - how long until the next alarm, if no clock is set
 * @rtc: the device
 *
 * Return: ns, 0 for an alarm that is due, or UINT64_MAX if there is none.
 */
uint64_t rtc_delay_ns(const struct rtc *rtc);

/**
 * rtc_has_notification() - is there one to send?
 * @rtc: the device
 */
bool rtc_has_notification(const struct rtc *rtc);

/**
 * rtc_take_notification() - the next notification to put into the alarm queue
 * @rtc: the device, which has one
 * @notification: RTC_NOTIFICATION_SIZE bytes
 */
void rtc_take_notification(struct rtc *rtc, void *notification);

/* Bytes of a saved device. */
#define RTC_STATE_SIZE	64

/**
 * rtc_save() - the device's state, to be loaded elsewhere
 * @rtc: the device
 * @state: RTC_STATE_SIZE bytes, little-endian
 */
void rtc_save(const struct rtc *rtc, void *state);

/**
 * rtc_load() - take over a state that rtc_save() made
 * @rtc: the device; unchanged on error
 * @state: the bytes, from whoever
 * @len: how many
 *
 * Return: 0, or -EPROTO if this is no such state.
 */
int rtc_load(struct rtc *rtc, const void *state, size_t len);

#endif /* HOST_RTC_H */

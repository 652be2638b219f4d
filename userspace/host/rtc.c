// SPDX-License-Identifier: GPL-2.0-or-later
#include <endian.h>
#include <errno.h>
#include <string.h>

#include <linux/vmclock-page.h>

#include "rtc.h"

enum message {
	READ			= 0x0001,
	READ_CROSS		= 0x0002,
	CFG			= 0x1000,
	CLOCK_CAP		= 0x1001,
	CROSS_CAP		= 0x1002,
	READ_ALARM		= 0x1003,
	SET_ALARM		= 0x1004,
	SET_ALARM_ENABLED	= 0x1005,
	NOTIF_ALARM		= 0x2000,
};

enum status {
	OK		= 0,
	EOPNOTSUPP_	= 2,
	ENODEV_		= 3,
	EINVAL_		= 4,
	EIO_		= 5,
};

#define FLAG	1	/* ALARM_CAP, CROSS_CAP, ALARM_ENABLED: bit 0 each */

/* Requests, after the header: where the clock's id is differs. */
struct request {
	uint16_t type;
	uint8_t reserved[6];
	union {
		struct {
			uint16_t id;
			uint8_t arg;	/* hw_counter, or flags */
		} clock;
		struct {
			uint64_t time;
			uint16_t id;
			uint8_t flags;
		} alarm;
		uint8_t bytes[16];
	};
};

struct response {
	uint8_t status;
	uint8_t reserved[7];
	union {
		uint16_t clock_count;
		struct {
			uint8_t type, smearing, flags;
		} clock;
		uint8_t cross_flags;
		struct {
			uint64_t reading, counter;
		} read;
		struct {
			uint64_t time;
			uint8_t flags;
		} alarm;
		uint8_t bytes[16];
	};
};

_Static_assert(sizeof(struct request) == RTC_REQUEST_MAX, "as on the wire");
_Static_assert(sizeof(struct response) == RTC_RESPONSE_MAX, "as on the wire");

#define HEADER_SIZE	8

static bool goes_back(const struct rtc *rtc, enum rtc_clock id,
		      const struct rtc_reading *reading)
{
	const struct rtc_reading *last = &rtc->last[id];

	if (rtc->clocks.counter_id != VMCLOCK_PAGE_COUNTER_NONE &&
	    reading->epoch == last->epoch &&
	    (int64_t)(reading->counter - last->counter) < 0)
		return true;
	return id == RTC_CLOCK_MONOTONIC && reading->ns < last->ns;
}

/* What must not go back is told again as it was. */
static int read_clock(struct rtc *rtc, enum rtc_clock id, struct rtc_reading *reading)
{
	int err = rtc->clocks.read(rtc->clocks.context, id, reading);

	if (err)
		return err;
	if (rtc->has_last[id] && goes_back(rtc, id, reading))
		*reading = rtc->last[id];
	rtc->last[id] = *reading;
	rtc->has_last[id] = true;
	return 0;
}

/* An event the first time the alarm's time is found reached; none before it. */
static void look_at(struct rtc_alarm *alarm, uint64_t now)
{
	bool is_ahead = now < alarm->time;

	if (!alarm->is_enabled)
		return;
	if (is_ahead)
		alarm->is_pending = false;	/* the clock stepped back */
	else if (alarm->is_ahead)
		alarm->is_pending = true;
	alarm->is_ahead = is_ahead;
}

static enum status arm(struct rtc *rtc, enum rtc_clock id, uint64_t time, bool enable)
{
	struct rtc_alarm *alarm = &rtc->alarms[id];
	struct rtc_reading now = { 0 };

	if (enable && read_clock(rtc, id, &now))
		return EIO_;
	/* As if it had been ahead until now: what is due already is an event. */
	*alarm = (struct rtc_alarm){ .time = time, .is_enabled = enable, .is_ahead = enable };
	look_at(alarm, now.ns);
	return OK;
}

static enum status do_clock_cap(struct rtc *rtc, unsigned int id, const struct request *rq,
				struct response *rs)
{
	(void)rq;
	rs->clock.type = id;
	rs->clock.flags = rtc->has_alarms ? FLAG : 0;
	return OK;
}

static bool is_counter(uint8_t hw_counter)
{
	return hw_counter == VMCLOCK_PAGE_COUNTER_ARM_VCT ||
	       hw_counter == VMCLOCK_PAGE_COUNTER_X86_TSC;
}

static bool can_cross(const struct rtc *rtc, uint8_t hw_counter)
{
	const struct rtc_clocks *c = &rtc->clocks;

	return is_counter(hw_counter) && hw_counter == c->counter_id &&
	       (!c->has_counter || c->has_counter(c->context));
}

static enum status do_cross_cap(struct rtc *rtc, unsigned int id, const struct request *rq,
				struct response *rs)
{
	(void)id;
	rs->cross_flags = can_cross(rtc, rq->clock.arg) ? FLAG : 0;
	return OK;
}

static enum status do_read(struct rtc *rtc, unsigned int id, const struct request *rq,
			   struct response *rs)
{
	struct rtc_reading now;

	(void)rq;
	if (read_clock(rtc, id, &now))
		return EIO_;
	rs->read.reading = htole64(now.ns);
	return OK;
}

static enum status do_read_cross(struct rtc *rtc, unsigned int id, const struct request *rq,
				 struct response *rs)
{
	struct rtc_reading now;

	if (!can_cross(rtc, rq->clock.arg))
		return EOPNOTSUPP_;
	if (read_clock(rtc, id, &now))
		return EIO_;
	rs->read.reading = htole64(now.ns);
	rs->read.counter = htole64(now.counter);
	return OK;
}

static enum status do_read_alarm(struct rtc *rtc, unsigned int id, const struct request *rq,
				 struct response *rs)
{
	(void)rq;
	rs->alarm.time = htole64(rtc->alarms[id].time);
	rs->alarm.flags = rtc->alarms[id].is_enabled ? FLAG : 0;
	return OK;
}

static enum status do_set_alarm(struct rtc *rtc, unsigned int id, const struct request *rq,
				struct response *rs)
{
	(void)rs;
	return arm(rtc, id, le64toh(rq->alarm.time), rq->alarm.flags & FLAG);
}

static enum status do_set_alarm_enabled(struct rtc *rtc, unsigned int id,
					const struct request *rq, struct response *rs)
{
	(void)rs;
	return arm(rtc, id, rtc->alarms[id].time, rq->clock.arg & FLAG);
}

static enum status do_cfg(struct rtc *rtc, unsigned int id, const struct request *rq,
			  struct response *rs)
{
	(void)rtc;
	(void)id;
	(void)rq;
	rs->clock_count = htole16(RTC_CLOCK_COUNT);
	return OK;
}

/* What every message needs, and who answers it. */
static const struct handler {
	uint16_t type;
	uint8_t request_size, response_size;
	bool names_counter, is_alarm;
	enum status (*run)(struct rtc *rtc, unsigned int id, const struct request *rq,
			   struct response *rs);
} handlers[] = {
	{ READ, 16, 16, false, false, do_read },
	{ READ_CROSS, 16, 24, true, false, do_read_cross },
	{ CFG, 8, 16, false, false, do_cfg },
	{ CLOCK_CAP, 16, 16, false, false, do_clock_cap },
	{ CROSS_CAP, 16, 16, true, false, do_cross_cap },
	{ READ_ALARM, 16, 24, false, true, do_read_alarm },
	{ SET_ALARM, 24, 8, false, true, do_set_alarm },
	{ SET_ALARM_ENABLED, 16, 8, false, true, do_set_alarm_enabled },
};

static const struct handler *find_handler(uint16_t type)
{
	for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++)
		if (handlers[i].type == type)
			return &handlers[i];
	return NULL;
}

/*
 * The order of the checks decides which status a request with several faults
 * gets: nothing is looked at before it is known to be there.
 */
static enum status respond(struct rtc *rtc, const struct request *rq, size_t len,
			   struct response *rs, size_t room, size_t *size)
{
	const struct handler *h;
	unsigned int id = 0;
	enum status status;

	if (len < HEADER_SIZE)
		return EINVAL_;
	h = find_handler(le16toh(rq->type));
	if (!h)
		return EOPNOTSUPP_;
	if (len < h->request_size || room < h->response_size)
		return EINVAL_;
	if (h->names_counter && !is_counter(rq->clock.arg))
		return EOPNOTSUPP_;
	if (h->request_size > HEADER_SIZE)
		id = le16toh(h->type == SET_ALARM ? rq->alarm.id : rq->clock.id);
	if (id >= RTC_CLOCK_COUNT || (h->is_alarm && !rtc->has_alarms))
		return ENODEV_;

	status = h->run(rtc, id, rq, rs);
	if (status == OK)
		*size = h->response_size;
	return status;
}

size_t rtc_respond(struct rtc *rtc, const void *request, size_t len, void *response,
		   size_t room)
{
	struct request rq = { 0 };
	struct response rs = { 0 };
	size_t size = HEADER_SIZE;

	if (!room)
		return 0;
	memcpy(&rq, request, len < sizeof(rq) ? len : sizeof(rq));
	rs.status = respond(rtc, &rq, len, &rs, room, &size);
	if (rs.status != OK)
		memset(rs.bytes, 0, sizeof(rs.bytes));
	if (size > room)
		size = room;
	memcpy(response, &rs, size);
	return size;
}

void rtc_init(struct rtc *rtc, const struct rtc_clocks *clocks)
{
	*rtc = (struct rtc){ .clocks = *clocks };
}

void rtc_reset(struct rtc *rtc)
{
	struct rtc_clocks clocks = rtc->clocks;

	rtc_init(rtc, &clocks);
}

void rtc_set_features(struct rtc *rtc, bool has_alarms)
{
	rtc->has_alarms = has_alarms;
}

void rtc_look(struct rtc *rtc)
{
	for (unsigned int id = 0; id < RTC_CLOCK_COUNT; id++) {
		struct rtc_reading now;

		if (rtc->alarms[id].is_enabled && !read_clock(rtc, id, &now))
			look_at(&rtc->alarms[id], now.ns);
	}
}

uint64_t rtc_delay_ns(const struct rtc *rtc)
{
	uint64_t delay = UINT64_MAX;

	for (unsigned int id = 0; id < RTC_CLOCK_COUNT; id++) {
		const struct rtc_alarm *alarm = &rtc->alarms[id];
		struct rtc_reading now;
		uint64_t left;

		if (!alarm->is_enabled || !alarm->is_ahead ||
		    rtc->clocks.read(rtc->clocks.context, id, &now))
			continue;
		left = now.ns < alarm->time ? alarm->time - now.ns : 0;
		if (left < delay)
			delay = left;
	}
	return delay;
}

bool rtc_has_notification(const struct rtc *rtc)
{
	for (unsigned int id = 0; id < RTC_CLOCK_COUNT; id++)
		if (rtc->alarms[id].is_pending)
			return true;
	return false;
}

void rtc_take_notification(struct rtc *rtc, void *notification)
{
	struct {
		uint16_t type;
		uint8_t reserved[6];
		uint16_t id;
		uint8_t more[6];
	} message = { .type = htole16(NOTIF_ALARM) };
	unsigned int id = 0;

	_Static_assert(sizeof(message) == RTC_NOTIFICATION_SIZE, "as on the wire");
	while (id < RTC_CLOCK_COUNT - 1 && !rtc->alarms[id].is_pending)
		id++;
	rtc->alarms[id].is_pending = false;
	message.id = htole16(id);
	memcpy(notification, &message, sizeof(message));
}

/* The bytes of a saved device. */
struct state {
	uint32_t magic;
	uint32_t version;
	struct {
		uint64_t time;
		uint8_t flags;		/* ALARM_* below */
		uint8_t reserved[7];
	} alarms[RTC_CLOCK_COUNT];
	uint8_t reserved[8];
};

_Static_assert(sizeof(struct state) == RTC_STATE_SIZE, "as documented");

#define STATE_MAGIC	0x43545256	/* "VRTC" */
#define STATE_VERSION	1
#define ALARM_ENABLED	1
#define ALARM_AHEAD	2
#define ALARM_PENDING	4

void rtc_save(const struct rtc *rtc, void *state)
{
	struct state s = {
		.magic = htole32(STATE_MAGIC), .version = htole32(STATE_VERSION),
	};

	for (unsigned int id = 0; id < RTC_CLOCK_COUNT; id++) {
		const struct rtc_alarm *alarm = &rtc->alarms[id];

		s.alarms[id].time = htole64(alarm->time);
		s.alarms[id].flags = (alarm->is_enabled ? ALARM_ENABLED : 0) |
				     (alarm->is_ahead ? ALARM_AHEAD : 0) |
				     (alarm->is_pending ? ALARM_PENDING : 0);
	}
	memcpy(state, &s, sizeof(s));
}

int rtc_load(struct rtc *rtc, const void *state, size_t len)
{
	struct state s;

	if (len != sizeof(s))
		return -EPROTO;
	memcpy(&s, state, sizeof(s));
	if (le32toh(s.magic) != STATE_MAGIC || le32toh(s.version) != STATE_VERSION)
		return -EPROTO;

	for (unsigned int id = 0; id < RTC_CLOCK_COUNT; id++) {
		uint8_t flags = s.alarms[id].flags;
		bool is_enabled = flags & ALARM_ENABLED;

		rtc->alarms[id] = (struct rtc_alarm){
			.time = le64toh(s.alarms[id].time),
			.is_enabled = is_enabled,
			.is_ahead = is_enabled && (flags & ALARM_AHEAD),
			.is_pending = is_enabled && (flags & ALARM_PENDING),
		};
	}
	return 0;
}

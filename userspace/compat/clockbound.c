// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * ClockBound's C interface over libvmclk.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <linux/vmclock-page.h>

#include "clockbound.h"
#include "vmclk-stamp.h"
#include "vmclk.h"
#include "vmclock_math.h"

/* The last whole second whose nanoseconds all fit in 64 signed bits. */
#define SEC_END	(INT64_MAX / (int64_t)VMCLOCK_NSEC_PER_SEC - 1)

struct clockbound_ctx {
	struct vmclk *page;
	uint64_t marker;	/* accessed atomically */
	clockbound_err err;
};

static clockbound_err error_of(int err)
{
	int kind = CLOCKBOUND_ERR_SYSCALL;

	switch (-err) {
	case ENOENT:
	case VMCLK_ENOTINIT:
		kind = CLOCKBOUND_ERR_SEGMENT_NOT_INITIALIZED;
		break;
	case VMCLK_EMALFORMED:
		kind = CLOCKBOUND_ERR_SEGMENT_MALFORMED;
		break;
	case VMCLK_EVERSION:
		kind = CLOCKBOUND_ERR_SEGMENT_VERSION_NOT_SUPPORTED;
		break;
	}
	return (clockbound_err){ kind, vmclk_errno(err), vmclk_strerror(err) };
}

/* A time in the page's scale, out of a snapshot. */
static struct vmclk_time reference_of(const struct vmclk_snapshot *snap)
{
	return (struct vmclk_time){
		.sec = (int64_t)snap->time_sec,
		.nsec = vmclock_math_nsec(snap->time_frac_sec),
	};
}

/* Both are after 1970: a page may say 2^63 s, which is not before anything. */
static bool is_before(const struct vmclk_time *a, const struct vmclk_time *b)
{
	if (a->sec != b->sec)
		return (uint64_t)a->sec < (uint64_t)b->sec;
	return a->nsec < b->nsec;
}

/* The page vouches for a time: what keeps it from being UTC, or NULL. */
static const clockbound_err *scale_flaw(const struct vmclk_stamp *stamp)
{
	static const clockbound_err monotonic = {
		CLOCKBOUND_ERR_SEGMENT_MALFORMED, 0, "the page's scale is monotonic, not UTC or TAI"
	};
	static const clockbound_err no_offset = {
		CLOCKBOUND_ERR_SEGMENT_MALFORMED, 0, "the page is TAI, its offset from UTC unknown"
	};
	static const clockbound_err wrong_sign = {
		CLOCKBOUND_ERR_SEGMENT_MALFORMED, 0, "UTC is behind TAI, not ahead as the page says"
	};

	if (stamp->time_type == VMCLOCK_PAGE_TIME_UTC)
		return NULL;
	if (stamp->time_type != VMCLOCK_PAGE_TIME_TAI)
		return &monotonic;
	if (!(stamp->valid & VMCLK_STAMP_TAI_OFFSET))
		return &no_offset;
	return stamp->tai_offset_sec > 0 ? &wrong_sign : NULL;
}

static const clockbound_err *flaw_of(const struct vmclk_snapshot *snap,
				     const struct vmclk_stamp *stamp)
{
	static const clockbound_err malformed = {
		CLOCKBOUND_ERR_SEGMENT_MALFORMED, 0, "the page's scale, tick or size is not valid"
	};
	static const clockbound_err breach = {
		CLOCKBOUND_ERR_CAUSALITY_BREACH, 0, "now lies before the page's reference point"
	};
	const struct vmclk_time reference = reference_of(snap);

	switch (stamp->reason) {
	case VMCLK_OK:
		return is_before(&stamp->latest, &reference) ? &breach : scale_flaw(stamp);
	case VMCLK_BAD_SCALE:
	case VMCLK_BAD_PERIOD:
	case VMCLK_FIELDS_ABSENT:
		return &malformed;
	default:
		return NULL;
	}
}

/* The stamp in UTC, or false if that is not certain. */
static bool to_utc(const struct vmclk_stamp *stamp, clockbound_now_result *res)
{
	struct vmclk_stamp utc;

	if (vmclk_to_utc(stamp, &utc) || utc.earliest.sec < 0 || utc.latest.sec > SEC_END)
		return false;

	res->earliest = (struct timespec){ utc.earliest.sec, utc.earliest.nsec };
	res->latest = (struct timespec){ utc.latest.sec, utc.latest.nsec };
	res->clock_status = utc.clock_status == VMCLOCK_PAGE_STATUS_SYNCHRONIZED ?
			    CLOCKBOUND_STA_SYNCHRONIZED : CLOCKBOUND_STA_FREE_RUNNING;
	return true;
}

/* An interval nobody can mistake for a time. */
static clockbound_now_result any_time(clockbound_clock_status status)
{
	return (clockbound_now_result){
		.latest = { SEC_END, 999999999 },
		.clock_status = status,
	};
}

/*
 * ClockBound compares the page's marker with the one its daemon saw last, and
 * the daemon takes the new one over when the clock has been set right. Here the
 * page itself says so.
 */
static clockbound_now_result answer(clockbound_ctx *ctx, const struct vmclk_stamp *stamp)
{
	uint64_t marker = __atomic_load_n(&ctx->marker, __ATOMIC_RELAXED);
	clockbound_now_result res;
	bool certain = to_utc(stamp, &res);

	if (marker != stamp->disruption_marker) {
		if (certain)
			__atomic_store_n(&ctx->marker, stamp->disruption_marker,
					 __ATOMIC_RELAXED);
		return any_time(CLOCKBOUND_STA_DISRUPTED);
	}
	return certain ? res : any_time(CLOCKBOUND_STA_UNKNOWN);
}

static int open_ctx(const char *path, clockbound_ctx *ctx)
{
	struct vmclk_snapshot snap;
	int err;

	if (path && !strcmp(path, VMCLOCK_SHM_DEFAULT_PATH))
		path = NULL;
	err = vmclk_open(path, &ctx->page);
	if (err)
		return err;
	err = vmclk_snapshot(ctx->page, &snap);
	if (err) {
		vmclk_close(ctx->page);
		return err;
	}
	ctx->marker = snap.disruption_marker;
	return 0;
}

clockbound_ctx *clockbound_vmclock_open(const char *clockbound_shm_path,
					const char *vmclock_shm_path,
					clockbound_err *err)
{
	clockbound_ctx *ctx = calloc(1, sizeof(*ctx));
	int error = ctx ? open_ctx(vmclock_shm_path, ctx) : -ENOMEM;

	(void)clockbound_shm_path;
	if (!error)
		return ctx;
	if (err)
		*err = error_of(error);
	free(ctx);
	return NULL;
}

clockbound_ctx *clockbound_open(const char *clockbound_shm_path, clockbound_err *err)
{
	return clockbound_vmclock_open(clockbound_shm_path, NULL, err);
}

const clockbound_err *clockbound_close(clockbound_ctx *ctx)
{
	if (ctx)
		vmclk_close(ctx->page);
	free(ctx);
	return NULL;
}

const clockbound_err *clockbound_now(clockbound_ctx *ctx, clockbound_now_result *res)
{
	static const clockbound_err no_context = {
		CLOCKBOUND_ERR_SYSCALL, EINVAL, "no context"
	};
	const clockbound_err *flaw;
	struct vmclk_snapshot snap;
	struct vmclk_stamp stamp;
	int err;

	if (!ctx)
		return &no_context;
	err = res ? vmclk_snapshot(ctx->page, &snap) : -EINVAL;
	if (err) {
		ctx->err = error_of(err);
		return &ctx->err;
	}

	/* What it thinks of the page is in stamp.reason. */
	(void)vmclk_stamp_at(&snap, snap.counter, &stamp);
	flaw = flaw_of(&snap, &stamp);
	if (!flaw)
		*res = answer(ctx, &stamp);
	return flaw;
}

// SPDX-License-Identifier: GPL-2.0-or-later
#include "world.h"

/*
 * Any two rates differ by 14 ppm at most, less than the 15 that the writer allows
 * for: nothing it promises holds for a counter that is worse than it was told.
 */
#define WANDER_MAX_PPT	7000000
#define DAY_SEC		86400

uint64_t world_random(struct world *w)
{
	uint64_t z = w->random += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

int64_t world_within(struct world *w, int64_t limit)
{
	return (int64_t)(world_random(w) % (2 * (uint64_t)limit + 1)) - limit;
}

bool world_once_in(struct world *w, uint64_t n)
{
	return !(world_random(w) % n);
}

/* A parabola up and one down: a cycle between -1000 and 1000. */
static int64_t cycle(int64_t at, int64_t length)
{
	int64_t half = length / 2, x = at % half;
	int64_t y = 4000 * x * (half - x) / (half * half);

	return at % length < half ? y : -y;
}

static int64_t clamp(int64_t value, int64_t limit)
{
	return value > limit ? limit : value < -limit ? -limit : value;
}

static void set_rate(struct world *w)
{
	s128 nominal = ((vmclock_u128)1 << WORLD_FRAC) / w->hz;
	int64_t sec = w->truth >> WORLD_FRAC, ppt;

	ppt = w->daily_ppt * cycle(sec, DAY_SEC) / 1000 +
	      w->cycle_ppt * cycle(sec, w->cycle_sec) / 1000 + w->step_ppt + w->walk_ppt;
	ppt = clamp(ppt, WANDER_MAX_PPT) + w->base_ppt;
	w->period = nominal + nominal / 1000000000000 * ppt;
}

void world_init(struct world *w, uint64_t seed, int64_t tai)
{
	static const uint64_t hz[] = { 2600000000, 1000000000, 3700000001, 24000000 };

	*w = (struct world){ .random = seed };
	w->hz = hz[world_random(w) % 4];
	w->counter = world_random(w) >> 4;
	w->truth = (vmclock_u128)tai << WORLD_FRAC;
	w->base_ppt = world_within(w, 100000000);
	w->daily_ppt = world_within(w, 3000000);
	w->cycle_ppt = world_within(w, 400000);
	w->cycle_sec = 600 + world_random(w) % 1800;
	set_rate(w);
}

void world_advance(struct world *w, int64_t ns)
{
	uint64_t ticks = (vmclock_u128)ns * w->hz / NS_PER_SEC + 1;
	int64_t ms = ns / 1000000;

	w->counter += ticks;
	w->truth += ticks * w->period;
	/* Up to 0.2 ppb in each second, and home again slowly. */
	w->walk_ppt += world_within(w, 200 * (ms < 1000 ? ms : 1000) / 1000);
	w->walk_ppt -= w->walk_ppt * ms / 1000 / 100000;
	set_rate(w);
}

void world_step_frequency(struct world *w)
{
	w->step_ppt = world_within(w, 5000000);
	set_rate(w);
}

int64_t world_ns_since(const struct world *w, vmclock_u128 since)
{
	return (w->truth - since) / (((vmclock_u128)1 << WORLD_FRAC) / NS_PER_SEC);
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The split ring of host/ring.c, for spin: a device and a driver that each
 * sleep until the other wakes it, and wake the other only if it asked.
 *
 * The device is ring.c, on a machine that is weaker than what spin
 * interleaves, as arm64 is, by two means that are written out:
 *
 * - Its stores wait in a buffer. They leave it in any order, except that two
 *   stores to one word keep theirs, and a store after a fence waits for all
 *   those before it.
 * - Its load of a request, which stands for the available ring's entry, the
 *   descriptors and the buffers, takes place at any time that the barriers
 *   leave to it: also before the index that announced the request is loaded,
 *   and after the index that gives it back is stored. The other loads are in
 *   the program's order; the stores in front of them wait in the buffer, which
 *   shows the same.
 *
 * The driver has the barriers that virtio asks for. Between two of them it
 * does nothing whose order anybody could see, so it is written as if on one
 * memory.
 *
 * What is promised:
 *
 *	the request loaded is the one announced		got == want
 *	the response announced is there			response == seen + 1
 *	nobody sleeps who has something to do		no invalid end state
 *
 * NO_<barrier> removes that barrier; host_ring_model_test.sh removes each in
 * turn. FLAGS is a ring without VIRTIO_RING_F_EVENT_IDX.
 *
 * Indices count modulo 4, which is least for a queue of two, and wrap: 4 stands
 * for ring.c's 0x10000. The comments on the right quote the statement that a
 * step stands for; the test looks whether it is still there.
 */
#ifndef REQUESTS
#define REQUESTS	5
#endif

#define QUEUE		2
#define INDEX(n)	((n) & 3)
#define SLOT(n)		((n) & 1)

#define need_event(event, new, old) \
	(INDEX((new) - (event) - 1) < INDEX((new) - (old)))

/* What the driver writes. With FLAGS, used_event is 1 if it wants to be told. */
byte request[QUEUE];
byte avail_idx;
byte used_event;
bool done;

/* What the device writes. A response is in its buffer and its used element. */
#define AVAIL_EVENT	0
#define USED_IDX	1
#define RESPONSE	2
byte word[4];

/* The eventfds. */
bool kick;
bool call;

/*
 * The store buffer. Fences divide the stores in it into groups; only stores
 * of the oldest group may leave. An empty buffer starts at group 0 again.
 */
chan buffer[4] = [3] of { byte, byte };		/* group, value */
byte waiting[8];
byte oldest, newest;

#define all_visible	(!waiting[oldest])

inline store(at, value)
{
	atomic { buffer[at]!newest,value; waiting[newest]++ }
}

inline fence()
{
	atomic {
		if
		:: waiting[newest] -> newest++
		:: else
		fi
	}
}

inline left_the_buffer()
{
	waiting[oldest]--;
	if
	:: waiting[oldest] || oldest == newest
	:: else -> oldest++
	fi;
	if
	:: all_visible -> oldest = 0; newest = 0
	:: else
	fi
}

active proctype store_buffer()
{
end:
	do
	:: atomic { buffer[0]?eval(oldest),word[0]; left_the_buffer() }
	:: atomic { buffer[1]?eval(oldest),word[1]; left_the_buffer() }
	:: atomic { buffer[2]?eval(oldest),word[2]; left_the_buffer() }
	:: atomic { buffer[3]?eval(oldest),word[3]; left_the_buffer() }
	od
}

/* The load of a request: issued, performed some time later, then used. */
bool issued[QUEUE], performed[QUEUE], taken[QUEUE];
byte got[QUEUE], want[QUEUE];

#define all_loaded	(!taken[0] && !taken[1])

inline load(slot)
{
	d_step { issued[slot] && !performed[slot] ->
		got[slot] = request[slot];	/* ring.c: copy_in((uint8_t *)&desc, walk->table + i * sizeof(desc), sizeof(desc)); */
		performed[slot] = true }
}

inline use(slot)
{
	d_step { performed[slot] && taken[slot] ->
		assert(got[slot] == want[slot]);
		issued[slot] = false; performed[slot] = false; taken[slot] = false }
}

active proctype load_unit()
{
end:
	do
	:: load(0)
	:: load(1)
	:: use(0)
	:: use(1)
	od
}

/* The device's barriers. B2 orders stores, and loads before stores. */
#if defined(NO_B2)
#define B2	skip
#elif defined(STORES_ONLY_B2)
#define B2	fence()
#else
#define B2	all_loaded; fence()
#endif

#ifdef NO_B3
#define B3	skip
#else
#define B3	all_visible && all_loaded
#endif

#ifdef NO_B4
#define B4	skip
#else
#define B4	all_visible && all_loaded
#endif

/* No barriers: how far the event index can look back, and the second look. */
#ifdef NO_LOOK_BACK
#define TOO_MANY	false
#else
#define TOO_MANY	(unchecked >= 4)
#endif

/* Without B1 nothing holds the request's load back: it may be first. */
inline load_early()
{
#ifdef NO_B1
	d_step { !taken[SLOT(popped)] ->
		issued[SLOT(popped)] = true; performed[SLOT(popped)] = false }
#else
	skip
#endif
}

inline load_avail_idx()
{
	load_early();
	idx = avail_idx;	/* ring.c: uint16_t idx = load16(&ring->avail->idx); */
#ifndef FLAGS
	if
	:: idx == INDEX(popped) ->	/* ring.c: if (idx == ring->next_avail && ring->config.event_idx) { */
		store(AVAIL_EVENT, INDEX(popped));	/* ring.c: store16(event, ring->next_avail); */
#ifndef NO_SECOND_LOOK
		B4;		/* ring.c: __atomic_thread_fence(__ATOMIC_SEQ_CST);	/* B4 */
		load_early();
		idx = avail_idx	/* ring.c: idx = load16(&ring->avail->idx); */
#endif
	:: else
	fi
#endif
}

inline take_and_insert()
{
	atomic {
#ifndef NO_B1
		!issued[SLOT(popped)] ->	/* ring.c: __atomic_thread_fence(__ATOMIC_ACQUIRE);	/* B1 */
		issued[SLOT(popped)] = true;	/* ring.c: chain->head = load16(&ring->avail->ring[ring->next_avail & (ring->size - 1)]); */
#endif
		want[SLOT(popped)] = popped + 1;
		taken[SLOT(popped)] = true
	};
	store(RESPONSE + SLOT(popped), popped + 1);	/* ring.c: store32(&elem->id, chain->head); */
	popped++
}

inline publish()
{
	if
	:: popped != published ->
		B2;		/* ring.c: __atomic_thread_fence(__ATOMIC_RELEASE);	/* B2 */
		store(USED_IDX, INDEX(popped));	/* ring.c: store16(&ring->used->idx, ring->next_used); */
		unchecked = unchecked + popped - published;	/* ring.c: ring->unchecked += added; */
		published = popped
	:: else
	fi
}

inline notify_if_wanted()
{
	if
	:: unchecked ->
		B3;		/* ring.c: __atomic_thread_fence(__ATOMIC_SEQ_CST);	/* B3 */
		event = used_event;	/* ring.c: vring_need_event(load16(used_event(ring)), published, published - unchecked); */
		if
#ifdef FLAGS
		:: event -> call = true
#else
		:: TOO_MANY || need_event(event, published, published - unchecked) ->
			call = true	/* ring.c: return unchecked >= UNCHECKED_TOO_MANY || */
#endif
		:: else
		fi;
		unchecked = 0
	:: else
	fi
}

/* The loop in ring.h; it may also publish, and ask, after any chain. */
active proctype device()
{
	byte popped, published, unchecked, idx, event;

	do
	:: load_avail_idx();
		if
		:: idx != INDEX(popped) ->
			take_and_insert();
			if
			:: publish();
				if
				:: notify_if_wanted()
				:: true
				fi
			:: true
			fi
		:: else ->
#ifdef NO_B1
			/* What was loaded early, for nothing, is forgotten. */
			issued[SLOT(popped)] = false;
#endif
			publish();
			notify_if_wanted();
			if
			:: atomic { kick -> kick = false }
			:: done -> break
			fi
		fi
	od
}

active proctype driver()
{
	byte added, seen, old, event;

	do
	:: added < REQUESTS && added - seen < QUEUE ->
		old = added;
		do
		:: added < REQUESTS && added - seen < QUEUE ->
			request[SLOT(added)] = added + 1;
			added++
		:: added != old -> break
		od;
		avail_idx = INDEX(added);
		event = word[AVAIL_EVENT];
		if
#ifndef FLAGS
		:: !need_event(event, added, old)
#endif
		:: else -> kick = true
		fi
	:: word[USED_IDX] != INDEX(seen) ->
#ifdef FLAGS
		used_event = 0;
#endif
		assert(word[RESPONSE + SLOT(seen)] == seen + 1);
		seen++
	:: seen != added ->
#ifdef FLAGS
		used_event = 1;
#else
		used_event = INDEX(seen);
#endif
		if
		:: word[USED_IDX] != INDEX(seen)
		:: else -> atomic { call -> call = false }
		fi
	:: seen == REQUESTS -> break
	od;
	done = true
}

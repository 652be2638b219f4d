// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The sequence protocol of lib/window.h and lib/write.c, for spin: every order
 * in which one reader, one writer, its death and its successor can meet.
 *
 * What spin interleaves is one memory that everybody sees alike. The machine
 * here is weaker, as arm64 is, by two means that are written out:
 *
 * - The writer's stores wait in a buffer. They leave it in any order, except
 *   that two stores to one word keep theirs, and a store after a fence waits
 *   for all those before it.
 * - The reader's loads and its reading of the counter take place in any order,
 *   each as soon as the barriers that still stand in front of it allow. The
 *   second load of the sequence is never older than the first: one word.
 *
 * Once out of the buffer a store is seen by all (x86 and arm64 promise that;
 * POWER would need another model). A branch holds back no load.
 *
 * NO_<barrier> removes that barrier; model_test.sh removes each in turn.
 *
 * The counter only has to say which side of the writer's readings an instant
 * lies on, so it ticks when the writer reads it, and an update's two fields
 * hold what it read: counter_value, and any field that must fit it. Then what
 * is promised is, of every copy that the reader's check lets pass:
 *
 *	one update	b == a
 *	in the window	c == a
 *
 * In the window: c < a is an instant before the update's line began, and
 * c > a one at which the writer has begun the next line. The writer joins
 * lines where it read the counter, so old(c) <= old(join) = new(join) <=
 * new(c') for c in the old window and c' in the new: time does not go
 * backwards across an update.
 *
 * The comments on the right quote the statement that a step stands for;
 * model_test.sh looks whether it is still there.
 *
 * One reader's single attempt is enough: readers change nothing, attempts
 * remember nothing, and it may begin and end anywhere.
 */
#ifndef UPDATES
#define UPDATES	4	/* begun, by all writers together */
#endif
#ifndef DEATHS
#define DEATHS	2
#endif

/* The words of the page that matter. */
#define SEQ	0
#define A	1
#define B	2

byte page[3];
byte counter;			/* how often a writer has read it */

/*
 * The store buffer. Fences divide the stores in it into groups; only stores
 * of the oldest group may leave. An empty buffer starts at group 0 again.
 */
chan buffer[3] = [2] of { byte, byte };		/* group, value */
byte waiting[12];		/* stores in each group; two fences in an update */
byte oldest, newest;

#define all_visible	(!waiting[oldest])

inline store(word, value)
{
	atomic { buffer[word]!newest,value; waiting[newest]++ }
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
	:: atomic { buffer[SEQ]?eval(oldest),page[SEQ]; left_the_buffer() }
	:: atomic { buffer[A]?eval(oldest),page[A]; left_the_buffer() }
	:: atomic { buffer[B]?eval(oldest),page[B]; left_the_buffer() }
	od
}

/*
 * The writer's barriers. W1 orders the odd number before the fields. It is
 * odd_is_visible(), which also waits: without that, a DMB for the DSB, the
 * counter can be read while the odd number is still in the buffer.
 */
#if defined(NO_W1)
#define W1	skip
#elif defined(NO_ODD_IS_VISIBLE)
#define W1	fence()
#else
#define W1	all_visible
#endif

#ifdef NO_W3
#define W3	skip
#else
#define W3	fence()
#endif

/* No barrier: what repairs an odd number. One more makes a torn page even. */
#ifdef NO_ODD_STAYS
#define ODD(seq)	(seq + 1)
#else
#define ODD(seq)	(seq | 1)
#endif

byte deaths;
byte repaired;			/* the counter of an update that repaired */

inline may_die()
{
	if
	:: deaths < DEATHS -> deaths++; goto attach
	:: true
	fi
}

/*
 * A writer, and after its death the next one, which starts when the dead one
 * is known to be gone: the scheduler has seen to it that its stores are out.
 */
active proctype writer()
{
	byte seq, read, updates;
	bool found_odd;

attach:
	atomic {
		all_visible ->
		seq = page[SEQ];	/* write.c: w->seq = le32toh(copy->seq_count); */
		found_odd = seq & 1
	}
	do
	:: updates == UPDATES -> break
	:: else ->
		updates++;
		seq = ODD(seq);		/* write.c: writer->seq |= 1; */
		store(SEQ, seq);	/* write.c: STORE(writer->page->seq_count, htole32(writer->seq)); */
		may_die();
		W1;			/* write.c: odd_is_visible(); */
		atomic { counter++; read = counter };	/* publish.c: counter = guest_counter_read(pub->guest); */
		may_die();
		store(A, read);		/* write.c: STORE(p->counter_value, htole64(f->counter_value)); */
		may_die();
		store(B, read);		/* write.c: STORE(p->time_sec, htole64(f->time_sec)); */
		may_die();
		seq++;			/* write.c: writer->seq++; */
		W3;			/* write.c: __atomic_thread_fence(__ATOMIC_RELEASE); */
		store(SEQ, seq);	/* write.c: STORE(writer->page->seq_count, htole32(writer->seq)); */
		if
		:: found_odd -> repaired = read; found_odd = false
		:: else
		fi;
		may_die()
	od
}

/*
 * The reader's barriers: what must have taken place before the load, or the
 * reading, that stands behind them. DEPENDENT is counter_dependent(), and
 * counter_barrier() where the page is read by system calls. Nothing orders the
 * fields and the counter against each other, and nothing has to.
 */
#ifdef NO_R1
#define R1		true
#else
#define R1		has_s0	/* window.h: __atomic_thread_fence(__ATOMIC_ACQUIRE); */
#endif

#ifdef NO_COUNTER_ORDERED
#define ORDERED		true
#else
#define ORDERED		has_s0
#endif

#ifdef NO_R3
#define R3		true
#else
#define R3		(has_a && has_b)	/* window.h: __atomic_thread_fence(__ATOMIC_ACQUIRE); */
#endif

#ifdef NO_COUNTER_DEPENDENT
#define DEPENDENT	true
#else
#define DEPENDENT	has_c
#endif

active proctype reader()
{
	byte s0, s1, a, b, c;
	bool has_s0, has_s1, has_a, has_b, has_c;

	do
	:: atomic { !has_s0 ->
		s0 = page[SEQ]; has_s0 = true }	/* window.h: seq = load_seq(page); */
	:: atomic { !has_a && R1 ->
		a = page[A]; has_a = true }	/* window.h: w->words[i] = LOAD(words[i]); */
	:: atomic { !has_b && R1 ->
		b = page[B]; has_b = true }	/* decode.h: LOAD(page->time_sec) */
	:: atomic { !has_c && ORDERED ->
		c = counter; has_c = true }	/* window.h: c = counter_read_ordered(); */
	:: atomic { has_s0 && !has_s1 && R3 && DEPENDENT ->
		s1 = page[SEQ]; has_s1 = true }	/* window.h: load_seq(counter_dependent(page, c)) != seq */
	:: has_s1 && has_a && has_b && has_c -> break
	od;

	if
	:: s0 & 1		/* window.h: seq & 1 */
	:: !(s0 & 1) && s1 != s0	/* window.h: continue; */
	:: else ->
#if defined(SHOW_REPAIRED)
		assert(!repaired || a != repaired)	/* fails: such copies pass */
#elif defined(CHECK_WINDOW)
		assert(c == a)
#else
		assert(b == a)
#endif
	fi
}

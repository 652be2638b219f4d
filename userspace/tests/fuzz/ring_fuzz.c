// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * host/ring.c in memory that the input controls: the input is a program, of
 * what the guest puts where and of what the device does then. Beside what the
 * sanitizers see, everything that changes in guest memory must have been
 * announced as dirty, and a dead ring must change nothing.
 */
#include <errno.h>

#include "fuzz.h"
#include "ring.h"
#include "ring_fuzz.h"

unsigned long ring_fuzz_seen[SEEN_MAX];

#define CHAINS		4
#define MEM_BYTES	256

/* Guest memory: the ring's parts are memory too, for buffers as for anything. */
enum { DESC, AVAIL, USED, MEM, AREAS };

struct area {
	uint8_t *bytes;
	uint8_t *before;	/* as the guest and announced writes have left it */
	size_t len;
};

#define AREA_ADDR(i)	(0x1000ULL * ((i) + 1))

struct fuzz {
	const uint8_t *data;
	size_t left;
	unsigned int size;
	struct area areas[AREAS];
	struct ring ring;
	struct ring_config config;
	struct ring_chain chains[CHAINS];
	unsigned int held;		/* chains that the ring has given out */
	unsigned int meanwhile;		/* bytes to change while the ring works */
};

static uint8_t next8(struct fuzz *f)
{
	if (!f->left)
		return 0;
	f->left--;
	return *f->data++;
}

static uint16_t next16(struct fuzz *f)
{
	uint16_t low = next8(f);

	return low | next8(f) << 8;
}

/* The guest writes. */
static void poke(struct fuzz *f, unsigned int area, size_t at, uint64_t value, size_t len)
{
	struct area *a = &f->areas[area % AREAS];

	for (; len; len--, at++, value >>= 8)
		a->bytes[at % a->len] = a->before[at % a->len] = value;
}

static void poke_meanwhile(struct fuzz *f)
{
	uint8_t area;

	if (!f->meanwhile)
		return;
	f->meanwhile--;
	ring_fuzz_seen[SEEN_CHANGED_MEANWHILE]++;
	area = next8(f);
	poke(f, area, next8(f), next16(f), 2);
}

static void *translate(void *opaque, uint64_t addr, size_t len, bool write)
{
	struct fuzz *f = opaque;
	struct area *a;

	(void)write;
	fuzz_check(len && addr + len > addr);
	poke_meanwhile(f);
	for (unsigned int i = 0; i < AREAS; i++) {
		a = &f->areas[i];
		if (addr >= AREA_ADDR(i) && len <= a->len && addr - AREA_ADDR(i) <= a->len - len)
			return a->bytes + (addr - AREA_ADDR(i));
	}
	return NULL;
}

static void settle(struct area *a, size_t at, size_t len)
{
	fuzz_check(len && len <= a->len && at <= a->len - len);
	memcpy(a->before + at, a->bytes + at, len);
}

static void buffer_dirty(void *opaque, uint64_t addr, size_t len)
{
	struct fuzz *f = opaque;
	unsigned int i = addr / 0x1000 - 1;

	fuzz_check(f->ring.state == RING_RUNNING && i < AREAS);
	settle(&f->areas[i], addr - AREA_ADDR(i), len);
}

static void used_dirty(void *opaque, size_t offset, size_t len)
{
	struct fuzz *f = opaque;

	fuzz_check(f->ring.state == RING_RUNNING);
	settle(&f->areas[USED], offset, len);
	poke_meanwhile(f);
}

static const struct ring_ops ops = {
	.translate = translate,
	.used_dirty = used_dirty,
	.buffer_dirty = buffer_dirty,
};

static void start(struct fuzz *f, uint16_t base)
{
	bool was_started = f->ring.life;
	int ret;

	f->config.base = base;
	f->held = 0;
	ret = ring_start(&f->ring, &f->config);
	if (!ret) {
		ring_fuzz_seen[SEEN_RESTART] += was_started;
		return;
	}
	fuzz_check(ret == -EPROTO && f->ring.state == RING_STOPPED);
	ring_fuzz_seen[SEEN_START_REFUSED]++;
}

static void put_desc(struct fuzz *f)
{
	static const uint32_t lengths[] = { 0, 1, 8, 15, 16, 17, 32, 48, 256, 0xffffffff };
	unsigned int area = next8(f) % AREAS, i = next8(f);
	uint8_t where = next8(f), what = next8(f);
	uint64_t addr = AREA_ADDR(where % AREAS) + where / AREAS * 4;
	uint32_t len = lengths[next8(f) % (sizeof(lengths) / sizeof(*lengths))];

	if (where == 0xff)
		addr = -(uint64_t)len;
	/* In the ring's table as a rule: elsewhere they serve as indirect ones. */
	area = area == MEM ? MEM : DESC;
	poke(f, area, 16 * i, addr, 8);
	poke(f, area, 16 * i + 8, len, 4);
	poke(f, area, 16 * i + 12, what & 7, 2);
	poke(f, area, 16 * i + 14, what >> 3, 2);
}

static void offer(struct fuzz *f)
{
	uint8_t *idx = f->areas[AVAIL].bytes + 2;
	uint16_t now = idx[0] | idx[1] << 8;
	uint8_t head = next8(f);

	/* Rarely one that breaks the queue: what comes after is of interest. */
	if (head < 0xf8)
		head %= f->size;
	poke(f, AVAIL, 4 + 2 * (now % f->size), head, 2);
	poke(f, AVAIL, 2, now + 1, 2);
}

static void seen_fault(const struct fuzz *f, int ret)
{
	if (ret == -EFAULT) {
		ring_fuzz_seen[SEEN_EFAULT]++;
	} else if (ret == -ELOOP) {
		ring_fuzz_seen[SEEN_ELOOP]++;
	} else if (ret == -EBADMSG) {
		ring_fuzz_seen[SEEN_EBADMSG]++;
	} else {
		fuzz_check(ret == -EPROTO && f->ring.state == RING_BROKEN);
		ring_fuzz_seen[SEEN_BROKEN]++;
	}
}

static void segments_add_up(const struct ring_part *part)
{
	uint64_t sum = 0;

	fuzz_check(part->first <= part->count && part->count <= RING_SEGMENTS);
	for (unsigned int i = part->first; i < part->count; i++) {
		fuzz_check(part->segments[i].len);
		sum += part->segments[i].len;
	}
	fuzz_check(sum == part->len);
}

static void seen_chain(struct fuzz *f, const struct ring_chain *chain)
{
	fuzz_check(f->ring.state == RING_RUNNING);
	fuzz_check(chain->head < f->size && !chain->written);
	fuzz_check(chain->readable.count + chain->writable.count <= f->size);
	segments_add_up(&chain->readable);
	segments_add_up(&chain->writable);
	fuzz_check(++f->held <= f->size);
	ring_fuzz_seen[SEEN_CHAIN]++;
	if (f->areas[DESC].bytes[16 * chain->head + 12] & VRING_DESC_F_INDIRECT)
		ring_fuzz_seen[SEEN_INDIRECT]++;
}

static void pop(struct fuzz *f)
{
	struct ring_chain *chain = &f->chains[next8(f) % CHAINS];
	uint16_t used = f->ring.next_used, avail = f->ring.next_avail;
	int ret = ring_pop(&f->ring, chain);

	if (ret > 0)
		seen_chain(f, chain);
	else if (ret < 0)
		seen_fault(f, ret);
	else
		ring_fuzz_seen[SEEN_NO_CHAIN]++;
	/* Taken unless there was none or the ring broke; given back here if and only if faulty. */
	fuzz_check((uint16_t)(f->ring.next_avail - avail) == (ret && ret != -EPROTO));
	fuzz_check((uint16_t)(f->ring.next_used - used) == (ret < 0 && ret != -EPROTO));
}

static bool is_alive(const struct fuzz *f, const struct ring_chain *chain)
{
	if (f->ring.state == RING_RUNNING && chain->life == f->ring.life)
		return true;
	ring_fuzz_seen[SEEN_DEAD_CHAIN]++;
	return false;
}

static void transfer(struct fuzz *f, bool write)
{
	struct ring_chain *chain = &f->chains[next8(f) % CHAINS];
	struct ring_part *part = write ? &chain->writable : &chain->readable;
	size_t len = next8(f), before = part->len, done;
	bool alive = is_alive(f, chain);
	uint8_t buf[256];

	/* As a rule not all of it at once. */
	if (len < 0xc0)
		len %= 8;
	memset(buf, 0xa5, sizeof(buf));
	done = write ? ring_write(&f->ring, chain, buf, len) :
		       ring_read(&f->ring, chain, buf, len);
	fuzz_check(done == (alive ? (len < before ? len : before) : 0));
	fuzz_check(part->len == before - done);
	if (alive)
		segments_add_up(part);
	if (done)
		ring_fuzz_seen[write ? SEEN_WRITE : SEEN_READ]++;
}

static void insert(struct fuzz *f)
{
	struct ring_chain *chain = &f->chains[next8(f) % CHAINS];
	bool alive = is_alive(f, chain);
	uint16_t used = f->ring.next_used;

	ring_insert(&f->ring, chain);
	fuzz_check((uint16_t)(f->ring.next_used - used) == alive);
	fuzz_check(!chain->life || !alive);
	f->held -= alive;
}

static void publish(struct fuzz *f)
{
	const uint8_t *idx = f->areas[USED].bytes + 2;
	bool is_news = f->ring.next_used != f->ring.published;
	unsigned int meanwhile = f->meanwhile;

	f->meanwhile = 0;
	ring_publish(&f->ring);
	f->meanwhile = meanwhile;
	if (f->ring.state != RING_RUNNING || !is_news)
		return;
	fuzz_check((idx[0] | idx[1] << 8) == f->ring.next_used);
	ring_fuzz_seen[SEEN_PUBLISHED]++;
}

static void notify(struct fuzz *f)
{
	bool had_news = f->ring.unchecked && f->ring.state == RING_RUNNING;
	bool told = ring_should_notify(&f->ring);

	fuzz_check(had_news || !told);
	fuzz_check(!ring_should_notify(&f->ring));
	if (told)
		ring_fuzz_seen[SEEN_NOTIFIED]++;
	else if (had_news)
		ring_fuzz_seen[SEEN_SUPPRESSED]++;
}

static void restart(struct fuzz *f)
{
	uint16_t base = ring_stop(&f->ring);
	uint8_t how = next8(f);

	if (how & 1)
		start(f, how & 2 ? next16(f) : base);
}

static void step(struct fuzz *f)
{
	uint8_t op = next8(f), area;

	switch (op % 16) {
	case 0:
	case 1:
		return put_desc(f);
	case 2:
	case 3:
		return offer(f);
	case 4:
	case 5:
		return pop(f);
	case 6:
		return transfer(f, false);
	case 7:
		return transfer(f, true);
	case 8:
	case 9:
		return insert(f);
	case 10:
		return publish(f);
	case 11:
		return notify(f);
	case 12:
		return restart(f);
	case 13:
		f->meanwhile = 1 + next8(f) % 3;
		return;
	default:
		area = next8(f);
		poke(f, area, next8(f), next16(f), 2);
	}
}

static void all_was_announced(const struct fuzz *f)
{
	for (unsigned int i = 0; i < AREAS; i++)
		fuzz_check(!memcmp(f->areas[i].bytes, f->areas[i].before, f->areas[i].len));
}

static uint8_t *zeros(size_t len)
{
	void *memory;

	if (posix_memalign(&memory, 16, len))
		abort();
	return memset(memory, 0, len);
}

static void set_up(struct fuzz *f)
{
	uint8_t how = next8(f);
	size_t lengths[AREAS];

	f->size = 1 << how % 5;
	lengths[DESC] = ring_desc_size(f->size);
	lengths[AVAIL] = ring_avail_size(f->size);
	lengths[USED] = ring_used_size(f->size);
	lengths[MEM] = MEM_BYTES;
	for (unsigned int i = 0; i < AREAS; i++)
		f->areas[i] = (struct area){ zeros(lengths[i]), zeros(lengths[i]), lengths[i] };
	f->config = (struct ring_config){
		.desc = { f->areas[DESC].bytes, lengths[DESC] },
		.avail = { f->areas[AVAIL].bytes, lengths[AVAIL] },
		.used = { f->areas[USED].bytes, lengths[USED] },
		.event_idx = how & 0x40,
		.indirect = how & 0x20,
		.ops = &ops,
		.opaque = f,
	};
	if (how & 0x80) {
		f->config.base = next16(f);
		poke(f, USED, 2, f->config.base, 2);
		poke(f, AVAIL, 2, f->config.base, 2);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz f = { .data = data, .left = size };

	set_up(&f);
	start(&f, f.config.base);
	all_was_announced(&f);
	while (f.left) {
		step(&f);
		all_was_announced(&f);
	}
	for (unsigned int i = 0; i < AREAS; i++) {
		free(f.areas[i].bytes);
		free(f.areas[i].before);
	}
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The vhost-user device, from the bytes of its messages on: the input is a
 * program, of what the front-end sends and of what its guest writes. Memory and
 * logs are few files of this program's, so that a message can mean something.
 *
 * Beside what the sanitizers see: a device whose rings are all stopped changes
 * no byte of the guest's, and without a log none of the log's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "vhost.h"
#include "vhost_fuzz.h"

unsigned long vhost_fuzz_seen[SEEN_MAX];

#define MEM_BYTES	0x4000U
#define LOG_BYTES	0x40U
#define GPA		0x1000ULL
#define USER		0x10000ULL

/* Made once: what a front-end would share. */
static struct {
	int mem, log, event, null, other;
	uint8_t *mem_bytes, *log_bytes;
} shared;

struct fuzz {
	const uint8_t *data;
	size_t left;
	struct vhost vhost;
	struct vhost_stream stream;
	bool is_lost;
	bool is_page_lent;
};

static uint8_t next8(struct fuzz *f)
{
	if (!f->left)
		return 0;
	f->left--;
	return *f->data++;
}

static uint32_t next16(struct fuzz *f)
{
	uint16_t low = next8(f);

	return low | next8(f) << 8;
}

static int fuzz_read(void *context, enum rtc_clock clock, struct rtc_reading *reading)
{
	(void)context;
	*reading = (struct rtc_reading){ .ns = 1000 + clock };
	return 0;
}

static bool fuzz_lend(void *context, int fd, uint64_t offset, const struct dirty *dirty)
{
	struct fuzz *f = context;

	(void)offset;
	fuzz_check(!f->is_page_lent && fd >= 0 && dirty->slot);
	f->is_page_lent = true;
	vhost_fuzz_seen[SEEN_PAGE]++;
	return true;
}

static void fuzz_take(void *context)
{
	struct fuzz *f = context;

	fuzz_check(f->is_page_lent);
	f->is_page_lent = false;
}

static bool runs(const struct fuzz *f)
{
	bool any = false;

	for (unsigned int i = 0; i < VHOST_QUEUES; i++)
		any |= f->vhost.queues[i].ring.state != RING_STOPPED;
	fuzz_check(any == f->vhost.memory.is_leased);
	fuzz_check(any || !f->is_page_lent);
	return any;
}

/* Bytes of the guest's memory as they were, and of the log. */
struct before {
	bool could_write, could_mark;
	uint8_t mem[MEM_BYTES];
	uint8_t log[LOG_BYTES];
};

static void remember(const struct fuzz *f, struct before *b)
{
	b->could_write = runs(f);
	b->could_mark = f->vhost.memory.log.log && f->vhost.memory.log.is_enabled;
	memcpy(b->mem, shared.mem_bytes, MEM_BYTES);
	memcpy(b->log, shared.log_bytes, LOG_BYTES);
}

static void compare(const struct fuzz *f, const struct before *b)
{
	bool can_write = runs(f), can_mark = f->vhost.memory.log.log &&
					     f->vhost.memory.log.is_enabled;

	if (!can_write && !b->could_write)
		fuzz_check(!memcmp(b->mem, shared.mem_bytes, MEM_BYTES));
	if (!can_mark && !b->could_mark)
		fuzz_check(!memcmp(b->log, shared.log_bytes, LOG_BYTES));
	else if (memcmp(b->log, shared.log_bytes, LOG_BYTES))
		vhost_fuzz_seen[SEEN_MARKED]++;
	if (b->could_write && !can_write)
		vhost_fuzz_seen[SEEN_STOPPED]++;
	if (!b->could_write && can_write)
		vhost_fuzz_seen[SEEN_RUNNING]++;
}

/* These files are written for a reason that is not the guest's. */
static void give_other_file(struct vhost_message *m)
{
	if (m->request != VHOST_SET_DEVICE_STATE_FD && m->request != VHOST_SET_INFLIGHT_FD &&
	    m->request != VHOST_SET_VRING_CALL && m->request != VHOST_SET_VRING_ERR)
		return;
	for (unsigned int i = 0; i < m->fd_count && i < VHOST_FDS_MAX; i++)
		dup2(m->request < VHOST_SET_INFLIGHT_FD ? shared.event : shared.other,
		     m->fds[i]);
}

/* The whole message is there. */
static void handle(struct fuzz *f)
{
	static struct before before;
	struct vhost_message *m = &f->stream.message;
	struct vhost_reply reply;
	bool answers;

	give_other_file(m);
	remember(f, &before);

	fuzz_check(m->is_long ? !m->size : m->size <= VHOST_PAYLOAD_MAX);
	if (m->is_long)
		vhost_fuzz_seen[SEEN_TOO_LONG]++;
	answers = vhost_handle(&f->vhost, m, &reply);
	compare(f, &before);
	fuzz_check(reply.size <= sizeof(reply.payload) && (answers || !reply.size));
	if (!answers)
		vhost_fuzz_seen[SEEN_NO_REPLY]++;
	else
		vhost_fuzz_seen[reply.u64 == 1 ? SEEN_REFUSED : SEEN_DONE]++;
	if (m->request == VHOST_SET_DEVICE_STATE_FD && reply.u64 == 0x100)
		vhost_fuzz_seen[SEEN_SAVED]++;
	if (reply.fd >= 0)
		close(reply.fd);
	vhost_stream_next(&f->stream);
}

/* As a front-end that has lost its place: everything after that is ignored. */
static void push(struct fuzz *f, const uint8_t *bytes, size_t len, size_t piece)
{
	size_t wants, n;

	while (len && !f->is_lost) {
		wants = vhost_stream_wants(&f->stream);
		n = piece < wants ? piece : wants;
		n = n < len ? n : len;
		f->is_lost = vhost_stream_push(&f->stream, bytes, n);
		bytes += n;
		len -= n;
		vhost_fuzz_seen[SEEN_PIECES] += n < wants;
		vhost_fuzz_seen[SEEN_NO_HEADER] += f->is_lost;
		if (!f->is_lost && !vhost_stream_wants(&f->stream))
			handle(f);
	}
}

static void give_fds(struct fuzz *f, unsigned int count)
{
	const int choice[] = { shared.mem, shared.log, shared.event, shared.null };
	struct vhost_message *m = &f->stream.message;

	for (; count && m->fd_count < VHOST_FDS_MAX; count--)
		m->fds[m->fd_count++] = dup(choice[next8(f) % 4]);
}

/* Requests by how much they do; the first is 2, and so on. */
static const uint8_t requests[] = {
	2, 5, 6, 8, 9, 10, 11, 12, 13, 14, 16, 18, 31, 32, 34, 37, 38, 39, 42, 43, 1, 15, 17,
};

/* A number of the kind that messages have. */
static uint64_t number(struct fuzz *f)
{
	uint8_t how = next8(f);

	switch (how >> 5) {
	case 0:
		return how & 31;
	case 1:
		return GPA + ((uint64_t)next8(f) << 4);
	case 2:
		return USER + ((uint64_t)next8(f) << 4);
	case 3:
		return (uint64_t)next16(f) << (how & 31);
	case 4:
		return VHOST_FEATURES & ~((uint64_t)(how & 1) << 26);
	case 5:
		return MEM_BYTES;
	case 6:
		return how & 1 ? VHOST_PAGE_GPA : VHOST_PAGE_SIZE;
	default:
		return UINT64_MAX - (how & 31);
	}
}

static void send_request(struct fuzz *f)
{
	uint8_t bytes[VHOST_HEADER_SIZE + 64] = { 0 }, how = next8(f), which = next8(f);
	uint32_t header[3] = { requests[which % sizeof(requests)], 1 | (how & 8), how >> 4 };
	uint64_t value;

	header[2] *= 4;
	if (how & 4)
		header[0] = which;
	memcpy(bytes, header, sizeof(header));
	for (unsigned int i = 0; i + 8 <= header[2]; i += 8) {
		value = number(f);
		memcpy(bytes + sizeof(header) + i, &value, 8);
	}
	give_fds(f, how & 3 ? (how & 3) - 1 : 0);
	push(f, bytes, sizeof(header) + header[2], sizeof(bytes));
}

static void send_raw(struct fuzz *f)
{
	size_t len = next8(f) % 64, piece = 1 + next8(f) % 16;

	if (len > f->left)
		len = f->left;
	push(f, f->data, len, piece);
	f->data += len;
	f->left -= len;
}

static void send_words(struct fuzz *f, uint32_t request, const void *words, uint32_t len, int fd)
{
	const uint32_t header[3] = { request, 1, len };
	uint8_t bytes[VHOST_HEADER_SIZE + 64];

	memcpy(bytes, header, sizeof(header));
	memcpy(bytes + sizeof(header), words, len);
	if (fd >= 0 && !f->stream.message.fd_count)
		f->stream.message.fds[f->stream.message.fd_count++] = dup(fd);
	push(f, bytes, sizeof(header) + len, sizeof(bytes));
}

/* A queue of eight at some place, all that makes it run. */
static void set_up_queue(struct fuzz *f)
{
	uint8_t how = next8(f);
	uint32_t i = how & 1;
	uint64_t at = USER + (how & 6) * 0x200U;
	const uint32_t num[2] = { i, 8 }, base[2] = { i, 0 }, on[2] = { i, 1 };
	const uint64_t addr[5] = {
		i | (uint64_t)(how >> 7) << 32, at, at + 0x100, at + 0x80, GPA,
	};
	const uint64_t kick = i;

	send_words(f, VHOST_SET_VRING_NUM, num, 8, -1);
	send_words(f, VHOST_SET_VRING_BASE, base, 8, -1);
	send_words(f, VHOST_SET_VRING_ADDR, addr, 40, -1);
	send_words(f, VHOST_SET_VRING_KICK, &kick, 8, shared.event);
	send_words(f, VHOST_SET_VRING_ENABLE, on, 8, -1);
}

static void set_up(struct fuzz *f)
{
	uint8_t how = next8(f);
	const uint64_t memory[5] = { 0, GPA, MEM_BYTES, USER, 0 };
	const uint64_t page[5] = { 0, VHOST_PAGE_GPA, VHOST_PAGE_SIZE, 0, 0 };
	const uint64_t log[2] = { LOG_BYTES, 0 };
	uint64_t features = VHOST_FEATURES;

	if (!(how & 2))
		features &= ~VHOST_F_LOG_ALL;
	if (!(how & 4))
		features &= ~VHOST_F_EVENT_IDX;
	features &= ~(how & 8 ? VHOST_F_PROTOCOL : 0);
	send_words(f, VHOST_SET_PROTOCOL_FEATURES, &(uint64_t){ VHOST_PROTOCOL_FEATURES }, 8, -1);
	send_words(f, VHOST_ADD_MEM_REG, memory, 40, shared.mem);
	if (how & 1)
		send_words(f, VHOST_ADD_MEM_REG, page, 40, shared.mem);
	if (how & 2)
		send_words(f, VHOST_SET_LOG_BASE, log, 16, shared.log);
	send_words(f, VHOST_SET_FEATURES, &features, 8, -1);
}

/* The guest makes a request available: SET_ALARM now, or any other. */
static void guest_asks(struct fuzz *f)
{
	uint8_t how = next8(f);
	uint8_t *ring = shared.mem_bytes + (how & 6) * 0x200U;
	const uint64_t descs[4] = {
		GPA + 0x1000, 24 | 1ULL << 32 | 1ULL << 48, GPA + 0x1100, 32 | 2ULL << 32,
	};
	const uint8_t types[][2] = { { 1, 0 }, { 4, 0x10 }, { 0, 0x10 }, { 3, 0x10 } };
	uint16_t idx;

	memcpy(ring, descs, sizeof(descs));
	memset(shared.mem_bytes + 0x1000, 0, 32);
	memcpy(shared.mem_bytes + 0x1000, types[how >> 4 & 3], 2);
	shared.mem_bytes[0x1000 + 18] = how >> 6 & 1;
	memcpy(&idx, ring + 0x82, 2);
	/* In the alarm queue, only the writable one. */
	ring[0x84 + 2 * (idx % 8)] = how & 1;
	ring[0x85 + 2 * (idx % 8)] = 0;
	idx++;
	memcpy(ring + 0x82, &idx, 2);
}

static void work(struct fuzz *f)
{
	static struct before before;
	uint16_t used[VHOST_QUEUES];

	for (unsigned int i = 0; i < VHOST_QUEUES; i++)
		used[i] = f->vhost.queues[i].ring.published;
	remember(f, &before);
	vhost_work(&f->vhost);
	compare(f, &before);
	for (unsigned int i = 0; i < VHOST_QUEUES; i++) {
		if (f->vhost.queues[i].ring.state == RING_BROKEN)
			vhost_fuzz_seen[SEEN_BROKEN]++;
		else if (f->vhost.queues[i].ring.published != used[i])
			vhost_fuzz_seen[i ? SEEN_NOTIFIED : SEEN_ANSWERED]++;
	}
}

static void send_too_long(struct fuzz *f)
{
	static uint8_t bytes[VHOST_HEADER_SIZE + VHOST_PAYLOAD_MAX + 255];
	const uint32_t header[3] = { 2, 9, VHOST_PAYLOAD_MAX + next8(f) };

	memcpy(bytes, header, sizeof(header));
	push(f, bytes, sizeof(header) + header[2], 1000);
}

static void move_state(struct fuzz *f)
{
	uint8_t how = next8(f);
	const uint32_t words[2] = { how & 1, 0 }, first[2] = { 0, 0 }, second[2] = { 1, 0 };

	if (how & 2) {
		send_words(f, VHOST_GET_VRING_BASE, first, 8, -1);
		send_words(f, VHOST_GET_VRING_BASE, second, 8, -1);
	}
	send_words(f, VHOST_SET_DEVICE_STATE_FD, words, 8, shared.other);
	lseek(shared.other, 0, SEEK_SET);
	send_words(f, VHOST_CHECK_DEVICE_STATE, "", 0, -1);
}

static void poke(struct fuzz *f)
{
	size_t at = next16(f) % MEM_BYTES;

	shared.mem_bytes[at] = next8(f);
}

static void step(struct fuzz *f)
{
	switch (next8(f) % 14) {
	case 0:
		return set_up(f);
	case 1:
	case 2:
		return set_up_queue(f);
	case 3:
	case 4:
	case 5:
		return guest_asks(f);
	case 6:
	case 7:
		return work(f);
	case 8:
		return poke(f);
	case 9:
		return send_raw(f);
	case 10:
		return send_too_long(f);
	case 11:
		return move_state(f);
	default:
		return send_request(f);
	}
}

static uint8_t *share(int fd, size_t bytes)
{
	void *memory = MAP_FAILED;

	if (fd >= 0 && !ftruncate(fd, bytes))
		memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		abort();
	return memory;
}

static void share_once(void)
{
	if (shared.mem_bytes)
		return;
	signal(SIGPIPE, SIG_IGN);
	shared.mem = memfd_create("mem", MFD_CLOEXEC);
	shared.log = memfd_create("log", MFD_CLOEXEC);
	shared.other = memfd_create("other", MFD_CLOEXEC);
	shared.event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	shared.null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (ftruncate(shared.other, 4096))
		abort();
	shared.mem_bytes = share(shared.mem, MEM_BYTES);
	shared.log_bytes = share(shared.log, LOG_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct rtc_clocks clocks = { .read = fuzz_read, .counter_id = 0xff };
	static struct fuzz f;
	const struct vhost_page_user user = { fuzz_lend, fuzz_take, &f };

	share_once();
	memset(shared.mem_bytes, 0, MEM_BYTES);
	memset(shared.log_bytes, 0, LOG_BYTES);
	lseek(shared.other, 0, SEEK_SET);
	f.data = data;
	f.left = size;
	f.is_lost = false;
	fuzz_check(!vhost_init(&f.vhost, &clocks, &user));
	while (f.left)
		step(&f);
	vhost_end(&f.vhost);
	vhost_stream_next(&f.stream);
	fuzz_check(!f.is_page_lent && !f.vhost.memory.log.regions);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only
//! A machine without processors: rust-vmm's front-end, guest memory, and what the
//! guest's driver does with one queue of 8 entries.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use vhost::vhost_user::message::VhostUserHeaderFlag;
use vhost::vhost_user::{Frontend, VhostUserFrontend, VhostUserProtocolFeatures as Protocol};
use vhost::{VhostBackend, VhostUserDirtyLogRegion, VhostUserMemoryRegionInfo, VringConfigData};
use vm_memory::{
    Bytes, FileOffset, GuestAddress, GuestMemory, GuestMemoryMmap, GuestMemoryRegion,
};
use vmm_sys_util::eventfd::{EventFd, EFD_NONBLOCK};

pub const GPA: u64 = 0x10_0000;
pub const SIZE: u64 = 0x1_0000;
pub const DESC: u64 = GPA;
pub const AVAIL: u64 = GPA + 0x1000;
pub const USED: u64 = GPA + 0x2000;
pub const REQUEST: u64 = GPA + 0x3000;
pub const RESPONSE: u64 = GPA + 0x4000;
pub const ENTRIES: u16 = 8;

pub const F_VERSION_1: u64 = 1 << 32;
pub const F_PROTOCOL: u64 = 1 << 30;
pub const F_LOG_ALL: u64 = 1 << 26;
pub const LOG_BYTES: u64 = (GPA + SIZE) / 4096 / 8 + 1;

pub const PATIENCE: Duration = Duration::from_secs(60);

pub type Outcome<T = ()> = Result<T, String>;

/// An error of any kind, and what was attempted.
pub fn told<T, E: std::fmt::Debug>(what: &str, result: Result<T, E>) -> Outcome<T> {
    result.map_err(|error| format!("{what}: {error:?}"))
}

pub fn check(holds: bool, what: &str) -> Outcome {
    if holds {
        return Ok(());
    }
    Err(what.to_string())
}

/// A file in memory, of that size.
pub fn memfd(bytes: u64) -> Outcome<File> {
    // SAFETY: the name is a C string, and the descriptor belongs to nobody else.
    let file = unsafe { File::from_raw_fd(libc::memfd_create(c"front".as_ptr(), libc::MFD_CLOEXEC)) };
    told("memfd", file.set_len(bytes))?;
    Ok(file)
}

/// Memory that is shared with the back-end, from a guest's address on.
pub fn shared(start: u64, bytes: u64) -> Outcome<GuestMemoryMmap> {
    let file = FileOffset::new(memfd(bytes)?, 0);
    let range = [(GuestAddress(start), bytes as usize, Some(file))];
    told("mapping", GuestMemoryMmap::from_ranges_with_files(range))
}

/// A dirty log.
pub struct Log(GuestMemoryMmap);

impl Log {
    pub fn new() -> Outcome<Self> {
        Ok(Log(shared(0, LOG_BYTES)?))
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; LOG_BYTES as usize];
        self.0.read_slice(&mut bytes, GuestAddress(0)).unwrap();
        bytes
    }

    /// As a front-end that copies the pages next.
    pub fn take(&self) -> Vec<u8> {
        let bytes = self.bytes();
        self.0.write_slice(&[0; LOG_BYTES as usize], GuestAddress(0)).unwrap();
        bytes
    }

    pub fn is_empty(&self) -> bool {
        self.bytes().iter().all(|byte| *byte == 0)
    }

    fn fd(&self) -> i32 {
        let region = self.0.iter().next().unwrap();
        region.file_offset().unwrap().file().as_raw_fd()
    }
}

/// Is the page with that address marked?
pub fn has(log: &[u8], address: u64) -> bool {
    let page = address / 4096;
    log[page as usize / 8] >> (page % 8) & 1 == 1
}

pub struct Machine {
    pub front: Frontend,
    /// The other door to the front-end's socket.
    socket: UnixStream,
    pub memory: GuestMemoryMmap,
    kick: EventFd,
    call: EventFd,
    pub error: EventFd,
    pub avail: u16,
}

impl Machine {
    /// As far as a front-end gets before the guest runs.
    pub fn new(path: &str) -> Outcome<Self> {
        let socket = told("connecting", UnixStream::connect(path))?;
        told("socket", socket.set_read_timeout(Some(PATIENCE)))?;
        let event = || told("eventfd", EventFd::new(EFD_NONBLOCK));
        let mut m = Machine {
            front: Frontend::from_stream(told("socket", socket.try_clone())?, 2),
            socket,
            memory: shared(GPA, SIZE)?,
            kick: event()?,
            call: event()?,
            error: event()?,
            avail: 0,
        };
        told("owner", m.front.set_owner())?;
        let offered = told("features", m.front.get_features())?;
        check(offered & (F_VERSION_1 | F_PROTOCOL | F_LOG_ALL) == F_VERSION_1 | F_PROTOCOL | F_LOG_ALL,
              "features are missing")?;
        let protocol = told("protocol", m.front.get_protocol_features())?;
        check(protocol.contains(Protocol::MQ | Protocol::REPLY_ACK | Protocol::LOG_SHMFD
                                | Protocol::CONFIGURE_MEM_SLOTS), "protocol features are missing")?;
        told("protocol", m.front.set_protocol_features(protocol))?;
        m.front.set_hdr_flags(VhostUserHeaderFlag::NEED_REPLY);
        check(told("queues", m.front.get_queue_num())? == 2, "not two queues")?;
        check(told("slots", m.front.get_max_mem_slots())? >= 32, "too few slots")?;
        m.set_features(0)?;
        let region = m.memory.iter().next().unwrap();
        let info = told("region", VhostUserMemoryRegionInfo::from_guest_region(region))?;
        told("memory", m.front.add_mem_region(&info))?;
        Ok(m)
    }

    pub fn set_features(&self, more: u64) -> Outcome {
        told("features", self.front.set_features(F_VERSION_1 | F_PROTOCOL | more))
    }

    fn user(&self, gpa: u64) -> u64 {
        self.memory.get_host_address(GuestAddress(gpa)).unwrap() as u64
    }

    pub fn addresses(&self, logged: bool) -> VringConfigData {
        VringConfigData {
            queue_max_size: ENTRIES,
            queue_size: ENTRIES,
            flags: logged.into(),
            desc_table_addr: self.user(DESC),
            used_ring_addr: self.user(USED),
            avail_ring_addr: self.user(AVAIL),
            log_addr: Some(USED),
        }
    }

    /// The queue from its beginning, whatever it was.
    pub fn start(&mut self) -> Outcome {
        self.put(DESC, &[0; 0x3000]);
        self.avail = 0;
        told("num", self.front.set_vring_num(0, ENTRIES))?;
        told("base", self.front.set_vring_base(0, 0))?;
        told("addresses", self.front.set_vring_addr(0, &self.addresses(false)))?;
        told("call", self.front.set_vring_call(0, &self.call))?;
        told("error", self.front.set_vring_err(0, &self.error))?;
        told("kick", self.front.set_vring_kick(0, &self.kick))?;
        told("enable", self.front.set_vring_enable(0, true))
    }

    pub fn stop(&self) -> Outcome<u32> {
        told("stop", self.front.get_vring_base(0))
    }

    /// Another log. This version of the crate does not read the answer, which is the
    /// message's payload: so that is done here.
    pub fn set_log(&self, log: &Log) -> Outcome {
        let region = VhostUserDirtyLogRegion {
            mmap_size: LOG_BYTES,
            mmap_offset: 0,
            mmap_handle: log.fd(),
        };
        self.front.set_hdr_flags(VhostUserHeaderFlag::empty());
        told("log", self.front.set_log_base(0, Some(region)))?;
        self.front.set_hdr_flags(VhostUserHeaderFlag::NEED_REPLY);
        let mut answer = [0u32; 7];
        for word in answer.iter_mut() {
            let mut bytes = [0; 4];
            told("the log's answer", (&self.socket).read_exact(&mut bytes))?;
            *word = u32::from_ne_bytes(bytes);
        }
        check(answer == [6, 5, 16, LOG_BYTES as u32, 0, 0, 0], "not the answer to a log")
    }

    pub fn put(&self, at: u64, bytes: &[u8]) {
        self.memory.write_slice(bytes, GuestAddress(at)).unwrap();
    }

    pub fn get<const N: usize>(&self, at: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.memory.read_slice(&mut bytes, GuestAddress(at)).unwrap();
        bytes
    }

    pub fn descriptor(&self, index: u64, address: u64, len: u32, flags: u16, next: u16) {
        let at = DESC + 16 * index;
        self.put(at, &address.to_le_bytes());
        self.put(at + 8, &len.to_le_bytes());
        self.put(at + 12, &flags.to_le_bytes());
        self.put(at + 14, &next.to_le_bytes());
    }

    /// Make a chain available, and say so.
    pub fn offer(&mut self, head: u16) -> Outcome {
        self.put(AVAIL + 4 + 2 * u64::from(self.avail % ENTRIES), &head.to_le_bytes());
        self.avail = self.avail.wrapping_add(1);
        self.put(AVAIL + 2, &self.avail.to_le_bytes());
        told("kick", self.kick.write(1))
    }

    pub fn used(&self) -> u16 {
        u16::from_le_bytes(self.get(USED + 2))
    }

    pub fn wait_used(&self) -> Outcome {
        self.wait("the request is not answered", |m| m.used() == m.avail)
    }

    pub fn wait(&self, what: &str, mut until: impl FnMut(&Machine) -> bool) -> Outcome {
        let end = Instant::now() + PATIENCE;
        while !until(self) {
            check(Instant::now() < end, what)?;
            std::thread::sleep(Duration::from_micros(100));
        }
        Ok(())
    }

    /// A request is made available: a message's type, for a clock.
    pub fn ask(&mut self, message: u16, clock: u16) -> Outcome {
        let mut request = [0; 16];
        request[..2].copy_from_slice(&message.to_le_bytes());
        request[8..10].copy_from_slice(&clock.to_le_bytes());
        self.put(REQUEST, &request);
        self.descriptor(0, REQUEST, 16, 1, 1);
        self.descriptor(1, RESPONSE, 24, 2, 0);
        self.offer(0)
    }

    /// The answer to READ: ns.
    pub fn read_clock(&mut self, clock: u16) -> Outcome<u64> {
        self.ask(1, clock)?;
        self.wait_used()?;
        check(self.get::<1>(RESPONSE) == [0], "READ fails")?;
        Ok(u64::from_le_bytes(self.get(RESPONSE + 8)))
    }
}

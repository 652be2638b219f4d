// SPDX-License-Identifier: GPL-2.0-only
//! vmclock-hostd behind rust-vmm's vhost-user front-end: what its clocks say, logs
//! that are swapped as Cloud Hypervisor does it, and guests that mean harm.
//! TAP on stdout.
//!
//!     vhost-front HOSTD DIRECTORY

mod machine;

use std::path::Path;
use std::process::{Child, Command, ExitCode};
use std::time::{SystemTime, UNIX_EPOCH};

use machine::*;
use vhost::vhost_user::VhostUserFrontend;
use vhost::VhostBackend;

const SWAPS: usize = 300;
const ROUNDS: usize = 300;
const NS: u64 = 1_000_000_000;
const CFG: u16 = 0x1000;

fn three_clocks_answer(path: &str) -> Outcome {
    let mut m = Machine::new(path)?;
    m.start()?;
    m.ask(CFG, 0)?;
    m.wait_used()?;
    check(m.get::<2>(RESPONSE + 8) == [3, 0], "not three clocks")?;
    let mut last = 0;
    for _ in 0..1000 {
        let (utc, tai, monotonic) = (m.read_clock(0)?, m.read_clock(1)?, m.read_clock(2)?);
        let here = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
        check(utc.abs_diff(here) < 10 * NS, "UTC is not the time")?;
        check((37 * NS..47 * NS).contains(&(tai - utc)), "TAI is not UTC + 37 s")?;
        check(monotonic >= last, "monotonic time goes back")?;
        last = monotonic;
    }
    check(m.stop()? == u32::from(m.avail), "not stopped where it was")
}

/// What is in a log when its successor is answered for is all that ever comes.
fn logs_are_swapped_under_way(path: &str) -> Outcome {
    let mut m = Machine::new(path)?;
    let mut old = Log::new()?;
    m.start()?;
    m.set_log(&old)?;
    m.set_features(F_LOG_ALL)?;
    told("addresses", m.front.set_vring_addr(0, &m.addresses(true)))?;
    for _ in 0..SWAPS {
        let new = Log::new()?;
        m.ask(1, 0)?;
        m.set_log(&new)?;
        let harvest = old.take();
        m.wait_used()?;
        for page in [RESPONSE, USED] {
            check(has(&harvest, page) || has(&new.bytes(), page), "a page is in neither log")?;
        }
        m.read_clock(0)?;
        let bytes = new.bytes();
        check(has(&bytes, RESPONSE) && has(&bytes, USED), "the new log is not used")?;
        check(bytes.iter().map(|byte| byte.count_ones()).sum::<u32>() == 2,
              "pages are marked that were not written")?;
        check(old.is_empty(), "the old log was written after the answer")?;
        old = new;
    }
    m.set_features(0)?;
    old.take();
    m.read_clock(0)?;
    check(old.is_empty(), "the log was written when logging was off")
}

/// What the driver does wrong, with a queue that is just started.
type Harm = fn(&mut Machine) -> Outcome;

const HARM: [(&str, Harm); 5] = [
    ("an index that jumps", |m| {
        m.avail = 1000;
        m.offer(0)
    }),
    ("a head beyond the table", |m| m.offer(ENTRIES)),
    ("a chain that is a circle", |m| {
        m.descriptor(0, REQUEST, 16, 1, 1);
        m.descriptor(1, RESPONSE, 24, 3, 0);
        m.offer(0)
    }),
    ("a next beyond the table", |m| {
        m.descriptor(0, REQUEST, 16, 1, 0xffff);
        m.offer(0)
    }),
    ("an indirect table that was not negotiated", |m| {
        m.descriptor(0, REQUEST, 16, 4, 0);
        m.offer(0)
    }),
];

fn lives(m: &mut Machine) -> Outcome {
    m.stop()?;
    m.start()?;
    m.read_clock(0).map(|_| ())
}

fn a_broken_ring_is_told_and_starts_again(path: &str) -> Outcome {
    let mut m = Machine::new(path)?;
    for (name, harm) in HARM {
        m.start()?;
        harm(&mut m)?;
        m.wait(name, |m| m.error.read().is_ok() || m.used() == m.avail)?;
        lives(&mut m)?;
        m.stop()?;
    }
    Ok(())
}

/// Buffers that are nowhere, or partly: nothing is written beyond the memory's end.
fn buffers_outside_of_memory_do_no_harm(path: &str) -> Outcome {
    let mut m = Machine::new(path)?;
    for address in [0, GPA - 8, GPA + SIZE - 8, GPA + SIZE, u64::MAX - 8] {
        m.start()?;
        m.put(GPA + SIZE - 16, &[0xcc; 16]);
        m.descriptor(0, REQUEST, 16, 1, 1);
        m.descriptor(1, address, 24, 2, 0);
        m.offer(0)?;
        m.wait("no end", |m| m.error.read().is_ok() || m.used() == m.avail)?;
        check(m.get::<8>(GPA + SIZE - 16) == [0xcc; 8], "written before the buffer")?;
        lives(&mut m)?;
        m.stop()?;
    }
    Ok(())
}

fn a_ring_of_random_bytes_does_no_harm(path: &str) -> Outcome {
    let mut m = Machine::new(path)?;
    let mut state = 1u64;
    let (mut broken, mut answered) = (0, 0);
    for _ in 0..ROUNDS {
        m.start()?;
        for at in (DESC..DESC + 128).chain(AVAIL + 4..AVAIL + 20) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // Addresses that lie in memory now and then, and few descriptors.
            let byte = match (at < AVAIL, at % 16) {
                (true, 2) => 0x10 | (state >> 40) as u8 & 1,
                (true, 3..=7 | 9..=11 | 15) => 0,
                (true, 14) | (false, _) => (state >> 40) as u8 & 7,
                _ => (state >> 40) as u8,
            };
            m.put(at, &[byte]);
        }
        m.avail = (state % 10) as u16;
        m.offer(0)?;
        m.wait("neither broken nor answered", |m| {
            let is_broken = m.error.read().is_ok();
            broken += u32::from(is_broken);
            answered += u32::from(!is_broken && m.used() != 0);
            is_broken || m.used() != 0
        })?;
        lives(&mut m)?;
        m.stop()?;
    }
    println!("# {broken} rings were broken, {answered} answered");
    check(broken > 0 && answered > 0, "these bytes do not do what they should")
}

/// It is the back-end that says no, and not the crate.
fn refused<T>(result: vhost::Result<T>, what: &str) -> Outcome {
    use vhost::vhost_user::Error::BackendInternalError;
    check(matches!(result, Err(vhost::Error::VhostUserProtocol(BackendInternalError))), what)
}

fn what_is_impossible_is_refused(path: &str) -> Outcome {
    let mut m = Machine::new(path)?;
    let mut addresses = m.addresses(false);
    refused(m.front.set_vring_num(0, 3), "three entries")?;
    refused(m.front.set_vring_num(0, 0), "no entries")?;
    told("num", m.front.set_vring_num(0, ENTRIES))?;
    addresses.desc_table_addr += 1;
    refused(m.front.set_vring_addr(0, &addresses), "a table that is not aligned")?;
    refused(m.front.set_features(1 << 34), "a feature that was not offered")?;
    let region = vhost::VhostUserMemoryRegionInfo {
        guest_phys_addr: u64::MAX - 4095,
        memory_size: 8192,
        ..Default::default()
    };
    refused(m.front.add_mem_region(&region), "memory beyond all addresses")?;
    m.set_features(0)?;
    m.start()?;
    m.read_clock(0).map(|_| ())
}

type Test = (&'static str, fn(&str) -> Outcome);

const TESTS: [Test; 6] = [
    ("three_clocks_answer", three_clocks_answer),
    ("logs_are_swapped_under_way", logs_are_swapped_under_way),
    ("a_broken_ring_is_told_and_starts_again", a_broken_ring_is_told_and_starts_again),
    ("buffers_outside_of_memory_do_no_harm", buffers_outside_of_memory_do_no_harm),
    ("a_ring_of_random_bytes_does_no_harm", a_ring_of_random_bytes_does_no_harm),
    ("what_is_impossible_is_refused", what_is_impossible_is_refused),
];

fn start(hostd: &str, path: &str) -> Outcome<Child> {
    let socket = format!("--vhost-socket={path}");
    let mut child = told("hostd", Command::new(hostd)
        .args([&socket, "--tai-offset=-37", "--assume-synchronized=1ms"]).spawn())?;
    let end = std::time::Instant::now() + PATIENCE;
    while !Path::new(path).exists() {
        check(told("hostd", child.try_wait())?.is_none(), "hostd has ended")?;
        check(std::time::Instant::now() < end, "hostd makes no socket")?;
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    Ok(child)
}

/// A finding of a sanitizer is another exit status.
fn stop(mut child: Child) -> Outcome {
    // SAFETY: it was not waited for, so the number is its.
    unsafe { libc::kill(child.id() as i32, libc::SIGTERM) };
    let status = told("hostd", child.wait())?;
    check(status.success(), &format!("hostd ended with {status}"))
}

fn report(number: usize, name: &str, outcome: Outcome) -> bool {
    match &outcome {
        Ok(()) => println!("ok {number} {name}"),
        Err(why) => println!("not ok {number} {name}\n# {why}"),
    }
    outcome.is_ok()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let path = format!("{}/clock.{}", arguments[2], std::process::id());
    println!("TAP version 13\n1..{}", TESTS.len() + 1);
    let child = match start(&arguments[1], &path) {
        Ok(child) => child,
        Err(why) => {
            println!("Bail out! {why}");
            return ExitCode::FAILURE;
        }
    };
    let mut good = true;
    for (index, (name, test)) in TESTS.iter().enumerate() {
        good &= report(index + 1, name, test(&path));
    }
    good &= report(TESTS.len() + 1, "the_same_process_was_there_all_the_time", stop(child));
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

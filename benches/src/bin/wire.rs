//! Frames from one interface to another and back: what the ports cost, with no engine between them.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark: it reads the clock, prints, and may stop"
)]

use std::{
    os::fd::AsFd,
    time::{Duration, Instant},
};

use ports::live::{Interface, Offload, OpenOptions, PacketSocket, Receiver, Sender, Waiter, Waker};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["forward", lan, wan, seconds] => forward(lan, wan, seconds.parse().expect("seconds")),
        ["flood", out, seconds] => flood(out, seconds.parse().expect("seconds")),
        _ => panic!("wire forward LAN WAN SECONDS | wire flood OUT SECONDS"),
    }
}

fn open(name: &str) -> PacketSocket {
    let interface = Interface::find(name).unwrap_or_else(|error| panic!("{error}"));
    PacketSocket::open(&OpenOptions::new(&interface)).unwrap_or_else(|error| panic!("{error}"))
}

fn pump(from: &mut Receiver, to: &mut Sender) -> usize {
    let burst = from.receive();
    for frame in burst.iter() {
        // What is dropped is counted.
        drop(to.send(frame.bytes, frame.offload));
    }
    to.flush();
    burst.len()
}

fn forward(lan: &str, wan: &str, seconds: u64) {
    let (mut lan, mut wan) = (open(lan), open(wan));
    let waker = Waker::new().expect("a waker");
    let mut waiter = Waiter::new(&waker, &[lan.rx.as_fd(), wan.rx.as_fd()]);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds) {
        if pump(&mut lan.rx, &mut wan.tx) + pump(&mut wan.rx, &mut lan.tx) == 0 {
            waiter.wait(Some(Duration::from_millis(100))).expect("a wait");
        }
    }
    for port in [&mut lan, &mut wan] {
        println!("{:?}\n{:?}", port.rx.counters(), port.tx.counters());
    }
}

fn flood(out: &str, seconds: u64) {
    let mut out = open(out).tx;
    let mut frame = [0_u8; 60];
    frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, 99, 2, 0, 0, 0, 0, 98]);
    frame[12..14].copy_from_slice(&[0x88, 0xb5]);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds) {
        for _ in 0..32 {
            drop(out.send(&frame, Offload::COMPLETE));
        }
        out.flush();
    }
    println!("{:?}", out.counters());
}

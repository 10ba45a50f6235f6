//! The application of a session: every payload, both directions, any ports; it always comes to an end.
#![no_main]

use inspect::{AppDetector, Ports, Recognition};
use libfuzzer_sys::fuzz_target;
use packet::IpProtocol;

fuzz_target!(|data: &[u8]| {
    let Some((&[protocol, c0, c1, s0, s1], mut rest)) = data.split_first_chunk() else {
        return;
    };
    let protocol = [IpProtocol::TCP, IpProtocol::UDP, IpProtocol(protocol)][usize::from(protocol) % 3];
    let ports = Ports {
        client: u16::from_be_bytes([c0, c1]),
        server: u16::from_be_bytes([s0, s1]),
    };
    let mut detector = AppDetector::new(protocol);
    let mut payloads = 0;
    while let Some((&size, behind)) = rest.split_first() {
        let (payload, behind) = behind.split_at(usize::from(size >> 1).min(behind.len()));
        rest = behind;
        payloads += usize::from(!payload.is_empty());
        if detector.feed(ports, size & 1 == 0, payload) != Recognition::NeedMore {
            return;
        }
    }
    assert!(payloads < 8, "{payloads} payloads, and still undecided");
});

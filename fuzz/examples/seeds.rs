//! Writes the first corpus of every target: `seeds FOLDER`. Made by code, so that nothing others captured lies here.

use std::{fs, io, path::Path};

use packet::{
    LinkType, TcpFlags,
    build::{
        Ends, Segment, ethernet_icmp_error, ethernet_tcp, ethernet_tcp_with_options, ethernet_udp, with_link,
    },
};

const QUERY: &[u8] =
    b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\x01\x0aGolfSource\x02us\0\0\x01\0\x01\0\0\x29\x10\0\0\0\0\0\0\0";
const REPLY: &[u8] = b"\x12\x34\x81\x80\0\x01\0\x02\0\0\0\0\x03www\x01a\0\0\x01\0\x01\
\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x0f\x0agolfsource\x02us\0\xc0\x15\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x01";
const GET: &[u8] = b"GET /index.html HTTP/1.1\r\nHost: golfsource.us:80\r\nUser-Agent: x\r\n\r\n";

fn main() -> io::Result<()> {
    let folder = std::env::args_os().nth(1).expect("usage: seeds FOLDER");
    let folder = Path::new(&folder);
    let hello = client_hello(b"golfsource.us");
    let framed = [&(QUERY.len() as u16).to_be_bytes(), QUERY].concat();
    for (number, frame) in frames(&hello).iter().enumerate() {
        for (choice, link) in (0_u8..).zip([
            LinkType::Ethernet,
            LinkType::RawIp,
            LinkType::Sll,
            LinkType::Sll2,
            LinkType::Null,
            LinkType::Ppp,
        ]) {
            let seed = [&[choice, 0], &*with_link(frame, link)].concat();
            write(folder, "packet", number * 6 + usize::from(choice), &seed)?;
        }
        write(folder, "capture", number, &pcap(frame))?;
        write(folder, "capture", 100 + number, &pcapng(frame))?;
    }
    write(folder, "reassembly", 0, &[0, 1, 0x20, 0, 16, 0, 8, 1, 0, 2, 8, 0])?;
    write(
        folder,
        "stream",
        0,
        &[0xff, 0xff, 0xff, 0, 0, 200, 99, 0, 0, 250, 1, 0, 9],
    )?;
    write(
        folder,
        "tcp_endpoint",
        0,
        &[
            15, 7, 0x20, 9, 0, 0, 0, 0x80, 0, 200, 0, 80, 0x00, 255, 255, 0, 4, 0x80, 0, 210, 4, 80,
        ],
    )?;
    for (number, message) in [QUERY, REPLY, &framed].into_iter().enumerate() {
        write(folder, "dns", number, &[&[7], message].concat())?;
    }
    for (number, payload) in [QUERY, REPLY, GET, &hello, b"SSH-2.0-x\r\n", &framed]
        .into_iter()
        .enumerate()
    {
        write(folder, "server_name", number, &[&[5], payload].concat())?;
        write(folder, "tls", number, &[&[5], payload].concat())?;
        write(folder, "tls", 100 + number, &[&[5, 254], payload].concat())?;
        for protocol in 0..2 {
            let size = (payload.len().min(127) as u8) << 1;
            let seed = [&[protocol, 200, 1, 1, 187, size], payload].concat();
            write(folder, "application", number * 2 + usize::from(protocol), &seed)?;
        }
    }
    let post = [
        &b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/dns-message\r\nContent-Length: 39\r\n\r\n"
            [..],
        QUERY,
    ]
    .concat();
    // A query in HTTP/2: the preface, settings, a header block of the static table, data.
    let frames = [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x1c\x01\x04\0\0\0\x01\x83\x87\x0f\x10\x17"[..],
        b"application/dns-message\0\0\x27\0\x01\0\0\0\x01",
        QUERY,
    ]
    .concat();
    for (number, said) in (0_u8..).zip([GET, &post, &frames]) {
        for choice in [number % 2 * 0x80, 0x80 | 1, 2] {
            let seed: Vec<u8> = said
                .chunks(100)
                .flat_map(|part| [&[part.len() as u8], part].concat())
                .collect();
            let at = usize::from(number) * 256 + usize::from(choice);
            write(folder, "http_inspector", at, &[&[choice], &*seed].concat())?;
        }
    }
    write(
        folder,
        "domain_list",
        0,
        b"# names\n*.golfsource.us\n^a.b\nxn--bcher-kva.example\nb\xc3\xbccher.example\n0.0.0.0 c.d\n",
    )?;
    write(
        folder,
        "filter",
        0,
        b"(addr.src in 10.0.0.0/8) and not (action eq 'allow') or (receive_time geq last-hour)",
    )?;
    write(folder, "configuration", 0, include_bytes!("../src/engine.toml"))?;
    for (number, text) in ["10.0.0.0/8", "::1-::9 client=::2", "192.0.2.1 name=a.b"]
        .iter()
        .enumerate()
    {
        write(folder, "subject", number, text.as_bytes())?;
    }
    for (number, terms) in (0..8).enumerate() {
        let (start, rest) = hello.split_at(hello.len().min(100));
        let alert = [21, 3, 3, 0, 2, 2, 40];
        let steps = [
            &[terms, 8, start.len() as u8],
            start,
            &[8, rest.len() as u8],
            rest,
            &[9, 7],
            &alert,
        ];
        write(folder, "tls_relay", number, &steps.concat())?;
    }
    write(folder, "engine", 0, &story(&framed))
}

fn write(folder: &Path, target: &str, number: usize, seed: &[u8]) -> io::Result<()> {
    let folder = folder.join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(format!("seed-{number}")), seed)
}

fn frames(hello: &[u8]) -> Vec<Vec<u8>> {
    let ends = Ends::new(([10, 0, 0, 1], 4000).into(), ([198, 51, 100, 1], 53).into());
    let six = Ends::new(
        "[fd00::1]:4000".parse().unwrap(),
        "[2001:db8::1]:443".parse().unwrap(),
    );
    let segment = |flags, payload| Segment {
        seq: 1,
        ack: 1,
        flags,
        window: 64,
        payload,
    };
    let syn = ethernet_tcp_with_options(&ends, &segment(TcpFlags::SYN, b""), &[2, 4, 5, 180, 3, 3, 7]);
    let data = ethernet_tcp(&six, &segment(TcpFlags::ACK, hello));
    let query = ethernet_udp(&ends, QUERY);
    let error = ethernet_icmp_error(&ends.reversed(), 3, 3, &query[14..]);
    let mut frames = vec![syn, data, error];
    frames.extend(packet::build::fragment(&query, 44));
    frames.push(query);
    frames
}

/// Handshake, query over TCP, query over UDP, an error, a fragment, and the next packet of the download.
fn story(framed: &[u8]) -> Vec<u8> {
    let mut story = Vec::new();
    let mut step = |choice, wait, a, b, payload: &[u8]| {
        story.extend([choice, wait, a, b, payload.len() as u8]);
        story.extend_from_slice(payload);
    };
    for port in [0x40, 0x44] {
        step(port, 0x81, 0x02, 0x00, b"");
        step(port | 2, 0x31, 0x12, 0x40, b"");
        step(port, 0x31, 0x10, 0x04, b"");
    }
    step(0x44, 0x41, 0x18, 0x04, GET);
    step(0x40, 0x41, 0x18, 0x04, framed);
    step(0x20, 0x41, 0x00, 0x00, QUERY);
    step(0x22, 0x41, 0x00, 0x00, REPLY);
    step(0x10, 0x41, 0x00, 0x01, b"");
    step(0x00, 0x41, 0x00, 44, QUERY);
    step(0x46, 0x91, 0x18, 0x44, b"HTTP/1.1 200 OK\r\n");
    story
}

/// A `ClientHello` of TLS 1.2 with one extension, the server's name.
fn client_hello(name: &[u8]) -> Vec<u8> {
    let length = |bytes: usize| (bytes as u16).to_be_bytes();
    let entry = [&[0], &length(name.len())[..], name].concat();
    let list = [&length(entry.len())[..], &entry].concat();
    let extension = [&[0, 0], &length(list.len())[..], &list].concat();
    let body = [
        &[3, 3],
        &[7; 32][..],
        &[0, 0, 2, 0x13, 1, 1, 0],
        &length(extension.len()),
        &extension,
    ]
    .concat();
    let message = [&[1, 0], &length(body.len())[..], &body].concat();
    [&[22, 3, 1], &length(message.len())[..], &message].concat()
}

fn pcap(frame: &[u8]) -> Vec<u8> {
    let length = (frame.len() as u32).to_le_bytes();
    let mut file = b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\x04\0\x01\0\0\0".to_vec();
    file.extend([&[1, 0, 0, 0, 2, 0, 0, 0], &length[..], &length, frame].concat());
    file
}

fn pcapng(frame: &[u8]) -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let padded = body.len().next_multiple_of(4);
        let mut block = [kind.to_le_bytes(), (padded as u32 + 12).to_le_bytes()].concat();
        block.extend_from_slice(body);
        block.resize(padded + 8, 0);
        block.extend((padded as u32 + 12).to_le_bytes());
        block
    };
    let length = (frame.len() as u32).to_le_bytes();
    let section = b"\x4d\x3c\x2b\x1a\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff";
    let packet = [&[0; 12], &length[..], &length, frame].concat();
    [
        block(0x0a0d_0d0a, section),
        block(1, &[1, 0, 0, 0, 0, 0, 0, 0]),
        block(6, &packet),
    ]
    .concat()
}

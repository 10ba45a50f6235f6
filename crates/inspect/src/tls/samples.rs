//! TLS connections of tests, byte by byte.

use super::records::{ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE};

/// `bytes` behind their length in `N` bytes.
pub(crate) fn sized(length: usize, bytes: &[u8]) -> Vec<u8> {
    let size = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [&size[4 - length..], bytes].concat()
}

/// An extension.
pub(crate) fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &sized(2, body)].concat()
}

/// The extension that names the server.
pub(crate) fn server_name(name: &[u8]) -> Vec<u8> {
    extension(0, &sized(2, &[&[0][..], &sized(2, name)].concat()))
}

/// A `ClientHello` message with these extensions, its header included.
pub(crate) fn hello_message(extensions: &[u8]) -> Vec<u8> {
    let body = [
        &[3, 3][..],
        &[7; 32],
        &sized(1, &[9; 32]),
        &sized(2, &[0x13, 1, 0xc0, 0x2f]),
        &sized(1, &[0]),
        &sized(2, extensions),
    ]
    .concat();
    message(1, &body)
}

/// A handshake message.
pub(crate) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &sized(3, body)].concat()
}

/// Handshake bytes in records of at most `record` bytes.
pub(crate) fn in_records(handshake: &[u8], record: usize) -> Vec<u8> {
    handshake
        .chunks(record)
        .flat_map(|part| [&[HANDSHAKE, 3, 1][..], &sized(2, part)].concat())
        .collect()
}

/// A `ClientHello` that names `name`, in records of at most `record` bytes.
pub(crate) fn hello_flight(name: Option<&[u8]>, record: usize) -> Vec<u8> {
    let mut extensions = extension(0x17, &[]);
    extensions.extend(name.map(server_name).unwrap_or_default());
    in_records(&hello_message(&extensions), record)
}

/// A record.
pub(crate) fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3][..], &sized(2, body)].concat()
}

/// A record of data that is `length` bytes long.
pub(crate) fn data(length: usize) -> Vec<u8> {
    record(APPLICATION_DATA, &vec![0xee; length])
}

/// An alert in the clear.
pub(crate) fn alert(level: u8, description: u8) -> Vec<u8> {
    record(ALERT, &[level, description])
}

/// A change of cipher and an encrypted `Finished` of TLS 1.2.
pub(crate) fn finish_1_2() -> Vec<u8> {
    [record(CHANGE_CIPHER_SPEC, &[1]), record(HANDSHAKE, &[0xaa; 40])].concat()
}

/// A `ServerHello` of TLS 1.2 with ECDHE, its group, an optional wish for the client's certificate, and the end.
pub(crate) fn server_flight_1_2(certificate: Option<&[u8]>, ask_client: bool) -> Vec<u8> {
    let hello = [
        &[3, 3][..],
        &[8; 32],
        &sized(1, &[]),
        &[0xc0, 0x2f, 0],
        &sized(2, &extension(16, &sized(2, &sized(1, b"h2")))),
    ]
    .concat();
    let mut flight = message(2, &hello);
    if let Some(der) = certificate {
        flight.extend(message(11, &sized(3, &sized(3, der))));
    }
    flight.extend(message(12, &[3, 0, 0x1d, 1, 2, 3]));
    if ask_client {
        flight.extend(message(13, &[1, 1, 0, 0]));
    }
    flight.extend(message(14, &[]));
    in_records(&flight, 16000)
}

/// A `ServerHello` of TLS 1.3 with a hybrid group, and an encrypted flight.
pub(crate) fn server_flight_1_3() -> Vec<u8> {
    let extensions = [
        extension(43, &[3, 4]),
        extension(51, &[&[0x11, 0xec][..], &sized(2, &[5; 8])].concat()),
    ]
    .concat();
    let hello = [
        &[3, 3][..],
        &[8; 32],
        &sized(1, &[]),
        &[0x13, 1, 0],
        &sized(2, &extensions),
    ]
    .concat();
    [
        in_records(&message(2, &hello), 16000),
        record(CHANGE_CIPHER_SPEC, &[1]),
        data(32),
        data(800),
        data(96),
        data(53),
    ]
    .concat()
}

/// A client's change of cipher and encrypted `Finished` of TLS 1.3.
pub(crate) fn finish_1_3() -> Vec<u8> {
    [record(CHANGE_CIPHER_SPEC, &[1]), data(53)].concat()
}

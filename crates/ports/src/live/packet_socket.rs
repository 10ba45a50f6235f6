//! One inline port: its way in and its way out.

use super::{OpenOptions, PortError, Receiver, Sender};

/// An inline port. Its halves are apart, so that a frame can be answered out of the port it came from
/// while its burst is still borrowed. A tap is a [`Receiver`] alone.
#[derive(Debug)]
pub struct PacketSocket {
    /// The way in.
    pub rx: Receiver,
    /// The way out.
    pub tx: Sender,
}

impl PacketSocket {
    /// Opens both halves. The interface must be up.
    pub fn open(options: &OpenOptions<'_>) -> Result<Self, PortError> {
        if !options.interface.up {
            return Err(PortError::Down {
                interface: options.interface.name.clone(),
            });
        }
        let tx = Sender::open(options)?;
        let rx = Receiver::open(options)?;
        Ok(Self { rx, tx })
    }
}

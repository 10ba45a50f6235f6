//! One inline firewall an interface: two would forward every frame twice.

use std::{
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram},
    },
};

use super::PortError;

/// The interface of this name belongs to this process, in the network namespace of the thread that claimed it.
///
/// It is a name among the namespace's abstract sockets: it goes with the process, however that ends, and stays
/// when the interface vanishes and comes back.
#[derive(Debug)]
pub struct Claim {
    _held: UnixDatagram,
}

impl Claim {
    /// Claims it. The interface need not be there.
    ///
    /// # Errors
    ///
    /// [`PortError::InUse`] where another process has claimed it.
    pub fn new(interface: &str) -> Result<Self, PortError> {
        let bind = || {
            let name = SocketAddr::from_abstract_name(format!("cordon/interface/{interface}"))?;
            UnixDatagram::bind_addr(&name)
        };
        let held = bind().map_err(|error: io::Error| {
            if error.kind() == io::ErrorKind::AddrInUse {
                PortError::InUse {
                    interface: interface.to_owned(),
                }
            } else {
                PortError::from_system(interface, "claim it", error)
            }
        })?;
        Ok(Self { _held: held })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_one_owners_until_he_goes() {
        let name = format!("t{}", std::process::id());
        let first = Claim::new(&name).unwrap();
        assert!(matches!(Claim::new(&name), Err(PortError::InUse { interface }) if interface == name));
        drop(first);
        assert!(Claim::new(&name).is_ok());
    }
}

//! Virtual wires and zones.

use policy::{AntiSpoof, VlanSet, WireIo};

use crate::reader::{TableReader, Text};

/// `virtual-wire.NAME`
#[derive(Clone, Debug)]
pub(crate) struct WireEntry {
    pub(crate) name: Text,
    pub(crate) interfaces: [Option<Text>; 2],
    pub(crate) tag_allowed: Option<VlanSet>,
    pub(crate) ethertypes: Option<Vec<Text>>,
    pub(crate) protect_link_local: bool,
    pub(crate) link_state_pass_through: bool,
    pub(crate) io: WireIo,
}

impl WireEntry {
    pub(super) fn read(name: Text, mut reader: TableReader<'_>) -> Self {
        let entry = Self {
            name,
            interfaces: [
                reader.required_text("interface1"),
                reader.required_text("interface2"),
            ],
            tag_allowed: reader.parsed("tag-allowed").map(|vlans| vlans.value),
            ethertypes: reader.texts("ethertypes").map(|types| types.value),
            protect_link_local: reader.switch("protect-link-local", false),
            link_state_pass_through: reader.switch("link-state-pass-through", false),
            io: reader
                .choice(
                    "io",
                    &[WireIo::Auto, WireIo::Xdp, WireIo::Packet].map(|io| (io.name(), io)),
                )
                .map(|given| given.value)
                .unwrap_or_default(),
        };
        reader.finish();
        entry
    }
}

/// `interface.NAME`: what is no end of a wire.
#[derive(Clone, Debug)]
pub(crate) struct TapEntry {
    pub(crate) name: Text,
}

impl TapEntry {
    pub(super) fn read(name: Text, mut reader: TableReader<'_>) -> Self {
        if !reader.has("mode") {
            reader.missing("`mode`");
        }
        reader.choice("mode", &[("tap", ())]);
        reader.refuse(
            "io",
            "is for virtual wires: a tap sees copies, through packet sockets, and takes nothing from the kernel",
        );
        reader.finish();
        Self { name }
    }
}

/// `zone.NAME`
#[derive(Clone, Debug)]
pub(crate) struct ZoneEntry {
    pub(crate) name: Text,
    pub(crate) interfaces: Vec<Text>,
    /// Whether `interfaces` was given, readable or not.
    pub(crate) has_interfaces: bool,
    pub(crate) networks: Vec<Text>,
    pub(crate) anti_spoof: AntiSpoof,
    pub(crate) resolvers: Vec<Text>,
}

impl ZoneEntry {
    pub(super) fn read(name: Text, mut reader: TableReader<'_>) -> Self {
        let has_interfaces = reader.has("interfaces");
        let interfaces = reader.texts("interfaces");
        let entry = Self {
            name,
            has_interfaces: has_interfaces && interfaces.as_ref().is_none_or(|list| !list.value.is_empty()),
            interfaces: interfaces.map_or_else(Vec::new, |list| list.value),
            networks: reader.texts("networks").map_or_else(Vec::new, |list| list.value),
            anti_spoof: reader
                .choice(
                    "anti-spoof",
                    &[("no-tag", AntiSpoof::NoTag), ("drop", AntiSpoof::Drop)],
                )
                .map(|given| given.value)
                .unwrap_or_default(),
            resolvers: reader.texts("resolvers").map_or_else(Vec::new, |list| list.value),
        };
        reader.finish();
        entry
    }
}

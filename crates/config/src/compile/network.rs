//! Interfaces, virtual wires and zones.

use std::collections::{BTreeMap, HashMap};

use packet::VlanTags;
use policy::{AddressRef, Ethertypes, InterfaceId, VlanSet, WireIo, WireMode, WireSpec, ZoneDraft};
use toml_span::Span;

use super::{Compiler, by};
use crate::{
    document::{TapEntry, WireEntry, ZoneEntry},
    finding::Quoted,
    reader::Text,
};

/// The interfaces of all wires.
#[derive(Default)]
struct Interfaces<'a> {
    by_name: BTreeMap<&'a str, Interface<'a>>,
}

struct Interface<'a> {
    id: InterfaceId,
    name: &'a Text,
    tag_allowed: VlanSet,
    in_zone: bool,
}

/// An interface, or one VLAN of it, and the zone that has it.
type Owners<'a> = HashMap<(InterfaceId, Option<u16>), (&'a Text, Span)>;

impl<'a> Compiler<'a> {
    pub(super) fn network(&mut self) {
        let mut interfaces = Interfaces::default();
        if self.document.wires.is_empty() && self.document.taps.is_empty() {
            self.findings.warning(
                Span::new(0, 0),
                "there is no virtual wire, so no packet can cross; add [virtual-wire.NAME] with interface1 and \
                 interface2",
            );
        }
        for entry in &self.document.wires {
            self.wire(entry, &mut interfaces);
        }
        for entry in &self.document.taps {
            self.tap(entry, &mut interfaces);
        }
        let mut owners = Owners::new();
        for entry in &self.document.zones {
            self.zone(entry, &mut interfaces, &mut owners);
        }
        let mut without: Vec<&Text> = interfaces
            .by_name
            .values()
            .filter(|interface| !interface.in_zone)
            .map(|interface| interface.name)
            .collect();
        without.sort_by_key(|name| name.span.start);
        for name in without {
            let message = format!(
                "interface {} is in no zone: its packets are dropped",
                Quoted(&name.value)
            );
            self.findings.warning(name.span, message);
        }
    }

    fn wire(&mut self, entry: &'a WireEntry, interfaces: &mut Interfaces<'a>) {
        let name = self.symbol(&entry.name);
        let tag_allowed = entry.tag_allowed.clone().unwrap_or_else(VlanSet::all);
        let ends = [0, 1].map(|end| {
            let given = entry.interfaces.get(end)?.as_ref()?;
            self.wire_end(given, &tag_allowed, interfaces)
        });
        let ethertypes = match &entry.ethertypes {
            None => Ethertypes::All,
            Some(names) => Ethertypes::Only(names.iter().filter_map(|name| self.ethertype(name)).collect()),
        };
        if let [Some(first), Some(second)] = ends {
            self.note_place(
                entry
                    .interfaces
                    .last()
                    .and_then(Option::as_ref)
                    .unwrap_or(&entry.name),
            );
            self.builder.add_wire(WireSpec {
                name,
                mode: WireMode::Inline,
                interfaces: [first, second],
                tag_allowed,
                ethertypes,
                protect_link_local: entry.protect_link_local,
                link_state_pass_through: entry.link_state_pass_through,
                io: entry.io,
            });
        }
    }

    /// A tap is a wire that nothing crosses.
    fn tap(&mut self, entry: &'a TapEntry, interfaces: &mut Interfaces<'a>) {
        let tag_allowed = VlanSet::all();
        if let Some(interface) = self.wire_end(&entry.name, &tag_allowed, interfaces) {
            let name = self.symbol(&entry.name);
            self.note_place(&entry.name);
            self.builder.add_wire(WireSpec {
                name,
                mode: WireMode::Tap,
                interfaces: [interface; 2],
                tag_allowed,
                ethertypes: Ethertypes::All,
                protect_link_local: false,
                link_state_pass_through: false,
                io: WireIo::Packet,
            });
        }
    }

    /// Notes where the document speaks of the wire that is added next.
    fn note_place(&mut self, text: &Text) {
        let source = self.findings.source();
        self.wire_places.push(source.place(source.value_start(text.span)));
    }

    fn wire_end(
        &mut self,
        name: &'a Text,
        tag_allowed: &VlanSet,
        interfaces: &mut Interfaces<'a>,
    ) -> Option<InterfaceId> {
        if name.value.is_empty() {
            self.findings.error(name.span, "an interface needs a name");
            return None;
        }
        if let Some(first) = interfaces.by_name.get(&*name.value) {
            let line = self.findings.source().place(first.name.span.start).line;
            let message = format!(
                "interface {} is already the end of a virtual wire, on line {line}; every end needs its own",
                Quoted(&name.value)
            );
            self.findings.error(name.span, message);
            return None;
        }
        let symbol = self.symbol(name);
        let id = self.builder.add_interface(symbol);
        interfaces.by_name.insert(
            &name.value,
            Interface {
                id,
                name,
                tag_allowed: tag_allowed.clone(),
                in_zone: false,
            },
        );
        Some(id)
    }

    fn ethertype(&self, name: &Text) -> Option<u16> {
        let number = Ethertypes::number(&name.value);
        if number.is_none() {
            let near = self.findings.nearest(&name.value, Ethertypes::names());
            let message = format!(
                "unknown ethertype {}; use a name or a number such as 0x88cc",
                Quoted(&name.value)
            );
            self.findings.error_near(name.span, message, near);
        }
        number
    }

    fn zone(&mut self, entry: &'a ZoneEntry, interfaces: &mut Interfaces<'a>, owners: &mut Owners<'a>) {
        if !entry.has_interfaces {
            let message = format!(
                "zone {} has no interfaces: nothing comes from it",
                Quoted(&entry.name.value)
            );
            self.findings.warning(entry.name.span, message);
        }
        let mut own = Vec::new();
        for name in &entry.interfaces {
            if let Some((interface, vlan)) = self.zone_interface(entry, name, interfaces) {
                match owners.get(&(interface, vlan)) {
                    None => {
                        owners.insert((interface, vlan), (&entry.name, name.span));
                        own.push((interface, vlan));
                    }
                    Some((owner, first)) => {
                        let line = self.findings.source().place(first.start).line;
                        let message = format!(
                            "interface {} is already in zone {}, on line {line}; each interface and VLAN has one zone",
                            Quoted(&name.value),
                            Quoted(&owner.value)
                        );
                        self.findings.error(name.span, message);
                    }
                }
            }
        }
        let symbol = self.symbol(&entry.name);
        let addresses = |names: &[Text], column| -> Vec<AddressRef> {
            let by = by("zone", &entry.name, column);
            names.iter().filter_map(|name| self.address(name, by)).collect()
        };
        let zone = ZoneDraft {
            name: symbol,
            interfaces: own,
            networks: addresses(&entry.networks, "networks"),
            anti_spoof: entry.anti_spoof,
            resolvers: addresses(&entry.resolvers, "resolvers"),
        };
        let id = self.builder.add_zone(zone);
        self.zones.add("zone", &entry.name, id, self.findings);
    }

    /// The interface that a zone names, and the VLAN behind its last dot.
    fn zone_interface(
        &self,
        zone: &ZoneEntry,
        name: &Text,
        interfaces: &mut Interfaces<'_>,
    ) -> Option<(InterfaceId, Option<u16>)> {
        let whole = interfaces.by_name.contains_key(&*name.value);
        let (base, vlan) = match name.value.rsplit_once('.') {
            Some((base, digits)) if !whole => (base, Some(digits)),
            _ => (&*name.value, None),
        };
        let Some(interface) = interfaces.by_name.get_mut(base) else {
            let near = self
                .findings
                .nearest(&name.value, interfaces.by_name.keys().copied());
            let message = format!(
                "zone {}: interface {} is no end of a virtual wire",
                Quoted(&zone.name.value),
                Quoted(base)
            );
            self.findings.error_near(name.span, message, near);
            return None;
        };
        interface.in_zone = true;
        let Some(digits) = vlan else {
            return Some((interface.id, None));
        };
        let Some(vlan) = digits.parse::<u16>().ok().filter(|vlan| *vlan <= 4094) else {
            let message = format!(
                "zone {}: {} is no VLAN id: a number from 0 (untagged) to 4094 follows the dot",
                Quoted(&zone.name.value),
                Quoted(digits)
            );
            self.findings.error(name.span, message);
            return None;
        };
        let tags = if vlan == 0 {
            VlanTags::NONE
        } else {
            VlanTags::single(vlan)
        };
        if !interface.tag_allowed.allows(tags) {
            let message = format!(
                "zone {}: VLAN {vlan} does not cross the wire of {}; see its tag-allowed",
                Quoted(&zone.name.value),
                Quoted(base)
            );
            self.findings.warning(name.span, message);
        }
        Some((interface.id, Some(vlan)))
    }
}

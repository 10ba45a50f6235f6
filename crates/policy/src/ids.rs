//! The numbers by which a policy's parts refer to each other.
//!
//! Each is the index of its part in the order of adding to the [`PolicyBuilder`](crate::PolicyBuilder),
//! so that a draft can name a part that is added after it. The builder refuses ids of parts that were
//! never added.

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($raw:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $raw);

        impl $name {
            /// The id as an index.
            pub fn index(self) -> usize {
                usize::try_from(self.0).unwrap_or(usize::MAX)
            }
        }
    )*};
}

ids! {
    /// A network interface that a wire or zone names.
    InterfaceId(u16);
    /// A zone.
    ZoneId(u16);
    /// A security rule, the two default rules included: they come behind all others.
    RuleId(u32);
    /// A decryption rule.
    DecryptionRuleId(u32);
    /// An anti-spyware profile.
    SpywareProfileId(u16);
    /// A decryption profile.
    DecryptionProfileId(u16);
    /// An external list of domain names.
    ListId(u16);
    /// A URL category, built in, from a folder, or custom.
    CategoryId(u16);
    /// An address object, or an external list of addresses.
    AddressId(u32);
    /// An address group.
    AddressGroupId(u32);
    /// A service.
    ServiceId(u32);
}

//! Enums whose variants have one fixed name in records and filters.

/// Declares an enum with `ALL`, `NAMES`, `name` and `from_name`, all from one list.
macro_rules! named_enum {
    (
        $(#[$meta:meta])*
        $visibility:vis enum $Name:ident {
            $( $(#[$variant_meta:meta])* $Variant:ident = $text:literal, )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $visibility enum $Name {
            $( $(#[$variant_meta])* $Variant, )+
        }

        impl $Name {
            /// Every variant, in order.
            pub const ALL: &'static [Self] = &[ $( Self::$Variant, )+ ];
            /// The name of every variant, in order.
            pub const NAMES: &'static [&'static str] = &[ $( $text, )+ ];

            /// The name in records and filters.
            pub const fn name(self) -> &'static str {
                match self {
                    $( Self::$Variant => $text, )+
                }
            }

            /// The variant with exactly this name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $( $text => Some(Self::$Variant), )+
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $Name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}
pub(crate) use named_enum;

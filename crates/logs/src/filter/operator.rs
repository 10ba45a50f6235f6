//! Operators.

use crate::named::named_enum;

named_enum! {
    /// How a field is compared with a value.
    pub enum Operator {
        /// Is it.
        Eq = "eq",
        /// Is not it.
        Neq = "neq",
        /// Is it or less, earlier, milder.
        Leq = "leq",
        /// Is it or more, later, worse.
        Geq = "geq",
        /// Lies in it.
        In = "in",
        /// Does not lie in it.
        NotIn = "notin",
        /// Holds it somewhere.
        Contains = "contains",
    }
}

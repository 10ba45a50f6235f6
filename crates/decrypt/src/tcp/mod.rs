//! One end of an intercepted TCP connection, taken on in its middle.

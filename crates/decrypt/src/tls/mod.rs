//! Both TLS sides of an intercepted connection: bytes in, bytes out.

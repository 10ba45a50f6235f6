//! Captures are built by code, never taken from others.

mod built;
mod kept;
mod merging;
mod properties;
mod reading;
mod writing;

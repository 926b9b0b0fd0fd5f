//! Flows over time: small platforms whose segments can be read, and properties of random ones.

mod properties;
mod reference;
mod segments;
mod world;

//! Flows over time: small platforms whose segments can be read, and properties of random ones.

mod agreement;
mod backlog;
mod clients;
mod closed;
mod deaths;
mod denied;
mod memory;
mod nodes;
mod properties;
mod queues;
mod reference;
mod segments;
mod split;
mod sticky;
mod throttled;
mod world;
mod zones;

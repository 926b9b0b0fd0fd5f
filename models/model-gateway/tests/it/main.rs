//! Load balancers, gateways and names in time.

mod balancers;
mod lists;
mod names;
mod world;

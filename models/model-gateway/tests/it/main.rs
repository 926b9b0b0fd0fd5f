//! Load balancers and gateways in time.

mod balancers;
mod lists;
mod world;

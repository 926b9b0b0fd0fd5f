//! Whole simulations, seen from outside.

mod kernel;
mod world;

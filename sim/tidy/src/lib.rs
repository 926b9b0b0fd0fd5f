//! Tests about the repository itself: who imports whom, what lies where, whether generated files
//! are fresh.
//!
//! `cargo test -p tidy` checks; `cargo run -p tidy -- --bless` writes the generated files anew.
//! Nothing else imports this crate. Start reading at [`imports`], the table that keeps the design.

pub mod generated;
pub mod imports;
pub mod layout;
pub mod models;
pub mod repository;

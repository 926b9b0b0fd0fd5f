//! Backups as a small world of their own: struck, asked, and compared.

mod exposure;
mod recovery;
mod town;

//! Backups as a small world of their own: struck, asked, and compared.

mod exposure;
mod pools;
mod recovery;
mod town;

//! Rules for the text of the sources under `src`: import direction, synchronization primitives and file
//! length.

mod import_paths;
mod rules;

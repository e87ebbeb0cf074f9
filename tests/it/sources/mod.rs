//! Rules for the text of the sources under `src`: import direction, synchronization primitives and file
//! length; and that the pages beside them lead somewhere.

mod import_paths;
mod pages;
mod rules;

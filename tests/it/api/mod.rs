//! The public types: which traits they implement, what their `Debug` output shows, and how the compiler
//! explains mistakes in their use.

mod compile_errors;
mod debug_output;
mod traits;

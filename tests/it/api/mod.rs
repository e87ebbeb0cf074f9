//! What every public type is to the compiler: which traits it implements, what its `Debug` output
//! shows, and how the compiler explains a mistake in its use.

mod compile_errors;
mod debug_output;
mod traits;

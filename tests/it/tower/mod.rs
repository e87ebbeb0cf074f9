//! The tower facade: layers, their services and response futures, alone and on real sockets.

mod contracts;
mod rows;
mod socket;
mod sockets;

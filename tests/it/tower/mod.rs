//! The tower facade: layers, their services and response futures, alone and on real sockets.

mod contracts;
mod deadlines;
mod rejections;
mod rows;
mod socket;
mod sockets;
mod web;

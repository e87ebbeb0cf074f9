//! The tower facade: layers, their services and response futures, alone and on real sockets.

mod answers;
mod bad_input;
mod bodies;
mod contracts;
mod deadlines;
mod grpc;
mod grpc_stub;
mod placement;
mod rejections;
mod rows;
mod socket;
mod sockets;
mod streams;
mod web;

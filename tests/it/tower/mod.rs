//! The tower facade: layers, their services and response futures, alone and on real sockets.

mod allocations;
mod answers;
mod bad_input;
mod bodies;
mod bypass;
mod contracts;
mod deadlines;
mod grpc;
mod grpc_stub;
mod keys;
mod placement;
mod rejections;
mod rows;
mod shares;
mod socket;
mod sockets;
mod streams;
mod ui;
mod web;

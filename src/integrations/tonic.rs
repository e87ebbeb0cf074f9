//! Feature `tonic`: the name of a layered service, by which tonic routes requests to it.

use tonic::server::NamedService;

use crate::middleware::service::AdmissionService;

impl<S: NamedService, A, M, R, H> NamedService for AdmissionService<S, A, M, R, H> {
    const NAME: &'static str = S::NAME;
}

//! The addresses of this machine's interfaces, as they are now.

use std::net::IpAddr;

/// Every address of every interface that is up; empty if the system does not say.
pub(super) fn addresses() -> Vec<IpAddr> {
    match if_addrs::get_if_addrs() {
        Ok(interfaces) => interfaces.into_iter().map(|interface| interface.ip()).collect(),
        Err(error) => {
            tracing::warn!(%error, "cannot list network interfaces");
            Vec::new()
        }
    }
}

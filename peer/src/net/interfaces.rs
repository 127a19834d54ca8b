//! The addresses of this machine's interfaces, as they are now.

use std::net::IpAddr;

/// Every address of every interface that is up; empty if the system does not say.
pub(super) fn addresses() -> Vec<IpAddr> {
    match if_addrs::get_if_addrs() {
        Ok(interfaces) => {
            let mut addresses: Vec<IpAddr> = interfaces.into_iter().map(|interface| interface.ip()).collect();
            // In one order, so that two looks can be compared.
            addresses.sort_unstable();
            addresses
        }
        Err(error) => {
            tracing::warn!(%error, "cannot list network interfaces");
            Vec::new()
        }
    }
}

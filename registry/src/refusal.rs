//! Why a request fails, by blame: the one who asked (`Refused`), or the disk (`Store`). The floors return it with
//! `?`; `Failure::into_refusal` is the one place where it becomes a reply.

use common::message::registry::{Code, Refusal};

use crate::store::StoreError;

/// A request that was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    Refused(Refusal),
    Store(StoreError),
}

impl Failure {
    pub fn new(code: Code, text: &str) -> Self {
        Self::Refused(Refusal::new(code, text))
    }

    pub fn later(code: Code, text: &str, seconds: u32) -> Self {
        Self::Refused(Refusal::later(code, text, seconds))
    }

    pub fn into_refusal(self) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal,
            Self::Store(error) => {
                tracing::error!(%error, "a request failed in the store");
                Refusal::new(Code::Storage, STORE_FAILED)
            }
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

const STORE_FAILED: &str =
    "Nothing was changed: the registry's disk does not work right now. Try again later, or tell its operator.";

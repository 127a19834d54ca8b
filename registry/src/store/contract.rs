//! What every back end means by the store's traits, as one suite that each of them runs.
#![cfg(test)]

//! Somebody with keys made from their name: the same name is the same person in every test.

use common::ids::{AuthKey, RealmId};
use common::names::UserName;
use common::secret::Secret;
use common::secure::identity::{DeviceStatement, KEYS_BYTES, Keys};
use common::secure::sign::Signed;

pub struct Person {
    pub name: UserName,
    pub keys: Keys,
    pub auth: AuthKey,
}

impl Person {
    pub fn new(name: &str) -> Self {
        let name = UserName::parse(name).expect("a good name");
        let part = |use_: &str| common::ids::hash(use_, &[name.as_str().as_bytes()]);
        let seed: Vec<u8> = ["identity", "device", "event"].into_iter().flat_map(part).collect();
        let seed: [u8; KEYS_BYTES] = seed.try_into().expect("three keys");
        Self { keys: Keys::from_seed(&Secret::new(seed)), auth: AuthKey(part("auth")), name }
    }

    pub fn statement(&self, realm: RealmId) -> Signed<DeviceStatement> {
        self.keys.statement(realm, self.name.clone())
    }
}

//! Another key for an identity that is known here: whoever shows the step from the one to the other, signed by the one,
//! goes on with the other, on the device that came with it. What was signed before stays as it is.

use common::message::registry::Code;
use common::secure::identity::DeviceStatement;
use common::secure::rotation::Lineage;
use common::secure::sign::Signed;

use super::sign_in::{Accounts, Origin};
use crate::refusal::Failure;
use crate::store::{Account, Replacement};

impl Accounts {
    /// The account of a device whose keys follow those that are known here, with these in their place. An unknown name
    /// and keys that do not follow are refused alike.
    pub(crate) fn rotate(&self, origin: Origin, statement: Signed<DeviceStatement>) -> Result<Account, Failure> {
        let bad = || Failure::new(Code::Credentials, DOES_NOT_FOLLOW);
        let claim = self.check(origin, &statement)?;
        let known = self.known(&claim.user)?.ok_or_else(bad)?;
        match claim.against(&known.claim) {
            // The answer was lost.
            Lineage::Same if statement == known.statement => return Ok(known),
            Lineage::Newer => {}
            Lineage::Same | Lineage::Older | Lineage::Foreign => return Err(bad()),
        }
        let before = known.statement.clone();
        let account = Account { statement, claim, ..known };
        match self.replace_keys(&before, &account)? {
            Replacement::Replaced => Ok(account),
            Replacement::Outdated => Err(bad()),
            Replacement::KeyTaken => Err(Failure::new(Code::NotPermitted, KEY_TAKEN)),
        }
    }
}

const DOES_NOT_FOLLOW: &str = "Nothing shows that these keys follow the ones that are known here. Sign in with the keys from before: /login NAME.";
const KEY_TAKEN: &str = "The new device already belongs to another account. Nothing was changed: try /rotate again.";
